import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { readOwnFile } from './own-file';
import { RootKeyError } from './root-key-error';

const ROOT_KEY_LENGTH = 32;
const ID_BYTES = 8;

export interface RootKey {
  epoch: number;
  /** Empty for that of the first file. */
  id: string;
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

/**
 * The root keys of `{"epoch": 1, "key": "<base64>"}`, or of `{"epochs": [...]}` with such an object, and its `id`, for each epoch while a
 * rotation is under way: the oldest first. Undefined where there is no file. Throws RootKeyError for any other trouble.
 */
export function readRootKeyFile(path: string): RootKey[] | undefined {
  const content = readOwnFile(path, 'the root key');
  if (content === undefined) return undefined;
  let file: { epochs?: unknown } | null;
  try {
    file = JSON.parse(content.toString('utf8')) as typeof file;
  } catch {
    // The parser's message quotes the content, so it is no cause of the error below.
    file = null;
  } finally {
    content.fill(0);
  }
  const found = Array.isArray(file?.epochs) ? (file.epochs as unknown[]) : [file];
  if (found.length === 0) throw notAFile(path);
  const keys = found.map((each) => rootKeyIn(path, each)).sort((a, b) => a.epoch - b.epoch);
  if (keys.some(({ epoch }, nth) => epoch === keys[nth - 1]?.epoch)) throw notAFile(path);
  return keys;
}

function rootKeyIn(path: string, value: unknown): RootKey {
  const { epoch, id = '', key } = (value ?? {}) as { epoch?: unknown; id?: unknown; key?: unknown };
  if (
    typeof key !== 'string' ||
    typeof id !== 'string' ||
    typeof epoch !== 'number' ||
    !Number.isSafeInteger(epoch) ||
    epoch < 1
  ) {
    throw notAFile(path);
  }
  return { epoch, id, bytes: decodeRootKey(key, path) };
}

const notAFile = (path: string): RootKeyError =>
  new RootKeyError(`${path}: not a root key file; restore it from its backup`);

/**
 * Makes a root key of epoch 1, durable before this returns. Never overwrites: where another process was first, its key
 * stays. A crash before the link leaves a temporary file with a key that nobody ever used; after it, the whole key.
 */
export function createRootKeyFile(path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const key = randomBytes(ROOT_KEY_LENGTH);
  const temporary = written(path, [{ epoch: 1, id: '', bytes: key }]);
  key.fill(0);
  try {
    linkSync(temporary, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    unlinkSync(temporary);
  }
  syncFolder(path);
}

/** Adds a root key of this epoch, unless there is one; the keys that the file has then. A crash leaves the file before, or this one. */
export function addRootKey(path: string, epoch: number): RootKey[] {
  const before = keysOf(path);
  if (before.some((key) => key.epoch === epoch)) return before;
  const added = { epoch, id: randomBytes(ID_BYTES).toString('hex'), bytes: randomBytes(ROOT_KEY_LENGTH) };
  const after = [...before, added];
  replace(path, after);
  return after;
}

/**
 * Leaves in the file only the keys of epochs after this one, and no other file beside it that holds any: what held them is
 * overwritten, then removed. Returns the keys that are left. A crash leaves the file before, or the new one with the old one still beside it
 * under another name: to be called again. Overwriting proves nothing on file systems that copy on write, nor on flash.
 */
export function removeRootKeys(path: string, epoch: number): RootKey[] {
  const before = keysOf(path);
  const left = before.filter((key) => key.epoch > epoch);
  if (left.length === 0) throw new RangeError(`${path} has no root key but those to be removed`);
  if (left.length < before.length) replace(path, left);
  for (const key of before) if (key.epoch <= epoch) key.bytes.fill(0);
  for (const other of besides(path)) wipe(other);
  syncFolder(path);
  return left;
}

function keysOf(path: string): RootKey[] {
  const found = readRootKeyFile(path);
  if (!found) throw new RootKeyError(`${path}: missing; restore it from its backup`);
  return found;
}

/** Whoever reads meanwhile finds the file before, or this one. The one before stays under another name, so that it can be wiped. */
function replace(path: string, keys: readonly RootKey[]): void {
  const temporary = written(path, keys);
  linkSync(path, `${path}.${randomBytes(6).toString('hex')}.old`);
  renameSync(temporary, path);
  syncFolder(path);
  for (const other of besides(path)) if (other.endsWith('.old')) wipe(other);
  syncFolder(path);
}

/** Files that held root keys, or were to: of a crash, or of a process that is at it. */
function besides(path: string): string[] {
  const own = basename(path);
  return readdirSync(dirname(path))
    .filter((name) => name.startsWith(`${own}.`) && /\.[0-9a-f]{12}\.(old|tmp)$/.test(name))
    .map((name) => join(dirname(path), name));
}

function wipe(path: string): void {
  try {
    const file = openSync(path, 'r+');
    try {
      writeSync(file, randomBytes(statSync(path).size), 0, undefined, 0);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    unlinkSync(path);
  } catch (error) {
    // Another process has wiped it.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

function written(path: string, keys: readonly RootKey[]): string {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  const [only, ...more] = keys.map(
    ({ epoch, id, bytes }) =>
      `{"epoch":${epoch},${id === '' ? '' : `"id":"${id}",`}"key":"${bytes.toString('base64')}"}`,
  );
  const text = more.length === 0 ? only : `{"epochs":[${[only, ...more].join(',')}]}`;
  const content = Buffer.from(`${text}\n`, 'latin1');
  const file = openSync(temporary, 'wx', 0o600);
  try {
    writeSync(file, content);
    fsyncSync(file);
  } finally {
    closeSync(file);
    content.fill(0);
  }
  return temporary;
}

function syncFolder(path: string): void {
  const directory = openSync(dirname(path), 'r');
  fsyncSync(directory);
  closeSync(directory);
}
