import { createHash } from 'node:crypto';
import { type Checkpoint, encodeCheckpoint, openCheckpoint, parseCheckpoint } from './checkpoint';
import { parseVerifierKey, type VerifierKey, verifierKey } from './note-key';
import { MalformedError } from './proof-errors';
import type { TreeHead } from './verify-merkle-proof';

/** The two logs: of records, the lines of KMS_AUDIT; of changes, the commits of KMS_EVENTS. */
export const TREES = ['records', 'changes'] as const;
export type Tree = (typeof TREES)[number];

/** A tree head as Keytrail signs it: a checkpoint with two extension lines, `time <ISO 8601>` and `position <decimal>`. */
export interface LogHead extends TreeHead {
  root: Buffer;
  /** When it was made, by the clock of the service, UTC. */
  time: string;
  /** Position in the stream of the message that holds the newest leaf. */
  position: number;
}

/** A head, and the note that it was signed in. */
export interface SignedHead extends LogHead {
  note: Buffer;
}

const TIME = /^time (\d{4,6}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)$/;
const POSITION = /^position (0|[1-9]\d{0,15})$/;

/**
 * `keytrail/<first 16 bytes of the SHA-256 of the public key, hex>/<tree>`: name of the key that signs a tree's heads, and
 * their origin. It follows from the key, so that no two installations share one, and nobody can set it wrongly.
 */
export const treeOrigin = (publicKey: Uint8Array, tree: Tree): string =>
  `keytrail/${createHash('sha256').update(publicKey).digest('hex').slice(0, 32)}/${tree}`;

/** The key of a tree, by its public key of 32 bytes. */
export const treeKey = (publicKey: Uint8Array, tree: Tree): VerifierKey =>
  verifierKey(treeOrigin(publicKey, tree), publicKey);

/**
 * The public key in the verifier key of either tree, or in the first such line of a file. Throws MalformedError for what is
 * none, or of which the name is not that of its key.
 */
export function treePublicKey(text: string): Buffer {
  const { name, publicKey } = parseVerifierKey(text.trim().split(/\s+/)[0] ?? '');
  if (!TREES.some((tree) => treeOrigin(publicKey, tree) === name)) {
    throw new MalformedError(`the verifier key ${name} is not that of a tree of Keytrail`);
  }
  return publicKey;
}

/** The text to be signed. */
export const encodeHead = (origin: string, { size, root, time, position }: LogHead): string =>
  encodeCheckpoint({ origin, size, root, extensions: [`time ${time}`, `position ${position}`] });

/** Reads `encodeHead`'s text. Throws MalformedError. */
export const parseHead = (text: string): LogHead & { origin: string } => headOf(parseCheckpoint(text));

/** The head in a signed note. Throws MalformedError, and NotProvedError where this key has not signed it. */
export function openHead(note: Uint8Array, key: VerifierKey): SignedHead {
  const { origin: _origin, ...head } = headOf(openCheckpoint(note, { key }).checkpoint);
  return { ...head, note: Buffer.from(note) };
}

function headOf({ origin, size, root, extensions }: Checkpoint): LogHead & { origin: string } {
  const time = TIME.exec(extensions[0] ?? '')?.[1];
  const position = Number(POSITION.exec(extensions[1] ?? '')?.[1] ?? Number.NaN);
  if (extensions.length !== 2 || time === undefined || !Number.isSafeInteger(position)) {
    throw new MalformedError('a tree head of Keytrail has two extension lines: time and position');
  }
  return { origin, size, root, time, position };
}
