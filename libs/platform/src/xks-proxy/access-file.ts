import { mkdirSync, unwatchFile, watchFile } from 'node:fs';
import { dirname } from 'node:path';
import type { Logger } from 'pino';
import { readOwnFile } from '#hsm/own-file';
import { type Access, formatAccess, NO_ACCESS, parseAccess } from '#xks/access';
import { hold } from '../data-folder-lock';
import { writePrivately } from '../private-file';
import { SettingsError } from '../settings';

/** Who may use what, from its file; nobody, where there is none. Throws SettingsError, or RootKeyError if others may read it. */
export function readAccess(path: string): Access {
  const bytes = readOwnFile(path, 'credentials');
  if (!bytes) return NO_ACCESS;
  const access = parseAccess(bytes.toString('utf8'));
  bytes.fill(0);
  if (typeof access === 'string') throw new SettingsError(`${path}: ${access}`);
  return access;
}

/**
 * Writes what `next` makes of it, whole: a crash, or an error of `next`, leaves the file that was. Throws SettingsError while another
 * process changes it, whose change would be lost.
 */
export function changeAccess(path: string, next: (access: Access) => Access): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const lock = hold(
    `${path}.lock`,
    (pid) => new SettingsError(`${path}: is being changed by another command (pid ${pid}); try again`),
  );
  try {
    writePrivately(path, formatAccess(next(readAccess(path))));
  } finally {
    lock.release();
  }
}

const LOOK_AGAIN_MS = 1_000;

/** The file, read again when it changes and on SIGHUP. What cannot be used is logged, and what was before stays. */
export class AccessFile {
  private access: Access;
  private readonly look = (): void => this.reload();

  constructor(
    private readonly path: string,
    private readonly log: Logger,
  ) {
    this.access = readAccess(path);
  }

  get current(): Access {
    return this.access;
  }

  watch(): void {
    watchFile(this.path, { persistent: false, interval: LOOK_AGAIN_MS }, this.look);
    process.on('SIGHUP', this.look);
  }

  stop(): void {
    unwatchFile(this.path, this.look);
    process.off('SIGHUP', this.look);
  }

  private reload(): void {
    try {
      this.access = readAccess(this.path);
      this.log.info({ credentials: this.access.credentials.length }, 'who may use what was read again');
    } catch (error) {
      this.log.error({ err: error }, 'who may use what cannot be read; what was before stays');
    }
  }
}
