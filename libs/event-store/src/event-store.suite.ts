import fc from 'fast-check';
import { type AppendRequest, ConflictError, type EventStore, type StoredCommit } from './event-store';
import { LogDamagedError } from './log-damage';

/** Stores on one new, empty log. `other` sees the same log as another process would. */
export interface LogUnderTest {
  store: EventStore;
  other: EventStore;
  close(): Promise<void>;
}

const KEY = 'kms.evt.eu-central-1.000000000000.key.k1';
const SECOND_KEY = 'kms.evt.eu-central-1.000000000000.key.k2';
const ALIAS = 'kms.evt.eu-west-1.000000000000.alias.a1';

let ids = 0;
/** An append of text, with an id of its own unless given. */
export const append = (
  subject: string,
  text: string,
  expectedLastSeq: number,
  appendId = `id-${++ids}`,
): AppendRequest => ({ subject, bytes: Buffer.from(text), expectedLastSeq, appendId });

export async function readAll(store: EventStore, from = 1, filter?: string): Promise<StoredCommit[]> {
  const commits: StoredCommit[] = [];
  for await (const commit of store.read(from, filter)) commits.push(commit);
  return commits;
}

export const textOf = (commit: StoredCommit): string => Buffer.from(commit.bytes).toString('utf8');
const textsOf = (commits: StoredCommit[]): string[] => commits.map(textOf);

/** Collects what a follower gets, and lets a test wait for it. */
export class Collector {
  readonly commits: StoredCommit[] = [];
  readonly errors: Error[] = [];
  private waiting: (() => void)[] = [];

  onCommit = (commit: StoredCommit): void => {
    this.commits.push(commit);
    this.wake();
  };

  onError = (error: Error): void => {
    this.errors.push(error);
    this.wake();
  };

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resume) => this.waiting.push(resume));
  }

  private wake(): void {
    for (const resume of this.waiting.splice(0)) resume();
  }
}

/** What every adapter of the event log must do. */
export function describeEventStore(name: string, newLog: () => Promise<LogUnderTest>): void {
  describe(name, () => {
    let log: LogUnderTest;
    let store: EventStore;
    beforeEach(async () => {
      log = await newLog();
      store = log.store;
    });
    afterEach(() => log.close());

    describe('append', () => {
      it('gives positions from 1 on, over all subjects', async () => {
        expect(await store.append(append(KEY, 'a', 0))).toBe(1);
        expect(await store.append(append(ALIAS, 'b', 0))).toBe(2);
        expect(await store.append(append(KEY, 'c', 1))).toBe(3);
      });

      it('refuses a decision made on an older state, and appends nothing', async () => {
        await store.append(append(KEY, 'a', 0));
        await store.append(append(KEY, 'b', 1));
        await expect(store.append(append(KEY, 'stale', 1))).rejects.toThrow(ConflictError);
        await expect(store.append(append(KEY, 'stale', 0))).rejects.toThrow(ConflictError);
        expect(textsOf(await readAll(store))).toEqual(['a', 'b']);
      });

      it('refuses a decision made on a position that the subject has not reached', async () => {
        await store.append(append(KEY, 'a', 0));
        await store.append(append(SECOND_KEY, 'b', 0));
        await expect(store.append(append(KEY, 'ahead', 2))).rejects.toThrow(ConflictError);
        await expect(store.append(append(ALIAS, 'ahead', 7))).rejects.toThrow(ConflictError);
        expect(await store.lastPosition()).toBe(2);
      });

      it('does not mind what happens on other subjects', async () => {
        await store.append(append(KEY, 'a', 0));
        for (let i = 0; i < 5; i++) await store.append(append(`${ALIAS}${i}`, 'x', 0));
        expect(await store.append(append(KEY, 'b', 1))).toBe(7);
      });

      it('gives a repeat the position of the first, however much was appended since', async () => {
        const first = append(KEY, 'a', 0);
        expect(await store.append(first)).toBe(1);
        expect(await store.append(first)).toBe(1);
        await store.append(append(KEY, 'b', 1));
        await store.append(append(KEY, 'c', 2));
        expect(await log.other.append(first)).toBe(1);
        expect(textsOf(await readAll(store))).toEqual(['a', 'b', 'c']);
      });

      it('appends once when the same append is made several times at once', async () => {
        const same = append(KEY, 'a', 0);
        const positions = await Promise.all([store, log.other, store, log.other].map((one) => one.append(same)));
        expect(positions).toEqual([1, 1, 1, 1]);
        expect(textsOf(await readAll(store))).toEqual(['a']);
      });

      it('lets exactly one of many concurrent appenders win each round', async () => {
        let newest = 0;
        for (let round = 1; round <= 5; round++) {
          const contenders = Array.from({ length: 8 }, (_, i) =>
            (i % 2 ? store : log.other).append(append(KEY, `round ${round}, contender ${i}`, newest)),
          );
          const outcomes = await Promise.allSettled(contenders);
          const winners = outcomes.filter((outcome) => outcome.status === 'fulfilled');
          const losers = outcomes.filter((outcome) => outcome.status === 'rejected');
          expect(winners.map((winner) => winner.value)).toEqual([round]);
          expect(losers.every((loser) => loser.reason instanceof ConflictError)).toBe(true);
          newest = round;
        }
        expect(await store.lastPosition()).toBe(5);
      });

      it('keeps exactly the bytes', async () => {
        const subject = (i: number) => `kms.evt.eu-central-1.000000000000.key.bytes-${i}`;
        const samples = [new Uint8Array(0), Uint8Array.from({ length: 256 }, (_, i) => i), Buffer.from('\r\nÄ€\0😀')];
        for (const [i, bytes] of samples.entries()) {
          await store.append({ subject: subject(i), bytes, expectedLastSeq: 0, appendId: `bytes-${++ids}` });
        }
        const inBulk = await readAll(store);
        expect(inBulk.map((commit) => Buffer.from(commit.bytes))).toEqual(samples.map((bytes) => Buffer.from(bytes)));
        for (const [i, bytes] of samples.entries()) {
          const [alone] = await readAll(store, 1, subject(i));
          expect(Buffer.from(alone!.bytes)).toEqual(Buffer.from(bytes));
        }
      });

      it('does not depend on what the caller does with its bytes afterwards', async () => {
        const bytes = Buffer.from('before');
        await store.append({ subject: KEY, bytes, expectedLastSeq: 0, appendId: `reused-${++ids}` });
        bytes.write('after!');
        expect(textsOf(await readAll(store))).toEqual(['before']);
      });
    });

    describe('read', () => {
      it('ends at once on an empty log, and past the end of a log', async () => {
        expect(await readAll(store)).toEqual([]);
        expect(await readAll(store, 1, KEY)).toEqual([]);
        await store.append(append(KEY, 'a', 0));
        expect(await readAll(store, 2)).toEqual([]);
        expect(await readAll(store, 2, KEY)).toEqual([]);
        expect(await readAll(store, 1, ALIAS)).toEqual([]);
      });

      it('gives every commit from a position on, in order', async () => {
        for (let i = 1; i <= 20; i++) await store.append(append(`${ALIAS}-${i}`, `commit ${i}`, 0));
        const commits = await readAll(log.other, 8);
        expect(commits.map((commit) => commit.seq)).toEqual(Array.from({ length: 13 }, (_, i) => i + 8));
        expect(textsOf(commits)).toEqual(commits.map((commit) => `commit ${commit.seq}`));
        expect(commits[0]!.subject).toBe(`${ALIAS}-8`);
      });

      it.each([
        [KEY, [1, 4]],
        ['kms.evt.*.*.key.*', [1, 2, 4]],
        ['kms.evt.eu-west-1.>', [3]],
        ['kms.evt.>', [1, 2, 3, 4]],
        ['kms.evt.*.*.key', []],
      ])('gives only what the filter %s matches', async (filter, positions) => {
        await store.append(append(KEY, 'a', 0));
        await store.append(append(SECOND_KEY, 'b', 0));
        await store.append(append(ALIAS, 'c', 0));
        await store.append(append(KEY, 'd', 1));
        expect((await readAll(store, 1, filter)).map((commit) => commit.seq)).toEqual(positions);
        const later = positions.filter((position) => position >= 2);
        expect((await readAll(store, 2, filter)).map((commit) => commit.seq)).toEqual(later);
      });

      it('may be left half way', async () => {
        for (let i = 0; i < 10; i++) await store.append(append(`${ALIAS}-${i}`, 'x', 0));
        for await (const commit of store.read(1)) if (commit.seq === 3) break;
        expect(await readAll(store)).toHaveLength(10);
      });

      it('ends although the log grows while it is read', async () => {
        for (let i = 0; i < 3; i++) await store.append(append(`${ALIAS}-${i}`, 'x', 0));
        const seen: number[] = [];
        for await (const { seq } of store.read(1)) {
          seen.push(seq);
          await store.append(append(`${ALIAS}-more-${seq}`, 'x', 0));
        }
        expect(seen).toEqual([1, 2, 3]);
      });
    });

    describe('follow', () => {
      it('gives what is there, then what comes, each once and in order', async () => {
        for (let i = 1; i <= 3; i++) await store.append(append(`${ALIAS}-${i}`, 'x', 0));
        const collector = new Collector();
        const following = await store.follow(2, collector);
        for (let i = 4; i <= 30; i++) await log.other.append(append(`${ALIAS}-${i}`, 'x', 0));
        await collector.until(() => collector.commits.at(-1)?.seq === 30);
        await following.stop();
        expect(collector.commits.map((commit) => commit.seq)).toEqual(Array.from({ length: 29 }, (_, i) => i + 2));
        expect(collector.errors).toEqual([]);
      });

      it('starts on an empty log, and at the end of one', async () => {
        const first = new Collector();
        const following = [await store.follow(1, first)];
        await store.append(append(KEY, 'a', 0));
        const second = new Collector();
        following.push(await store.follow(2, second));
        await store.append(append(KEY, 'b', 1));
        await first.until(() => first.commits.length === 2);
        await second.until(() => second.commits.length === 1);
        for (const one of following) await one.stop();
        expect(textsOf(first.commits)).toEqual(['a', 'b']);
        expect(textsOf(second.commits)).toEqual(['b']);
      });

      it('gives nothing more once stopped', async () => {
        const stopped = new Collector();
        const going = new Collector();
        const following = await store.follow(1, stopped);
        const other = await store.follow(1, going);
        await store.append(append(KEY, 'a', 0));
        await stopped.until(() => stopped.commits.length === 1);
        await following.stop();
        await store.append(append(KEY, 'b', 1));
        await going.until(() => going.commits.length === 2);
        await other.stop();
        expect(stopped.commits).toHaveLength(1);
        expect(stopped.errors).toEqual([]);
      });

      it('tells once that a handler threw, and gives it nothing more', async () => {
        const going = new Collector();
        const failing = new Collector();
        const poison = new Error('cannot fold this');
        await store.follow(1, {
          onCommit: (commit) => {
            failing.onCommit(commit);
            if (commit.seq === 2) throw poison;
          },
          onError: failing.onError,
        });
        const other = await store.follow(1, going);
        for (let i = 0; i < 4; i++) await store.append(append(KEY, 'x', i));
        await failing.until(() => failing.errors.length > 0);
        await going.until(() => going.commits.length === 4);
        await other.stop();
        expect(failing.errors).toEqual([poison]);
        expect(failing.commits).toHaveLength(2);
      });

      it('refuses to start past the end of the log: commits that were seen before must have been lost', async () => {
        await store.append(append(KEY, 'a', 0));
        await expect(store.follow(3, new Collector())).rejects.toThrow(LogDamagedError);
      });
    });

    describe('lastPosition', () => {
      it('is 0 on an empty log, then that of the newest commit whoever appended it', async () => {
        expect(await store.lastPosition()).toBe(0);
        await log.other.append(append(KEY, 'a', 0));
        await log.other.append(append(ALIAS, 'b', 0));
        expect(await store.lastPosition()).toBe(2);
      });
    });

    it('keeps every history contiguous under any interleaving of appenders', async () => {
      const plan = fc.array(
        fc.array(fc.record({ subject: fc.nat(2), staleness: fc.nat(2) }), { minLength: 1, maxLength: 6 }),
        { minLength: 1, maxLength: 4 },
      );
      let run = 0;
      await fc.assert(
        fc.asyncProperty(plan, async (writers) => {
          const prefix = `kms.evt.eu-central-1.000000000000.key.run-${++run}`;
          const start = await store.lastPosition();
          const acknowledged: number[] = [];
          await Promise.all(
            writers.map(async (steps, i) => {
              const writer = i % 2 ? store : log.other;
              for (const { subject, staleness } of steps) {
                const name = `${prefix}-${subject}`;
                const history = (await readAll(writer, 1, name)).map((commit) => commit.seq);
                // With some staleness the decision is made on an older state, as by a process that lags.
                const basis = history.at(-1 - staleness) ?? 0;
                const outcome = await writer.append(append(name, String(basis), basis)).catch((error: Error) => error);
                if (typeof outcome === 'number') acknowledged.push(outcome);
                else expect(outcome).toBeInstanceOf(ConflictError);
              }
            }),
          );
          const written = await readAll(store, start + 1);
          expect(acknowledged.sort((a, b) => a - b)).toEqual(written.map((commit) => commit.seq));
          const newest = new Map<string, number>();
          for (const commit of written) {
            expect(textOf(commit)).toBe(String(newest.get(commit.subject) ?? 0));
            newest.set(commit.subject, commit.seq);
          }
        }),
        { numRuns: 20 },
      );
    });
  });
}
