import {
  appendFileSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { join } from 'node:path';
import type { NatsConnection } from 'nats';
import { commitHash } from '#domain/commit';
import { EVENTS_STREAM } from '#domain/subjects';
import { storedMessage } from '#event-store/jetstream-api';
import { MomentFold } from '#views/moment';
import { Projection } from '#views/projection';
import { decodeSnapshot, encodeSnapshot, type Snapshot, SnapshotUnfitError } from '#views/snapshot';

const FOLDER = 'snapshots';
const NAME = /^([1-9]\d{0,14})\.jsonl$/;
const TIMEOUT_MS = 5_000;
/** Characters that are written at once. */
const CHUNK = 1 << 20;

export interface SnapshotNotes {
  /** Told of each snapshot that was thrown away, and why. */
  refused(file: string, reason: string): void;
}

/**
 * Folds of the log up to some position, in the data folder. They only save time: each is checked against its checksum and
 * the commit at its position, and thrown away where it does not fit. Whoever may write there can make one that fits, as he
 * can alter the log's own files; what must be sure is read without them.
 */
export class Snapshots {
  constructor(
    private readonly dataDir: string,
    private readonly nats: NatsConnection,
    private readonly notes: SnapshotNotes,
  ) {}

  /** A fold that may go on from the newest snapshot before the moment, else from the start of the log. */
  async foldFrom(at: string | undefined): Promise<MomentFold> {
    for (const position of snapshotPositions(this.dataDir)) {
      if (at !== undefined && untilOf(snapshotPath(this.dataDir, position)) > at) continue;
      const snapshot = await this.read(position);
      if (!snapshot || (at !== undefined && snapshot.until > at)) continue;
      const projection = new Projection();
      projection.restore(snapshot.folded, snapshot.position);
      const fold = new MomentFold(at, projection);
      fold.until = snapshot.until;
      return fold;
    }
    return new MomentFold(at);
  }

  /** Keeps what the log up to here folds to. A crash leaves a file of another name behind, which nobody reads. */
  write({ projection, until }: MomentFold, newest: Uint8Array): void {
    const { position } = projection;
    const path = snapshotPath(this.dataDir, position);
    const partial = `${path}.${process.pid}.partial`;
    try {
      if (!existsSync(this.dataDir) || existsSync(path)) return;
      mkdirSync(join(this.dataDir, FOLDER), { recursive: true, mode: 0o700 });
      const file = openSync(partial, 'w', 0o600);
      try {
        let chunk = '';
        for (const piece of encodeSnapshot({ position, until, commitHash: commitHash(newest) }, projection)) {
          chunk += piece;
          if (chunk.length < CHUNK) continue;
          appendFileSync(file, chunk);
          chunk = '';
        }
        appendFileSync(file, chunk);
      } finally {
        closeSync(file);
      }
      renameSync(partial, path);
    } catch (error) {
      // A full disk, a folder of somebody else: the next one reads more, and that is all.
      rmSync(partial, { force: true });
      this.notes.refused(path, (error as Error).message);
    }
  }

  private async read(position: number): Promise<Snapshot | undefined> {
    const path = snapshotPath(this.dataDir, position);
    try {
      const snapshot = decodeSnapshot(readFileSync(path));
      if (snapshot.position !== position) throw new SnapshotUnfitError(`it is of position ${snapshot.position}`);
      const held = await storedMessage(this.nats, EVENTS_STREAM, { seq: position }, TIMEOUT_MS);
      if (!held || commitHash(Buffer.from(held.data ?? '', 'base64')) !== snapshot.commitHash) {
        throw new SnapshotUnfitError('it is of another log');
      }
      return snapshot;
    } catch (error) {
      if (!(error instanceof SnapshotUnfitError)) throw error;
      rmSync(path, { force: true });
      this.notes.refused(path, error.message);
      return undefined;
    }
  }
}

/** Positions of the snapshots there are, the newest first. */
export function snapshotPositions(dataDir: string): number[] {
  const folder = join(dataDir, FOLDER);
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .flatMap((name) => NAME.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => b - a);
}

export const snapshotPath = (dataDir: string, position: number): string => join(dataDir, FOLDER, `${position}.jsonl`);

/** More than the head of a snapshot takes. */
const HEAD_BYTES = 1_024;

/** What the head says, unchecked: so that one of after the moment need not be read whole. '' where it cannot be told. */
function untilOf(path: string): string {
  const file = openSync(path, 'r');
  try {
    const head = Buffer.alloc(HEAD_BYTES);
    const length = readSync(file, head, 0, HEAD_BYTES, 0);
    return /"until":"([^"]*)"/.exec(head.toString('utf8', 0, length))?.[1] ?? '';
  } finally {
    closeSync(file);
  }
}
