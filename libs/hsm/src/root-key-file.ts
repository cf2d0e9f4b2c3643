import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, linkSync, mkdirSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { readOwnFile } from './own-file';
import { RootKeyError } from './root-key-error';

const ROOT_KEY_LENGTH = 32;

export interface RootKey {
  epoch: number;
  /** 32 bytes; the caller zeroises them. */
  bytes: Buffer;
}

/** 32 bytes in base64. `source` names where the text came from; the text itself is never in the error. */
export function decodeRootKey(text: string, source: string): Buffer {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length !== ROOT_KEY_LENGTH || bytes.toString('base64') !== text.trim()) {
    bytes.fill(0);
    throw new RootKeyError(
      `${source}: expected ${ROOT_KEY_LENGTH} bytes in base64 (openssl rand -base64 32 makes them)`,
    );
  }
  return bytes;
}

/** Reads `{"epoch": 1, "key": "<base64>"}`. Undefined where there is no file. Throws RootKeyError for any other trouble. */
export function readRootKeyFile(path: string): RootKey | undefined {
  const content = readOwnFile(path, 'the root key');
  if (content === undefined) return undefined;
  let file: { epoch?: unknown; key?: unknown } | null;
  try {
    file = JSON.parse(content.toString('utf8')) as typeof file;
  } catch {
    // The parser's message quotes the content, so it is no cause of the error below.
    file = null;
  } finally {
    content.fill(0);
  }
  const epoch = file?.epoch;
  if (typeof file?.key !== 'string' || typeof epoch !== 'number' || !Number.isSafeInteger(epoch) || epoch < 1) {
    throw new RootKeyError(`${path}: not a root key file; restore it from its backup`);
  }
  return { epoch, bytes: decodeRootKey(file.key, path) };
}

/**
 * Makes a root key of epoch 1, durable before this returns. Never overwrites: where another process was first, its key
 * stays. A crash before the link leaves a temporary file with a key that nobody ever used; after it, the whole key.
 */
export function createRootKeyFile(path: string): void {
  const folder = dirname(path);
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeDurably(temporary);
  try {
    linkSync(temporary, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    unlinkSync(temporary);
  }
  const directory = openSync(folder, 'r');
  fsyncSync(directory);
  closeSync(directory);
}

function writeDurably(path: string): void {
  const key = randomBytes(ROOT_KEY_LENGTH);
  const content = Buffer.from(`{"epoch":1,"key":"${key.toString('base64')}"}\n`, 'latin1');
  const file = openSync(path, 'wx', 0o600);
  try {
    writeSync(file, content);
    fsyncSync(file);
  } finally {
    closeSync(file);
    content.fill(0);
    key.fill(0);
  }
}
