import type { FollowHandler, StoredCommit } from '#event-store/event-store';
import { chunksOf, type SourceLog } from './stream-source';

const message = (seq: number): StoredCommit => ({ seq, subject: 'kms.aud.w', bytes: Buffer.from(String(seq)) });

/** A log that grows when the test says so, and tells how it was read. */
class GrowingLog implements SourceLog {
  readonly reads: number[] = [];
  followers = 0;
  private newest = 0;
  private handler: FollowHandler | undefined;
  private followed: () => void = () => {};

  constructor(newest: number) {
    this.newest = newest;
  }

  async *read(from: number): AsyncGenerator<StoredCommit> {
    this.reads.push(from);
    for (let seq = from, until = this.newest; seq <= until; seq++) yield message(seq);
  }

  async follow(from: number, handler: FollowHandler): Promise<{ stop(): Promise<void> }> {
    this.followers++;
    for (let seq = from; seq <= this.newest; seq++) handler.onCommit(message(seq));
    this.handler = handler;
    this.followed();
    return {
      stop: async () => {
        this.followers--;
        this.handler = undefined;
      },
    };
  }

  untilFollowed(): Promise<void> {
    return this.handler ? Promise.resolve() : new Promise((done) => (this.followed = done));
  }

  grow(count: number): void {
    for (let n = 0; n < count; n++) this.handler?.onCommit(message(++this.newest));
  }

  fail(error: Error): void {
    this.handler?.onError(error);
  }
}

const next = async (chunks: AsyncGenerator<StoredCommit[]>): Promise<number[]> =>
  (await chunks.next()).value?.map(({ seq }: StoredCommit) => seq) ?? [];

let ending: AbortController;
beforeEach(() => {
  ending = new AbortController();
});

test('what there is comes in bulk, what follows as it comes', async () => {
  const log = new GrowingLog(3);
  const chunks = chunksOf(log, 2, ending.signal);
  expect(await next(chunks)).toEqual([2, 3]);
  const following = next(chunks);
  await log.untilFollowed();
  log.grow(2);
  expect(await following).toEqual([4, 5]);
  expect(log.reads).toEqual([2]);
});

test('no chunk is longer than a transaction should be', async () => {
  const chunks = chunksOf(new GrowingLog(600), 1, ending.signal);
  expect((await next(chunks)).length).toBe(256);
  expect((await next(chunks)).length).toBe(256);
  expect((await next(chunks)).length).toBe(88);
});

test('a reader that falls far behind reads in bulk again, and misses nothing', async () => {
  const log = new GrowingLog(0);
  const chunks = chunksOf(log, 1, ending.signal);
  const first = next(chunks);
  await log.untilFollowed();
  log.grow(1);
  const seen = [...(await first)];
  log.grow(5_000);
  while (seen.length < 5_001) seen.push(...(await next(chunks)));
  expect(seen).toEqual(Array.from({ length: 5_001 }, (_, at) => at + 1));
  expect(log.reads).toEqual([1, 2_002]);
});

test('what follows gathers until that is cut short, or a transaction is full', async () => {
  const log = new GrowingLog(0);
  let cutShort = (): void => {};
  const gathering = { whole: () => new Promise<void>((done) => (cutShort = done)), cutShort: () => cutShort() };
  const chunks = chunksOf(log, 1, ending.signal, gathering);
  const some = next(chunks);
  await log.untilFollowed();
  log.grow(1);
  log.grow(1);
  await new Promise(setImmediate);
  log.grow(1);
  cutShort();
  expect(await some).toEqual([1, 2, 3]);
  const full = next(chunks);
  await new Promise(setImmediate);
  log.grow(1);
  await new Promise(setImmediate);
  log.grow(255);
  expect((await full).length).toBe(256);
});

test('it ends when it is told to, and follows no more', async () => {
  const log = new GrowingLog(0);
  const waiting = chunksOf(log, 1, ending.signal).next();
  await log.untilFollowed();
  ending.abort();
  expect((await waiting).done).toBe(true);
  expect(log.followers).toBe(0);
});

test('what the log cannot get over is thrown, once what came before it was given out', async () => {
  const log = new GrowingLog(0);
  const chunks = chunksOf(log, 1, ending.signal);
  const first = next(chunks);
  await log.untilFollowed();
  log.grow(1);
  log.fail(new Error('a position is missing'));
  expect(await first).toEqual([1]);
  await expect(chunks.next()).rejects.toThrow('a position is missing');
  expect(log.followers).toBe(0);
});
