import { type NoteSignature, type Sign, type SignedNote, signaturesBy } from './note';
import { isSignedBy, keyLabel, SIGNATURE_LENGTH, type VerifierKey } from './note-key';
import { MalformedError, NotProvedError } from './proof-errors';

/**
 * Cosignatures of C2SP tlog-cosignature, "cosignature/v1", by Ed25519: a witness says that at this time the largest tree
 * that it knew of this log, consistent with all that it had seen of it, was this one. In a signature line:
 *
 *    8  time, in seconds since 1970, big endian
 *   64  Ed25519 signature (RFC 8032) over `cosignature/v1\ntime <seconds>\n` and the text of the checkpoint
 */
export interface Cosignature {
  witness: VerifierKey;
  /** Seconds since 1970. */
  time: number;
}

const TIME_LENGTH = 8;

/** What a witness signs. Throws RangeError for a time that is no whole number from 0 to 2^53 - 1. */
export function cosignedMessage(time: number, text: string): Buffer {
  if (!Number.isSafeInteger(time) || time < 0) throw new RangeError('the time of a cosignature is in whole seconds');
  return Buffer.from(`cosignature/v1\ntime ${time}\n${text}`, 'utf8');
}

/**
 * Signs the text of a checkpoint as a witness, which must have seen a proof that it is consistent with all that it signed
 * before. Throws NotProvedError where `sign` has given what is not a signature of this key.
 */
export async function cosign(text: string, time: number, witness: VerifierKey, sign: Sign): Promise<NoteSignature> {
  if (witness.type !== 'cosignature') throw new RangeError(`${keyLabel(witness)} is not the key of a witness`);
  const message = cosignedMessage(time, text);
  const signature = await sign(message);
  if (!isSignedBy(witness, message, signature)) {
    throw new NotProvedError(`what was signed is not signed by ${keyLabel(witness)}`);
  }
  const bytes = Buffer.alloc(TIME_LENGTH);
  bytes.writeBigUInt64BE(BigInt(time));
  return { name: witness.name, keyId: witness.id, signature: Buffer.concat([bytes, signature]) };
}

/** The parts of a cosignature in a signature line. Throws MalformedError. */
export function parseCosignature(line: NoteSignature): { time: number; signature: Buffer } {
  const which = `the cosignature of ${keyLabel({ name: line.name, id: line.keyId })}`;
  if (line.signature.length !== TIME_LENGTH + SIGNATURE_LENGTH) {
    throw new MalformedError(`${which} has ${line.signature.length} bytes, not ${TIME_LENGTH + SIGNATURE_LENGTH}`);
  }
  const time = Number(line.signature.readBigUInt64BE());
  if (!Number.isSafeInteger(time)) throw new MalformedError(`${which} has a time above 2^53 - 1`);
  return { time, signature: line.signature.subarray(TIME_LENGTH) };
}

/**
 * The cosignatures of these witnesses on a checkpoint, the newest of each; none where none has signed. Throws
 * MalformedError or NotProvedError where one of them has a line that it did not sign. Whether they are enough, and new
 * enough, the caller says.
 */
export function verifyCosignatures(note: SignedNote, witnesses: readonly VerifierKey[]): Cosignature[] {
  return witnesses.flatMap((witness) => {
    const lines = witness.type === 'cosignature' ? signaturesBy(witness, note) : [];
    const times = lines.map(parseCosignature).map(({ time, signature }) => {
      if (isSignedBy(witness, cosignedMessage(time, note.text), signature)) return time;
      throw new NotProvedError(`the cosignature of ${keyLabel(witness)} does not fit the note`);
    });
    return times.length > 0 ? [{ witness, time: Math.max(...times) }] : [];
  });
}
