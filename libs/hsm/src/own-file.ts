import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { RootKeyError } from './root-key-error';

/**
 * The content of a file that none but its owner may read; undefined where there is none. Checked on the open file, so it cannot
 * be swapped between. `what` it holds is for the message of RootKeyError.
 */
export function readOwnFile(path: string, what: string): Buffer | undefined {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new RootKeyError(`${path}: cannot be read; give it to the user that runs Keytrail, mode 0600`, {
      cause: error,
    });
  }
  try {
    const stat = fstatSync(file);
    if (!stat.isFile()) throw new RootKeyError(`${path}: not a file; name the one with ${what}`);
    if ((stat.mode & 0o077) !== 0) {
      throw new RootKeyError(`${path}: others may read or write ${what}; run: chmod 600 ${path}`);
    }
    return readFileSync(file);
  } finally {
    closeSync(file);
  }
}
