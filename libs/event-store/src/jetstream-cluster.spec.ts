import { connect, type NatsConnection } from 'nats';
import { EVENTS_STREAM } from '#domain/subjects';
import { startNatsCluster, type TestNatsCluster } from '../../../test/support/nats-cluster';
import { type TestNats, until } from '../../../test/support/nats-server';
import { append, Collector, readAll, textOf } from './event-store.suite';
import { JetStreamEventStore } from './jetstream-event-store';
import { ensureEventStream, ensureStreams } from './streams';

jest.setTimeout(180_000);

const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1);
const numbered = (i: number) => `kms.evt.eu-central-1.000000000000.key.n${i}`;

let cluster: TestNatsCluster;
let connections: NatsConnection[];

beforeAll(async () => {
  cluster = await startNatsCluster(3);
  connections = await Promise.all(
    upTo(3).map(() => connect({ servers: cluster.urls, reconnectTimeWait: 50, maxReconnectAttempts: -1 })),
  );
  await Promise.all(connections.map((nc) => ensureStreams(nc, { replicas: 3 })));
});

afterAll(async () => {
  await Promise.all(connections.map((nc) => nc.close()));
  await cluster.stop();
});

/** The node that leads the log's stream, once there is one. */
async function leadingNode(nc: NatsConnection): Promise<TestNats> {
  const jsm = await nc.jetstreamManager({ checkAPI: false });
  let leader: string | undefined;
  await until(async () => {
    const info = await jsm.streams.info(EVENTS_STREAM).catch(() => undefined);
    leader = info?.cluster?.leader;
    return leader !== undefined;
  }, 'the stream has no leader');
  return cluster.nodes[Number(leader!.slice(1)) - 1]!;
}

it('keeps every acknowledged append, and every follower in order, when leaders are killed one after another', async () => {
  const [writers, follower, observer] = connections as [NatsConnection, NatsConnection, NatsConnection];
  const store = new JetStreamEventStore(writers, { retryMs: 60_000 });
  const collector = new Collector();
  const following = await new JetStreamEventStore(follower, { heartbeatMs: 300 }).follow(1, collector);
  const acknowledged = new Map<number, string>();
  let started = 0;
  let loaded = true;
  const writer = async () => {
    while (loaded) {
      const subject = numbered(++started);
      acknowledged.set(await store.append(append(subject, subject, 0)), subject);
    }
  };
  const more = (count: number, otherwise: string) => {
    const wanted = acknowledged.size + count;
    return until(() => acknowledged.size >= wanted, otherwise, 60_000);
  };
  const writing = Promise.all(upTo(4).map(writer));
  for (const _round of upTo(2)) {
    await more(40, 'appends stood still');
    const node = await leadingNode(observer);
    await node.kill9();
    await more(10, 'appends stood still without the leader');
    await cluster.rejoin(node);
  }
  loaded = false;
  await writing;
  await collector.until(() => collector.commits.length >= started || collector.errors.length > 0);
  await following.stop();
  expect(collector.errors).toEqual([]);
  expect(collector.commits.map((commit) => commit.seq)).toEqual(upTo(started));
  const commits = await readAll(new JetStreamEventStore(observer));
  expect(commits.map(textOf)).toEqual(collector.commits.map(textOf));
  expect(new Set(commits.map((commit) => commit.subject)).size).toBe(started);
  for (const commit of commits) expect(acknowledged.get(commit.seq)).toBe(textOf(commit));
});

it('lets one of several contenders win, whichever node each is connected to', async () => {
  const stores = connections.map((nc) => new JetStreamEventStore(nc));
  const subject = 'kms.evt.eu-central-1.000000000000.key.contended';
  let newest = 0;
  for (const round of upTo(5)) {
    const outcomes = await Promise.allSettled(
      stores.map((store, i) => store.append(append(subject, `round ${round} by ${i}`, newest))),
    );
    const won = outcomes.filter((outcome) => outcome.status === 'fulfilled');
    expect(won).toHaveLength(1);
    newest = won[0]!.value;
  }
  expect(await readAll(stores[0]!, 1, subject)).toHaveLength(5);
});

it('finds the streams of the cluster strong enough when asked again', async () => {
  await expect(ensureEventStream(connections[0]!, { replicas: 3 })).resolves.toBeUndefined();
  await expect(ensureEventStream(connections[0]!, { replicas: 1 })).resolves.toBeUndefined();
});
