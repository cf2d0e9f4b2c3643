import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  ConnectCustomKeyStoreCommand,
  CreateCustomKeyStoreCommand,
  CreateKeyCommand,
  DecryptCommand,
  DeleteCustomKeyStoreCommand,
  DescribeCustomKeyStoresCommand,
  DescribeKeyCommand,
  DisconnectCustomKeyStoreCommand,
  EncryptCommand,
  type KMSClient,
  UpdateCustomKeyStoreCommand,
} from '@aws-sdk/client-kms';
import { calloutPublicKeys, newCalloutSeeds } from '#platform/callout-keys';
import { natsPermissions, natsUserScope, renderAuthorization } from '#platform/nats-users';
import { clientsOf } from './support/identities';
import { MisbehavingProxy } from './support/misbehaving-proxy';
import { freePort, startNats, type TestNats, until } from './support/nats-server';
import { type AppProcess, startApp } from './support/processes';

const ROOT = { accessKeyId: 'AKIAROOT', secretAccessKey: 'the-secret-of-root' };
const PASSWORD = 'of-all-services';
const CREDENTIAL = { AccessKeyId: 'ABCDEFGHIJKLMNOPQRST', RawSecretAccessKey: 's'.repeat(43) };

let dataDir: string;
let nats: TestNats;
let proxy: MisbehavingProxy;
let kms: KMSClient;
let startWorker: (nth: number) => Promise<AppProcess>;
const apps: AppProcess[] = [];
const workers: AppProcess[] = [];

/** Each service as the NATS user that it is in a cluster, with no more than that one's permissions. */
beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-key-stores-'));
  proxy = await MisbehavingProxy.start();
  const seeds = newCalloutSeeds();
  const password = () => JSON.stringify(PASSWORD);
  nats = await startNats({
    config: renderAuthorization(natsPermissions(natsUserScope()), password, calloutPublicKeys(seeds)),
  });
  const port = await freePort();
  const settings = {
    KEYTRAIL_NATS_PASSWORD: PASSWORD,
    KEYTRAIL_ROOT_KEY: randomBytes(32).toString('base64'),
    KEYTRAIL_ROOT_ACCESS_KEY_ID: ROOT.accessKeyId,
    KEYTRAIL_ROOT_SECRET_ACCESS_KEY: ROOT.secretAccessKey,
    KEYTRAIL_PORT: String(port),
    KEYTRAIL_LEASE_MS: '1000',
    KEYTRAIL_QUOTAS: 'off',
    KEYTRAIL_XKS_STORE_LOOPBACK: 'true',
  };
  const start = (app: string, name = app) =>
    startApp(app, nats.url, { ...settings, KEYTRAIL_NATS_USER: app, KEYTRAIL_DATA_DIR: join(dataDir, name) });
  startWorker = (nth) => start('crypto-worker', `crypto-worker-${nth}`);
  apps.push(await start('key-manager'));
  workers.push(...(await Promise.all([startWorker(0), startWorker(1)])));
  apps.push(await start('gateway'));
  ({ kms } = clientsOf(`http://127.0.0.1:${port}`, ROOT));
}, 60_000);

afterAll(async () => {
  await Promise.all([...workers, ...apps].map((app) => app.stop()));
  await nats?.stop();
  await proxy?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

test('separate processes connect and use a custom key store, and none uses it once it is disconnected', async () => {
  const { CustomKeyStoreId } = await kms.send(
    new CreateCustomKeyStoreCommand({
      ...{ CustomKeyStoreName: 'outside', CustomKeyStoreType: 'EXTERNAL_KEY_STORE' },
      ...{ XksProxyConnectivity: 'PUBLIC_ENDPOINT', XksProxyUriPath: '/kms/xks/v1' },
      ...{ XksProxyUriEndpoint: proxy.endpoint, XksProxyAuthenticationCredential: CREDENTIAL },
    }),
  );
  const reaches = (state: string) =>
    until(async () => {
      const { CustomKeyStores } = await kms.send(new DescribeCustomKeyStoresCommand({ CustomKeyStoreId }));
      return CustomKeyStores![0]!.ConnectionState === state;
    }, `the store is not ${state}`);
  await kms.send(new ConnectCustomKeyStoreCommand({ CustomKeyStoreId }));
  await reaches('CONNECTED');
  const created = await kms.send(
    new CreateKeyCommand({ Origin: 'EXTERNAL_KEY_STORE', CustomKeyStoreId, XksKeyId: 'outer' }),
  );
  const { KeyId } = created.KeyMetadata!;
  const { CiphertextBlob } = await kms.send(new EncryptCommand({ KeyId, Plaintext: Buffer.from('a') }));
  const decrypt = () => kms.send(new DecryptCommand({ CiphertextBlob }));
  // Each of the workers, in however many milliseconds it takes on a busy machine.
  const allDecrypt = async () => {
    for (let times = 0; times < 6; times++) {
      await until(
        () =>
          decrypt().then(
            () => true,
            () => false,
          ),
        'it is not decrypted',
      );
    }
  };
  await allDecrypt();

  await workers[0]!.kill9();
  await allDecrypt();
  workers[0] = await startWorker(0);
  await allDecrypt();

  const XksProxyAuthenticationCredential = { ...CREDENTIAL, RawSecretAccessKey: 't'.repeat(43) };
  await kms.send(new UpdateCustomKeyStoreCommand({ CustomKeyStoreId, XksProxyAuthenticationCredential }));
  await allDecrypt();

  await kms.send(new DisconnectCustomKeyStoreCommand({ CustomKeyStoreId }));
  const received = proxy.received.length;
  const refused = { name: 'KMSInvalidStateException', message: expect.stringContaining('is unavailable') };
  for (let times = 0; times < 6; times++) await expect(decrypt()).rejects.toMatchObject(refused);
  expect(proxy.received).toHaveLength(received);
  await reaches('DISCONNECTED');
  expect((await kms.send(new DescribeKeyCommand({ KeyId }))).KeyMetadata!.KeyState).toBe('Unavailable');
  await expect(kms.send(new DeleteCustomKeyStoreCommand({ CustomKeyStoreId }))).rejects.toMatchObject({
    name: 'CustomKeyStoreHasCMKsException',
  });

  await kms.send(new ConnectCustomKeyStoreCommand({ CustomKeyStoreId }));
  await reaches('CONNECTED');
  await allDecrypt();
}, 120_000);
