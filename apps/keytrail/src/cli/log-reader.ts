import { Presets, SingleBar } from 'cli-progress';
import type { Commit } from '#domain/commit';
import type { StoredCommit } from '#event-store/event-store';
import { JetStreamEventStore } from '#event-store/jetstream-event-store';
import { readPart } from '#event-store/partial-read';
import { MomentFold } from '#views/moment';
import type { Operator } from './operator';
import { Snapshots } from './snapshots';

/** From this many commits on, reading takes long enough for a progress bar. */
const LONG_LOG = 20_000;
const SNAPSHOT_EVERY = 50_000;

/** Reads the log in order from a position on, with a progress bar on a terminal when it is long. Returns how many there were. */
export async function readLog(operator: Operator, onCommit: (commit: StoredCommit) => void, from = 1): Promise<number> {
  const store = new JetStreamEventStore(operator.nats);
  const total = (await store.lastPosition()) - from + 1;
  const progress = new Progress(total);
  let count = 0;
  try {
    for await (const commit of store.read(from)) {
      onCommit(commit);
      count++;
      if (count % 1_000 === 0) progress.at(count);
    }
    progress.at(count);
  } finally {
    progress.stop();
  }
  return count;
}

export interface SnapshotPlace {
  /** The data folder. */
  dataDir: string;
  /** Told of a snapshot that did not fit. */
  warn(line: string): void;
  /** After how many commits the next reader is left a snapshot to go on from. Default 50,000. */
  snapshotEvery?: number;
}

/** Everything at a moment; at the end of the log without `at`. Goes on from the newest snapshot before it, and leaves others. */
export async function everythingAt(
  operator: Operator,
  at: string | undefined,
  { dataDir, warn, snapshotEvery = SNAPSHOT_EVERY }: SnapshotPlace,
): Promise<MomentFold> {
  const snapshots = new Snapshots(dataDir, operator.nats, {
    refused: (file, reason) => warn(`snapshot ${file} is left aside: ${reason}; the log is read instead`),
  });
  const fold = await snapshots.foldFrom(at);
  let left = snapshotEvery;
  await readLog(
    operator,
    (commit) => {
      fold.take(commit);
      if (--left > 0 || !fold.isWhole) return;
      snapshots.write(fold, commit.bytes);
      left = snapshotEvery;
    },
    fold.projection.position + 1,
  );
  return fold;
}

/** The same from the start of the log, telling of each commit of the moment. */
export async function historyAt(
  operator: Operator,
  at: string | undefined,
  onCommit: (commit: Commit, stored: StoredCommit) => void,
): Promise<MomentFold> {
  const fold = new MomentFold(at);
  await readLog(operator, (stored) => {
    const commit = fold.take(stored);
    if (commit) onCommit(commit, stored);
  });
  return fold;
}

/** What is on some subjects at a moment, from the log alone: the server finds them without reading the rest. */
export async function partAt(
  operator: Operator,
  subjects: readonly string[],
  at: string | undefined,
  onCommit: (commit: Commit, stored: StoredCommit) => void = () => {},
): Promise<MomentFold> {
  const fold = new MomentFold(at);
  const { end, count, commits } = await readPart(operator.nats, subjects);
  const progress = new Progress(count);
  let read = 0;
  try {
    for await (const stored of commits) {
      const commit = fold.takeApart(stored);
      if (commit) onCommit(commit, stored);
      if (++read % 1_000 === 0) progress.at(read);
    }
  } finally {
    progress.stop();
  }
  fold.projection.skipTo(end);
  return fold;
}

/** A bar on a terminal, where there is enough to read. */
export class Progress {
  private readonly bar: SingleBar | undefined;

  constructor(total: number, what = 'commits', long = LONG_LOG) {
    this.bar = progressBar(total, what, long);
    this.bar?.start(total, 0);
  }

  at(count: number): void {
    this.bar?.update(count);
  }

  stop(): void {
    this.bar?.stop();
  }
}

/** A progress bar on a terminal, where it is about so many that reading takes a while. */
export const progressBar = (total: number, what: string, long = LONG_LOG): SingleBar | undefined =>
  total >= long && process.stderr.isTTY
    ? new SingleBar(
        { stream: process.stderr, format: `{bar} {percentage}% | {value}/{total} ${what} | {eta_formatted}` },
        Presets.shades_classic,
      )
    : undefined;
