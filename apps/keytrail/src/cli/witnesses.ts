import { verifyCosignatures } from '#audit-log/cosignature';
import { parseNote } from '#audit-log/note';
import { keyLabel, parseVerifierKey, type VerifierKey } from '#audit-log/note-key';
import { MalformedError, NotProvedError } from '#audit-log/proof-errors';
import { CommandError } from './operator';

/** Whose cosignatures a head needs, beside the log's own signature. */
export interface WitnessOptions {
  /** Verifier keys. */
  witness?: string[];
  /** Of how many of them; of all without it. */
  quorum?: string;
}

export interface WitnessPolicy {
  witnesses: VerifierKey[];
  quorum: number;
}

/** Throws CommandError. */
export function witnessPolicy({ witness = [], quorum }: WitnessOptions): WitnessPolicy {
  const witnesses = witness.map((text) => {
    try {
      return parseVerifierKey(text, 'cosignature');
    } catch (error) {
      throw new CommandError(`--witness ${text}: ${(error as Error).message}`);
    }
  });
  // A key that is given twice is one witness.
  const distinct = [...new Map(witnesses.map((key) => [key.publicKey.toString('base64'), key])).values()];
  const wanted = quorum === undefined ? distinct.length : Number(quorum);
  if (!Number.isSafeInteger(wanted) || wanted < 0 || wanted > distinct.length) {
    throw new CommandError(
      `--quorum ${quorum}: expected a number from 0 to ${distinct.length}, of the --witness given`,
    );
  }
  return { witnesses: distinct, quorum: wanted };
}

/** Throws CommandError where fewer of the witnesses have signed the head than have to. Prints who has. */
export function assertCosigned(note: Uint8Array, options: WitnessOptions, print: (line: string) => void): void {
  const { witnesses, quorum } = witnessPolicy(options);
  if (witnesses.length === 0) return;
  try {
    const signed = verifyCosignatures(parseNote(note), witnesses);
    for (const { witness, time } of signed) {
      print(`witness ${keyLabel(witness)}: had seen it at ${new Date(time * 1000).toISOString()}`);
    }
    if (signed.length >= quorum) return;
    throw new CommandError(`${signed.length} of the known witnesses have signed the head, not ${quorum}`);
  } catch (error) {
    if (!(error instanceof MalformedError || error instanceof NotProvedError)) throw error;
    throw new CommandError(`the head: ${error.message}`);
  }
}
