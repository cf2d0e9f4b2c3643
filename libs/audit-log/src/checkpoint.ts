import { decodeBase64 } from './base64';
import { HASH_LENGTH, isTreeSize } from './merkle';
import { parseNote, type SignedNote, verifyNote } from './note';
import type { VerifierKey } from './note-key';
import { MalformedError, NotProvedError } from './proof-errors';
import type { TreeHead } from './verify-merkle-proof';

/**
 * A tree head as it is signed (C2SP tlog-checkpoint, "Note text"): a note whose text is, a line each, the origin, the size
 * in decimal, the root in base64, and any extensions.
 */
export interface Checkpoint extends TreeHead {
  /** Which log this is: not empty. */
  origin: string;
  root: Buffer;
  /** Lines after the root, none of them empty; opaque. */
  extensions: string[];
}

/** The log whose checkpoints are believed: the key that signs them, and their origin, which is that key's name by default. */
export interface Log {
  key: VerifierKey;
  origin?: string;
}

const SIZE = /^(?:0|[1-9][0-9]{0,18})$/;

/** The note text of a checkpoint. Throws RangeError for what `parseCheckpoint` would not give back. */
export function encodeCheckpoint({ origin, size, root, extensions }: Checkpoint): string {
  if (!isTreeSize(size)) throw new RangeError('the size of a checkpoint is a whole number from 0 to 2^53 - 1');
  if (root.length !== HASH_LENGTH) throw new RangeError(`the root of a checkpoint has ${HASH_LENGTH} bytes`);
  const lines = [origin, String(size), root.toString('base64'), ...extensions];
  if (lines.some((line) => line === '' || line.includes('\n'))) {
    throw new RangeError('the origin and extensions of a checkpoint are a line each, and not empty');
  }
  return `${lines.join('\n')}\n`;
}

/** Reads the note text of a checkpoint. Throws MalformedError. */
export function parseCheckpoint(text: string): Checkpoint {
  const lines = text.split('\n');
  if (lines.pop() !== '') throw new MalformedError('a checkpoint ends in a newline');
  if (lines.length < 3) throw new MalformedError('a checkpoint has at least three lines: origin, size and root');
  const empty = lines.indexOf('');
  if (empty >= 0) throw new MalformedError(`line ${empty + 1} of the checkpoint is empty`);
  const [origin, size, root, ...extensions] = lines as [string, string, string, ...string[]];
  if (!SIZE.test(size))
    throw new MalformedError('the size of the checkpoint is no decimal number without leading zeros');
  if (!isTreeSize(Number(size))) throw new MalformedError('the size of the checkpoint is above 2^53 - 1');
  const hash = decodeBase64(root);
  if (!hash) throw new MalformedError('the root of the checkpoint is not base64');
  if (hash.length !== HASH_LENGTH) {
    throw new MalformedError(`the root of the checkpoint has ${hash.length} bytes, not ${HASH_LENGTH}`);
  }
  return { origin, size: Number(size), root: hash, extensions };
}

/**
 * The checkpoint in a signed note, which the log has signed, and the note with all of its signatures. Throws
 * MalformedError, and NotProvedError where the log has not signed it, or where it is of another log.
 */
export function openCheckpoint(bytes: Uint8Array, log: Log): { checkpoint: Checkpoint; note: SignedNote } {
  const note = parseNote(bytes);
  verifyNote(note, [log.key]);
  const checkpoint = parseCheckpoint(note.text);
  const origin = log.origin ?? log.key.name;
  if (checkpoint.origin !== origin) throw new NotProvedError(`the checkpoint is not of the log ${origin}`);
  return { checkpoint, note };
}
