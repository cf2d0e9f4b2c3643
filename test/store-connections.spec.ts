import type { ClusterConnection, XksConnection } from '#hsm/key-store/store-connection';
import {
  describeClusterConnection,
  describeStoreConnection,
  type OpenedStore,
} from '#hsm/key-store/store-connection.suite';
import { connectXks } from '#hsm/xks/xks-connection';
import { CLUSTER_ID, FakeKeyStores, PROXY } from './support/fake-key-stores';
import { TestCluster } from './support/hsm-cluster';
import { softHsm, softHsmModule } from './support/softhsm';
import { keytrailXks, newCredential, startXksProxy, xksSettings } from './support/xks-proxy';

const idOf = (nth: number): string => String(nth).repeat(64);
const [first, second, missing] = [idOf(1), idOf(2), idOf(3)] as const;

/** The stand-ins of the tests in memory do what the real ones do. */
async function fakeCluster(): Promise<OpenedStore<ClusterConnection>> {
  const connection = new FakeKeyStores().clusters.get(CLUSTER_ID)!.connection();
  for (const key of [first, second]) await connection.makeKey(key);
  return { connection, keys: [first, second], missing, remove: async () => {} };
}

async function fakeProxy(): Promise<OpenedStore<XksConnection>> {
  const proxy = new FakeKeyStores().proxies.get(PROXY)!;
  for (const key of ['first', 'second']) proxy.addKey(key);
  return { connection: proxy.connection(), keys: ['first', 'second'], missing: 'third', remove: async () => {} };
}

describeStoreConnection('a cluster in memory', fakeCluster);
describeClusterConnection('a cluster in memory', fakeCluster);
describeStoreConnection('a proxy in memory', fakeProxy);

const modulePath = softHsmModule();
if (modulePath !== undefined) {
  const realCluster = async (): Promise<OpenedStore<ClusterConnection>> => {
    const cluster = await TestCluster.make(modulePath);
    const connection = await cluster.connect();
    for (const key of [first, second]) await connection.makeKey(key);
    return { connection, keys: [first, second], missing, remove: () => cluster.remove() };
  };
  const realProxy = async (): Promise<OpenedStore<XksConnection>> => {
    const hsm = softHsm(modulePath);
    const settings = xksSettings(hsm);
    for (const key of ['first', 'second']) await keytrailXks(settings, 'create-key', '--id', key);
    const credential = await newCredential(settings);
    const proxy = await startXksProxy(settings);
    const connection = await connectXks({
      ...{ uriEndpoint: new URL(proxy.endpoint).origin, uriPath: '/kms/xks/v1', region: 'us-east-1' },
      ...{ ...credential, allowLoopback: true, requestTimeoutMs: 30_000 },
    });
    const remove = async (): Promise<void> => {
      await connection.close();
      await proxy.stop();
      hsm.remove();
    };
    return { connection, keys: ['first', 'second'], missing: 'third', remove };
  };
  describeStoreConnection('a cluster of SoftHSMs', realCluster);
  describeClusterConnection('a cluster of SoftHSMs', realCluster);
  describeStoreConnection('apps/xks-proxy over a SoftHSM', realProxy);
}
