import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Puts a file in the place of the former one, on disk before this returns. A crash, of the machine too, leaves either the
 * former file or the new one, whole; and perhaps `<path>.tmp`.
 */
export function replaceDurably(path: string, bytes: Uint8Array): void {
  const temporary = `${path}.tmp`;
  const made = mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const file = openSync(temporary, 'w', 0o644);
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
  syncFolder(dirname(path));
  // So are the folders that were made for it.
  if (made !== undefined)
    for (let at = dirname(path); at.length >= made.length; at = dirname(at)) syncFolder(dirname(at));
}

/** A rename is on disk once its folder is. */
function syncFolder(path: string): void {
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
