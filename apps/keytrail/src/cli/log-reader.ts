import { Presets, SingleBar } from 'cli-progress';
import type { StoredCommit } from '#event-store/event-store';
import { JetStreamEventStore } from '#event-store/jetstream-event-store';
import type { Operator } from './operator';

/** From this many commits on, reading takes long enough for a progress bar. */
const LONG_LOG = 20_000;

/** Reads the whole log in order, with a progress bar on a terminal when it is long. Returns how many there were. */
export async function readLog(operator: Operator, onCommit: (commit: StoredCommit) => void): Promise<number> {
  const store = new JetStreamEventStore(operator.nats);
  const total = await store.lastPosition();
  const bar = progressBar(total, 'commits');
  bar?.start(total, 0);
  let count = 0;
  try {
    for await (const commit of store.read(1)) {
      onCommit(commit);
      count++;
      if (count % 1_000 === 0) bar?.update(count);
    }
    bar?.update(count);
  } finally {
    bar?.stop();
  }
  return count;
}

/** A progress bar on a terminal, where it is about so many that reading takes a while. */
export const progressBar = (total: number, what: string): SingleBar | undefined =>
  total >= LONG_LOG && process.stderr.isTTY
    ? new SingleBar(
        { stream: process.stderr, format: `{bar} {percentage}% | {value}/{total} ${what} | {eta_formatted}` },
        Presets.shades_classic,
      )
    : undefined;
