import { readFileSync } from 'node:fs';
import { leafName } from '#audit-log/log-check';
import { leafHash } from '#audit-log/merkle';
import { MalformedError, NotProvedError } from '#audit-log/proof-errors';
import { parseTlogProof, verifyTlogProof } from '#audit-log/tlog-proof';
import { openHead, treeKey } from '#audit-log/tree-head';
import { CommandError } from './operator';
import { readPublicKey } from './verify-export';
import { assertCosigned, type WitnessOptions } from './witnesses';

/** Checks what `prove` wrote, with the public key alone, and prints the record that it proves. Throws CommandError. */
export function verifyProof(
  options: { proof: string; key: string } & WitnessOptions,
  print: (line: string) => void,
): void {
  const key = treeKey(readPublicKey(options.key), 'records');
  let bytes: Buffer;
  try {
    bytes = readFileSync(options.proof);
  } catch (error) {
    throw new CommandError(`--proof: ${(error as Error).message}`);
  }
  try {
    const { extra, checkpoint: note } = parseTlogProof(bytes);
    if (!extra) throw new MalformedError('the proof does not have the record as its extra data');
    const { index, checkpoint } = verifyTlogProof(bytes, leafHash(extra), { key });
    const { time } = openHead(note, key);
    assertCosigned(note, options, print);
    print(Buffer.from(extra).toString('utf8'));
    print(
      `record ${index} (${leafName('records', extra)}) is on record, under the head of ${time}, of size ${checkpoint.size}`,
    );
  } catch (error) {
    if (!(error instanceof MalformedError || error instanceof NotProvedError)) throw error;
    throw new CommandError(`${options.proof} proves nothing: ${error.message}`);
  }
}
