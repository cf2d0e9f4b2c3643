import { connect, headers, type NatsConnection } from 'nats';
import { EVENTS_STREAM } from '#domain/subjects';
import { startCuttingProxy } from '../../../test/support/cutting-proxy';
import { startNats, type TestNats, until } from '../../../test/support/nats-server';
import { ConflictError, type EventStore, StoreUnavailableError } from './event-store';
import { append, Collector, readAll, textOf } from './event-store.suite';
import { CommitTooLargeError, JetStreamEventStore } from './jetstream-event-store';
import { LogDamagedError } from './log-damage';
import { EVENTS_CONFIG, ensureEventStream } from './streams';

const KEY = 'kms.evt.eu-central-1.000000000000.key.k1';
const numbered = (i: number) => `kms.evt.eu-central-1.000000000000.key.n${i}`;
const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1);

let server: TestNats;
let open: NatsConnection[];

const connection = async (url = server.url): Promise<NatsConnection> => {
  const nc = await connect({ servers: url, reconnectTimeWait: 20, maxReconnectAttempts: -1 });
  open.push(nc);
  return nc;
};

beforeEach(async () => {
  open = [];
  server = await startNats();
});

afterEach(async () => {
  await Promise.all(open.map((nc) => nc.close()));
  await server.stop();
});

describe('a killed server', () => {
  it('has every acknowledged append after kill -9 and restart, and nothing twice', async () => {
    const nc = await connection();
    await ensureEventStream(nc, { replicas: 1 });
    const store = new JetStreamEventStore(nc, { retryMs: 20_000 });
    const acknowledged = new Map<number, string>();
    let started = 0;
    const writer = async () => {
      while (acknowledged.size < 300) {
        const subject = numbered(++started);
        acknowledged.set(await store.append(append(subject, subject, 0)), subject);
      }
    };
    const writing = Promise.all(upTo(8).map(writer));
    for (const acks of [60, 150]) {
      await until(() => acknowledged.size >= acks, 'appends stood still');
      await server.kill9();
      await server.restart();
    }
    await writing;
    const commits = await readAll(store);
    expect(commits).toHaveLength(started);
    expect(new Set(commits.map((commit) => commit.subject)).size).toBe(started);
    for (const commit of commits) expect(acknowledged.get(commit.seq)).toBe(textOf(commit));
  });

  it('makes an append wait, which then succeeds', async () => {
    const nc = await connection();
    await ensureEventStream(nc, { replicas: 1 });
    const store = new JetStreamEventStore(nc, { retryMs: 20_000 });
    await server.kill9();
    const waiting = store.append(append(KEY, 'a', 0));
    await server.restart();
    expect(await waiting).toBe(1);
    expect((await readAll(store)).map(textOf)).toEqual(['a']);
  });

  it('makes an append fail once its time is over, and a later repeat append it once', async () => {
    const nc = await connection();
    await ensureEventStream(nc, { replicas: 1 });
    const store = new JetStreamEventStore(nc, { retryMs: 200 });
    await server.kill9();
    const request = append(KEY, 'a', 0);
    await expect(store.append(request)).rejects.toThrow(StoreUnavailableError);
    await expect(store.lastPosition()).rejects.toThrow(StoreUnavailableError);
    await expect(readAll(store)).rejects.toThrow(StoreUnavailableError);
    await expect(store.follow(1, new Collector())).rejects.toThrow(StoreUnavailableError);
    await server.restart();
    expect(await new JetStreamEventStore(nc).append(request)).toBe(1);
    expect((await readAll(new JetStreamEventStore(nc))).map(textOf)).toEqual(['a']);
  });

  it('does not disturb the order or completeness of what a follower gets', async () => {
    const nc = await connection();
    await ensureEventStream(nc, { replicas: 1 });
    const store = new JetStreamEventStore(nc, { retryMs: 20_000 });
    const follower = new JetStreamEventStore(await connection(), { heartbeatMs: 200 });
    const collector = new Collector();
    const following = await follower.follow(1, collector);
    for (const i of upTo(300)) {
      await store.append(append(numbered(i), 'x', 0));
      if (i === 100) await server.kill9().then(() => server.restart());
      if (i === 200) await server.restart();
    }
    await collector.until(() => collector.commits.length >= 300 || collector.errors.length > 0);
    await following.stop();
    expect(collector.commits.map((commit) => commit.seq)).toEqual(upTo(300));
    expect(collector.errors).toEqual([]);
  });

  it('does not break a bulk read that is under way', async () => {
    const nc = await connection();
    await ensureEventStream(nc, { replicas: 1 });
    const store = new JetStreamEventStore(nc, { retryMs: 20_000, heartbeatMs: 200 });
    const filler = Buffer.alloc(20_000);
    for (let i = 1; i <= 3000; i++) nc.publish(numbered(i), filler);
    await until(async () => (await store.lastPosition()) === 3000, 'the log was not filled');
    const seen: number[] = [];
    for await (const { seq } of store.read(1)) {
      seen.push(seq);
      if (seq === 10) await server.kill9().then(() => server.restart());
    }
    expect(seen).toEqual(upTo(3000));
  });
});

describe('a lost consumer', () => {
  it('is replaced, and the follower misses nothing', async () => {
    const nc = await connection();
    await ensureEventStream(nc, { replicas: 1 });
    const store = new JetStreamEventStore(nc, { heartbeatMs: 100 });
    const collector = new Collector();
    const following = await store.follow(1, collector);
    await store.append(append(KEY, 'a', 0));
    await collector.until(() => collector.commits.length === 1);
    const jsm = await nc.jetstreamManager();
    for await (const consumer of jsm.consumers.list(EVENTS_STREAM)) {
      await jsm.consumers.delete(EVENTS_STREAM, consumer.name);
    }
    await store.append(append(KEY, 'b', 1));
    await collector.until(() => collector.commits.length === 2);
    await following.stop();
    expect(collector.commits.map(textOf)).toEqual(['a', 'b']);
  });
});

describe('a lost acknowledgement', () => {
  it('does not append twice: the retry gets the position of the first', async () => {
    const direct = await connection();
    await ensureEventStream(direct, { replicas: 1 });
    const proxy = await startCuttingProxy(server.port);
    const store = new JetStreamEventStore(await connection(proxy.url));
    const watcher = new JetStreamEventStore(direct);
    const request = append(KEY, 'a', 0, 'the-lost-one');
    const swallowed = proxy.swallowRepliesAfter('the-lost-one');
    const appending = store.append(request);
    const { cut } = await swallowed;
    await until(async () => (await watcher.lastPosition()) === 1, 'the publish did not arrive');
    cut();
    expect(await appending).toBe(1);
    expect((await readAll(watcher)).map(textOf)).toEqual(['a']);
    await proxy.stop();
  });

  it('is not taken for a conflict when others have built on the append meanwhile', async () => {
    const direct = await connection();
    await ensureEventStream(direct, { replicas: 1 });
    const proxy = await startCuttingProxy(server.port);
    const store = new JetStreamEventStore(await connection(proxy.url));
    const watcher = new JetStreamEventStore(direct);
    const swallowed = proxy.swallowRepliesAfter('overtaken');
    const appending = store.append(append(KEY, 'a', 0, 'overtaken'));
    const { cut } = await swallowed;
    await until(async () => (await watcher.lastPosition()) === 1, 'the publish did not arrive');
    await watcher.append(append(KEY, 'b', 1));
    cut();
    expect(await appending).toBe(1);
    expect((await readAll(watcher)).map(textOf)).toEqual(['a', 'b']);
    await proxy.stop();
  });

  it('does no harm after the server forgot the id', async () => {
    const nc = await connection();
    const jsm = await nc.jetstreamManager();
    await jsm.streams.add({ name: EVENTS_STREAM, subjects: ['kms.evt.>'], duplicate_window: 100_000_000 });
    const store = new JetStreamEventStore(nc);
    const request = append(KEY, 'a', 0, 'forgotten');
    expect(await store.append(request)).toBe(1);
    await store.append(append(KEY, 'b', 1));
    const probe = headers();
    probe.set('Nats-Msg-Id', 'forgotten');
    probe.set('Nats-Expected-Last-Subject-Sequence', '999');
    const isForgotten = async () => {
      const reply = await nc.request(KEY, '', { headers: probe, timeout: 2000 });
      return 'error' in reply.json<object>();
    };
    await until(isForgotten, 'the server went on remembering the id');
    expect(await store.append(request)).toBe(1);
    await expect(store.append(append(KEY, 'stale', 0))).rejects.toThrow(ConflictError);
    expect((await readAll(store)).map(textOf)).toEqual(['a', 'b']);
  });
});

describe('a commit over the server’s limit', () => {
  it('is refused with its size and the limit, and the store goes on', async () => {
    await server.stop();
    server = await startNats({ config: 'max_payload: 10000' });
    const nc = await connection();
    await ensureEventStream(nc, { replicas: 1 });
    const store = new JetStreamEventStore(nc);
    const large = append(KEY, 'x'.repeat(10_000), 0);
    await expect(store.append(large)).rejects.toThrow(CommitTooLargeError);
    await expect(store.append(large)).rejects.toThrow(/10000 bytes .* limit of 10000/);
    expect(await store.append(append(KEY, 'a', 0))).toBe(1);
  });
});

describe('a closed connection', () => {
  it('makes everything unavailable at once, and ends followers with an error', async () => {
    const nc = await connection();
    await ensureEventStream(nc, { replicas: 1 });
    const store = new JetStreamEventStore(nc);
    const collector = new Collector();
    await store.follow(1, collector);
    await nc.close();
    await collector.until(() => collector.errors.length > 0);
    expect(collector.errors).toEqual([expect.any(StoreUnavailableError)]);
    await expect(store.append(append(KEY, 'a', 0))).rejects.toThrow(StoreUnavailableError);
    await expect(readAll(store)).rejects.toThrow(StoreUnavailableError);
    await expect(readAll(store, 1, KEY)).rejects.toThrow(StoreUnavailableError);
    await expect(store.lastPosition()).rejects.toThrow(StoreUnavailableError);
    await expect(store.follow(1, new Collector())).rejects.toThrow(StoreUnavailableError);
  });
});

describe('a damaged log', () => {
  /** A log of five commits on a stream that, unlike Keytrail's own, lets messages be deleted. */
  async function logWithout(...missing: number[]): Promise<EventStore> {
    const nc = await connection();
    const jsm = await nc.jetstreamManager();
    const { name, subjects } = { name: EVENTS_CONFIG.name, subjects: ['kms.evt.>'] };
    await jsm.streams.add({ name, subjects });
    // Half of it is given to a leader that may lag; the other half must be enough for three questions on a busy machine.
    const store = new JetStreamEventStore(nc, { retryMs: 2_000, heartbeatMs: 100 });
    for (const i of upTo(5)) await store.append(append(numbered(i), 'x', 0));
    for (const seq of missing) await jsm.streams.deleteMessage(name, seq);
    return store;
  }

  it.each([[1], [3], [5]])('is not read over when position %i is missing', async (seq) => {
    const store = await logWithout(seq);
    await expect(readAll(store)).rejects.toThrow(LogDamagedError);
    await expect(readAll(store)).rejects.toThrow(`position ${seq} is missing from KMS_EVENTS`);
  });

  it('is not read over when all positions are missing', async () => {
    await expect(readAll(await logWithout(1, 2, 3, 4, 5))).rejects.toThrow('position 1 is missing');
  });

  it('ends a follower with an error that names the missing position, after what is before it', async () => {
    const store = await logWithout(3, 4);
    const collector = new Collector();
    await store.follow(1, collector);
    await collector.until(() => collector.errors.length > 0);
    expect(collector.commits.map((commit) => commit.seq)).toEqual([1, 2]);
    expect(collector.errors).toEqual([expect.any(LogDamagedError)]);
    expect(collector.errors[0]!.message).toContain('position 3 is missing from KMS_EVENTS');
  });

  it('is not followed when its end is missing, behind which nothing could show the gap', async () => {
    const store = await logWithout(4, 5);
    await expect(store.follow(1, new Collector())).rejects.toThrow(LogDamagedError);
    await expect(store.follow(1, new Collector())).rejects.toThrow('position 4 is missing from KMS_EVENTS');
  });

  it.each([
    ['gone', 'KMS_EVENTS does not exist'],
    ['made anew and empty', 'KMS_EVENTS ends at position 0, but position 5 was read before'],
    ['made anew and filled', 'position 5 of KMS_EVENTS is not the commit that was read there before'],
  ])('ends a follower with an error when the stream is %s', async (fate, complaint) => {
    const store = await logWithout();
    const collector = new Collector();
    await store.follow(1, collector);
    await collector.until(() => collector.commits.length === 5);
    const nc = open[0]!;
    const jsm = await nc.jetstreamManager();
    await jsm.streams.delete(EVENTS_STREAM);
    if (fate !== 'gone') await ensureEventStream(nc, { replicas: 1 });
    if (fate.endsWith('filled')) for (const i of upTo(6)) await store.append(append(numbered(i), 'y', 0));
    await collector.until(() => collector.errors.length > 0);
    expect(collector.errors).toEqual([expect.any(LogDamagedError)]);
    expect(collector.errors[0]!.message).toContain(complaint);
  });
});
