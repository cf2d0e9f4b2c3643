import { randomBytes } from 'node:crypto';
import { connect, type NatsConnection } from 'nats';
import { EVENTS_STREAM } from '#domain/subjects';
import { streamInfo } from '#event-store/jetstream-api';
import { startNatsCluster, type TestNatsCluster } from './support/nats-cluster';
import { type TestNats, until } from './support/nats-server';
import { type AppProcess, startApp } from './support/processes';
import { askOverNats, RootOverNats } from './support/root-over-nats';

/** What a service does beside a NATS node that leads the log, and is cut off from all others. */
jest.setTimeout(120_000);

const LEASE_MS = 5_000;
const SETTINGS = {
  KEYTRAIL_LEASE_MS: String(LEASE_MS),
  KEYTRAIL_REPLICAS: '3',
  KEYTRAIL_RECORDS: 'off',
  KEYTRAIL_ROOT_KEY: randomBytes(32).toString('base64'),
  KEYTRAIL_ROOT_ACCESS_KEY_ID: 'AKIAROOT',
  KEYTRAIL_ROOT_SECRET_ACCESS_KEY: 'secret',
};

let cluster: TestNatsCluster;
let nats: NatsConnection;
const apps: AppProcess[] = [];

async function start(app: string, node: TestNats): Promise<AppProcess> {
  const started = await startApp(app, node.url, SETTINGS);
  apps.push(started);
  return started;
}

/** The node that leads the log, as that one says itself. */
async function leader(): Promise<TestNats> {
  const name = (await streamInfo(nats, EVENTS_STREAM, 5_000)).cluster?.leader;
  return cluster.nodes[Number(name?.slice(1)) - 1]!;
}

const signal = (nodes: readonly TestNats[], name: NodeJS.Signals): void => {
  for (const { pid } of nodes) if (pid !== undefined) process.kill(pid, name);
};

beforeAll(async () => {
  cluster = await startNatsCluster();
  nats = await connect({ servers: cluster.nodes[0]!.url });
  // The streams must be there before it can be told beside which node to be.
  await (await start('key-manager', cluster.nodes[0]!)).stop();
  const besides = await leader();
  await nats.close();
  nats = await connect({ servers: besides.url, reconnect: false });
  await Promise.all(['key-manager', 'crypto-worker'].map((app) => start(app, besides)));
});

afterAll(async () => {
  if (cluster) signal(cluster.nodes, 'SIGCONT');
  await nats?.close();
  await Promise.all(apps.map((app) => app.kill9()));
  await cluster?.stop();
});

test('beside a leader without a majority a crypto-worker and a key-manager serve for no longer than their lease', async () => {
  const KeyId = await new RootOverNats(nats).newKey();
  const USES: Record<string, object> = { Encrypt: { KeyId, Plaintext: 'AAAA' }, DescribeKey: { KeyId } };
  const outcome = async (use: string): Promise<string> =>
    (await askOverNats(nats, 'root', use, USES[use]!)).__type ?? 'OK';
  const all = () => Promise.all(Object.keys(USES).map(outcome));
  await until(async () => (await all()).every((one) => one === 'OK'), 'the services did not serve');

  const cutOff = await leader();
  expect(nats.getServer()).toBe(new URL(cutOff.url).host);
  signal(
    cluster.nodes.filter((node) => node !== cutOff),
    'SIGSTOP',
  );
  const stopped = performance.now();
  for (const use of Object.keys(USES)) {
    // The majority was last heard from before it stopped, so whatever is asked after that and a lease must be refused.
    let asked: number;
    let answer: string;
    do {
      asked = performance.now();
      answer = await outcome(use);
    } while (answer === 'OK' && asked <= stopped + LEASE_MS);
    expect({ use, answer }).toEqual({ use, answer: 'KMSInternalException' });
  }
  // Nor did they stop since nobody answered them: the leader still does.
  expect(await leader()).toBe(cutOff);

  signal(cluster.nodes, 'SIGCONT');
  await until(async () => (await all()).every((one) => one === 'OK'), 'the services did not serve again', 60_000);
});
