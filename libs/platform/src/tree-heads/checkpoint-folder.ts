import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeVerifierKey } from '#audit-log/note-key';
import { openHead, type SignedHead, TREES, type Tree, treeKey, treePublicKey } from '#audit-log/tree-head';
import { replaceDurably } from './durable-file';

/** The heads in the folder outside of NATS do not belong to this log, or the log has lost what they prove. */
export class CheckpointError extends Error {
  override readonly name = 'CheckpointError';
}

export const keyFile = (folder: string): string => join(folder, 'keytrail.vkey');
export const checkpointFile = (folder: string, tree: Tree): string => join(folder, `${tree}.checkpoint`);

/** A line for each tree, as C2SP signed-note has it. */
export const verifierKeys = (publicKey: Buffer): string =>
  TREES.map((tree) => `${encodeVerifierKey(treeKey(publicKey, tree))}\n`).join('');

/** Writes the public key where there is none. Throws CheckpointError where another one lies there. */
export function keepKey(folder: string, publicKey: Buffer): void {
  const path = keyFile(folder);
  const text = verifierKeys(publicKey);
  const standing = read(path)?.toString('utf8');
  if (standing === undefined) replaceDurably(path, Buffer.from(text, 'utf8'));
  else if (standing !== text) {
    throw new CheckpointError(`${path} is not the key that this log's heads are signed with: set another folder`);
  }
}

/** The public key in the folder, or undefined. Throws MalformedError. */
export function keptKey(folder: string): Buffer | undefined {
  const text = read(keyFile(folder))?.toString('utf8');
  return text === undefined ? undefined : treePublicKey(text);
}

/** The head in the folder, or undefined. Throws CheckpointError for what is none of this key's. */
export function keptHead(folder: string, tree: Tree, publicKey: Buffer): SignedHead | undefined {
  const path = checkpointFile(folder, tree);
  const note = read(path);
  try {
    return note && openHead(note, treeKey(publicKey, tree));
  } catch (cause) {
    throw new CheckpointError(`${path} is no head of this log: ${(cause as Error).message}`, { cause });
  }
}

export const keepHead = (folder: string, tree: Tree, { note }: SignedHead): void =>
  replaceDurably(checkpointFile(folder, tree), note);

function read(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
