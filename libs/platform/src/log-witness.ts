import { createHash } from 'node:crypto';
import { closeSync, constants, fsync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { commitHash, NO_HASH } from '#domain/commit';
import { EVENTS_STREAM } from '#domain/subjects';
import type { EventStore } from '#event-store/event-store';
import { replacedSinceWitness, shorterThanWitness } from '#event-store/log-damage';
import type { LiveView } from '#views/live-view';

/** How far the log had come, and the hash of its newest commit: all that is before it is chained to it or older. */
export interface LogEndWitness {
  position: number;
  /** Hex SHA-256 of the commit's bytes; 64 zeros at position 0. */
  hash: string;
}

export const witnessPath = (dataDir: string): string => join(dataDir, 'log-witness');

const SYNC_MS = 1_000;
const sync = promisify(fsync);

/**
 * The end of the log, in a file that JetStream does not know: nats-server takes a damaged last record for one that was
 * never acknowledged, and cuts it off without a word. Written in place before the change is replied to, so that it
 * outlives a kill of every process; forced to disk within a second, so that a power cut together with a damaged log may
 * hide the last second. The commit is on disk before it is written here: it can be behind the log, never ahead of it.
 */
export class LogWitness {
  private position = 0;
  private readonly file: number;
  private readonly syncing: NodeJS.Timeout;
  private dirty = false;
  private stopped = false;
  private forcing: Promise<void> = Promise.resolve();
  private failed = false;

  private constructor(
    path: string,
    private readonly onError: (error: unknown) => void,
  ) {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    // Not `a`, which would write behind what is there, nor `w`, which would empty it.
    this.file = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
    this.syncing = setInterval(() => this.force(), SYNC_MS).unref();
  }

  /**
   * Compares the log with what the file says, and keeps the file from then on. Throws LogDamagedError. A file that is not
   * there, or cannot be read, says nothing; `onError` is told of the latter, and of what cannot be written.
   */
  static async keep(
    path: string,
    store: Pick<EventStore, 'read' | 'lastPosition'>,
    view: LiveView,
    onError: (error: unknown) => void,
  ): Promise<LogWitness> {
    await assertHolds(store, path, onError);
    const witness = new LogWitness(path, onError);
    view.onCommit(({ region, account, aggregate, id }, position) => {
      const folded = view.projection.folded({ region, account, aggregate, id });
      if (folded) witness.write({ position, hash: folded.hash });
    });
    const { position } = view;
    const hash = await hashAt(store, position);
    if (hash !== undefined && position > witness.position) witness.write({ position, hash });
    return witness;
  }

  /** Never throws: the log is what counts, and a disk that is full or broken shows there. */
  private write(end: LogEndWitness): void {
    if (this.stopped) return;
    this.position = end.position;
    try {
      // Shorter than a sector and never shorter than before: one write leaves either the former or this one.
      writeSync(this.file, encode(end), 0);
      this.dirty = true;
    } catch (error) {
      this.report(error);
    }
  }

  private force(): void {
    if (!this.dirty) return;
    this.dirty = false;
    this.forcing = this.forcing.then(() => sync(this.file)).catch((error: unknown) => this.report(error));
  }

  private report(error: unknown): void {
    if (!this.failed) this.onError(error);
    this.failed = true;
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearInterval(this.syncing);
    this.force();
    await this.forcing;
    closeSync(this.file);
  }
}

/** Throws LogDamagedError unless the log still holds what the file at `path` says it held. */
export async function assertHolds(
  store: Pick<EventStore, 'read' | 'lastPosition'>,
  path: string,
  onError: (error: unknown) => void,
): Promise<void> {
  const said = readWitness(path, onError);
  if (!said) return;
  const last = await store.lastPosition();
  if (last < said.position) throw shorterThanWitness(EVENTS_STREAM, last, said.position, path);
  if ((await hashAt(store, said.position)) !== said.hash)
    throw replacedSinceWitness(EVENTS_STREAM, said.position, path);
}

function readWitness(path: string, onError: (error: unknown) => void): LogEndWitness | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') onError(error);
    return undefined;
  }
  const end = decode(text);
  // Empty: made, and not written to yet.
  if (!end && text !== '') onError(new Error(`${path} is damaged: it cannot tell whether the log has lost its end`));
  return end;
}

async function hashAt(store: Pick<EventStore, 'read'>, position: number): Promise<string | undefined> {
  if (position === 0) return NO_HASH;
  for await (const { seq, bytes } of store.read(position)) return seq === position ? commitHash(bytes) : undefined;
  return undefined;
}

const checksum = (line: string): string => createHash('sha256').update(line).digest('hex').slice(0, 16);

function encode({ position, hash }: LogEndWitness): string {
  const line = `keytrail log witness 1 ${String(position).padStart(16, '0')} ${hash}`;
  return `${line} ${checksum(line)}\n`;
}

function decode(text: string): LogEndWitness | undefined {
  const [, line, position, hash, sum] =
    /^(keytrail log witness 1 (\d{16}) ([0-9a-f]{64})) ([0-9a-f]{16})\n/.exec(text) ?? [];
  if (!line || !hash || checksum(line) !== sum) return undefined;
  return { position: Number(position), hash };
}
