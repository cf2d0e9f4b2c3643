import { connect, type NatsConnection, type StreamConfig } from 'nats';
import { AUDIT_STREAM, CLOCK_STREAM, EVENTS_STREAM, MATERIAL_STREAM, TREE_STREAM } from '#domain/subjects';
import { startNats, type TestNats, until } from '../../../test/support/nats-server';
import { StoreUnavailableError } from './event-store';
import { EVENTS_CONFIG, ensureEventStream, ensureMaterialStream, ensureStreams, MATERIAL_CONFIG } from './streams';

let server: TestNats;
let connections: NatsConnection[];
let nc: NatsConnection;

beforeAll(async () => {
  server = await startNats();
  connections = await Promise.all([1, 2, 3, 4].map(() => connect({ servers: server.url })));
  nc = connections[0]!;
});

afterEach(async () => {
  const jsm = await nc.jetstreamManager();
  for await (const name of jsm.streams.names()) await jsm.streams.delete(name);
});

afterAll(async () => {
  await Promise.all(connections.map((one) => one.close()));
  await server.stop();
});

/** nats-server may still be removing the files of the deleted stream of this name, and has no place for the new one then. */
async function added(config: object): Promise<void> {
  const jsm = await nc.jetstreamManager();
  await until(async () => {
    try {
      await jsm.streams.add({ num_replicas: 1, ...config } as StreamConfig & { name: string });
      return true;
    } catch (error) {
      if ((error as Error).message.includes('error creating store')) return false;
      throw error;
    }
  }, 'the stream was not made');
}

it('makes the four streams, from several processes at once and again later', async () => {
  await Promise.all(connections.map((one) => ensureStreams(one, { replicas: 1 })));
  await ensureStreams(nc, { replicas: 1 });
  const jsm = await nc.jetstreamManager();
  const names: string[] = [];
  for await (const name of jsm.streams.names()) names.push(name);
  expect(names.sort()).toEqual([AUDIT_STREAM, CLOCK_STREAM, EVENTS_STREAM, MATERIAL_STREAM, TREE_STREAM].sort());
});

it('lets nobody delete from the log or purge it', async () => {
  await ensureEventStream(nc, { replicas: 1 });
  const jsm = await nc.jetstreamManager();
  await nc.jetstream().publish('kms.evt.r.a.key.k', 'x');
  await expect(jsm.streams.deleteMessage(EVENTS_STREAM, 1)).rejects.toThrow();
  await expect(jsm.streams.purge(EVENTS_STREAM)).rejects.toThrow();
  expect((await jsm.streams.info(EVENTS_STREAM)).state.messages).toBe(1);
});

it('never overwrites a material, and lets a single one be erased', async () => {
  await ensureMaterialStream(nc, { replicas: 1 });
  const jsm = await nc.jetstreamManager();
  await nc.jetstream().publish('kms.mat.m1', 'first');
  const answer = await nc.request('kms.mat.m1', 'second');
  expect(answer.json()).toMatchObject({ error: { description: 'maximum messages per subject exceeded' } });
  const stored = await jsm.streams.getMessage(MATERIAL_STREAM, { last_by_subj: 'kms.mat.m1' });
  expect(stored.string()).toBe('first');
  expect(await jsm.streams.deleteMessage(MATERIAL_STREAM, 1, true)).toBe(true);
  await expect(jsm.streams.purge(MATERIAL_STREAM)).rejects.toThrow();
});

describe('a stream that stands with a weaker setting', () => {
  const weaken = (base: object, change: object) => added({ ...base, ...change });

  it.each([
    [{ storage: 'memory' }, 'storage is "memory", expected "file"'],
    [{ deny_delete: false }, 'deny_delete is false, expected true'],
    [{ deny_purge: false }, 'deny_purge is false, expected true'],
    [{ discard: 'old' }, 'discard is "old", expected "new"'],
    [{ max_age: 3_600_000_000_000 }, 'max_age is 3600000000000, expected 0'],
    [{ max_msgs: 1000 }, 'max_msgs is 1000, expected -1'],
    [{ max_bytes: 1_000_000 }, 'max_bytes is 1000000, expected -1'],
    [{ max_msgs_per_subject: 5 }, 'max_msgs_per_subject is 5, expected -1'],
    [{ retention: 'interest' }, 'retention is "interest", expected "limits"'],
    [{ allow_direct: false }, 'allow_direct is false, expected true'],
    [{ allow_rollup_hdrs: true, deny_purge: false }, 'allow_rollup_hdrs is true, expected false'],
    [{ no_ack: true }, 'no_ack is true, expected false'],
    [{ subjects: ['kms.evt.eu-central-1.>'] }, 'subjects is ["kms.evt.eu-central-1.>"], expected ["kms.evt.>"]'],
    [{ duplicate_window: 1_000_000_000 }, 'duplicate_window is 1000000000, expected at least 120000000000'],
  ])('is refused: %j', async (change, complaint) => {
    await weaken(EVENTS_CONFIG, change);
    await expect(ensureStreams(nc, { replicas: 1 })).rejects.toThrow(`stream KMS_EVENTS: ${complaint}`);
  });

  it('is refused where a material could be overwritten', async () => {
    await weaken(MATERIAL_CONFIG, { discard_new_per_subject: false });
    await expect(ensureMaterialStream(nc, { replicas: 1 })).rejects.toThrow(
      'stream KMS_MATERIAL: discard_new_per_subject is false, expected true',
    );
  });

  it('is refused where it has one replica and three are asked for', async () => {
    await weaken(EVENTS_CONFIG, {});
    await expect(ensureEventStream(nc, { replicas: 3 })).rejects.toThrow('num_replicas is 1, expected at least 3');
  });
});

it('accepts a stream that remembers append ids for longer', async () => {
  await added({ ...EVENTS_CONFIG, duplicate_window: 600_000_000_000 });
  await expect(ensureEventStream(nc, { replicas: 1 })).resolves.toBeUndefined();
});

it('says that the server is unavailable when it does not answer in time', async () => {
  const other = await startNats();
  const lost = await connect({ servers: other.url, maxReconnectAttempts: -1 });
  await other.kill9();
  await expect(ensureEventStream(lost, { replicas: 1, retryMs: 100 })).rejects.toThrow(StoreUnavailableError);
  await lost.close();
  await other.stop();
});
