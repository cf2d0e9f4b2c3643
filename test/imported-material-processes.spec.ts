import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateKeyCommand,
  DecryptCommand,
  DeleteImportedKeyMaterialCommand,
  DescribeKeyCommand,
  EncryptCommand,
  GetParametersForImportCommand,
  ImportKeyMaterialCommand,
  type ImportKeyMaterialCommandInput,
  KMSClient,
  ReplicateKeyCommand,
  RotateKeyOnDemandCommand,
} from '@aws-sdk/client-kms';
import { calloutPublicKeys, newCalloutSeeds } from '#platform/callout-keys';
import { natsPermissions, natsUserScope, renderAuthorization } from '#platform/nats-users';
import { clientsOf } from './support/identities';
import { freePort, startNats, type TestNats } from './support/nats-server';
import { type AppProcess, MAIN, run, startApp } from './support/processes';
import { newMaterial, wrap } from './support/wrapping';

const ROOT = { accessKeyId: 'AKIAROOT', secretAccessKey: 'the-secret-of-root' };
const DAY_MS = 86_400_000;
const PASSWORD = 'of-all-services';
const OAEP = 'RSAES_OAEP_SHA_256';

let dataDir: string;
let nats: TestNats;
let endpoint: string;
const apps: AppProcess[] = [];

/** Each service as the NATS user that it is in a cluster, with no more than that one's permissions. */
beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-import-processes-'));
  const seeds = newCalloutSeeds();
  const password = () => JSON.stringify(PASSWORD);
  nats = await startNats({
    config: renderAuthorization(natsPermissions(natsUserScope()), password, calloutPublicKeys(seeds)),
  });
  const port = await freePort();
  endpoint = `http://127.0.0.1:${port}`;
  const settings = {
    KEYTRAIL_NATS_PASSWORD: PASSWORD,
    KEYTRAIL_ROOT_KEY: randomBytes(32).toString('base64'),
    KEYTRAIL_ROOT_ACCESS_KEY_ID: ROOT.accessKeyId,
    KEYTRAIL_ROOT_SECRET_ACCESS_KEY: ROOT.secretAccessKey,
    KEYTRAIL_PORT: String(port),
    KEYTRAIL_LEASE_MS: '500',
    KEYTRAIL_CLOCK: 'virtual',
  };
  const start = (app: string, name = app) =>
    startApp(app, nats.url, { ...settings, KEYTRAIL_NATS_USER: app, KEYTRAIL_DATA_DIR: join(dataDir, name) });
  apps.push(await start('key-manager'));
  // Two workers: a token of the one is good for the other.
  const rest = ['crypto-worker', 'crypto-worker', 'deletion-scheduler', 'gateway'];
  apps.push(...(await Promise.all(rest.map((app, at) => start(app, `${app}-${at}`)))));
}, 60_000);

afterAll(async () => {
  await Promise.all(apps.map((app) => app.stop()));
  await nats?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

/** For ever, unless it says to when. */
async function bring(
  kms: KMSClient,
  KeyId: string,
  material: Buffer,
  more: Partial<ImportKeyMaterialCommandInput>,
): Promise<void> {
  const wrapping = { WrappingAlgorithm: OAEP, WrappingKeySpec: 'RSA_2048' } as const;
  const { ImportToken, PublicKey } = await kms.send(new GetParametersForImportCommand({ KeyId, ...wrapping }));
  const ExpirationModel = more.ValidTo ? 'KEY_MATERIAL_EXPIRES' : 'KEY_MATERIAL_DOES_NOT_EXPIRE';
  const EncryptedKeyMaterial = wrap(OAEP, PublicKey!, material);
  await kms.send(new ImportKeyMaterialCommand({ KeyId, ImportToken, EncryptedKeyMaterial, ExpirationModel, ...more }));
}

test('separate processes import, expire and delete material, and agree at once', async () => {
  const { kms } = clientsOf(endpoint, ROOT);
  const { KeyId } = (await kms.send(new CreateKeyCommand({ Origin: 'EXTERNAL' }))).KeyMetadata!;
  const { material } = newMaterial('SYMMETRIC_DEFAULT');
  const state = async () => (await kms.send(new DescribeKeyCommand({ KeyId }))).KeyMetadata!.KeyState;

  const importFor = (ValidTo?: Date) => bring(kms, KeyId!, material, { ValidTo });
  await importFor();
  const { CiphertextBlob } = await kms.send(new EncryptCommand({ KeyId, Plaintext: Buffer.from('a') }));
  const decrypt = () => kms.send(new DecryptCommand({ CiphertextBlob }));
  const refused = expect.objectContaining({ name: 'KMSInvalidStateException' });
  // Each of the workers.
  for (let i = 0; i < 6; i++) await decrypt();
  await kms.send(new DeleteImportedKeyMaterialCommand({ KeyId }));
  for (let i = 0; i < 6; i++) await expect(decrypt()).rejects.toThrow(refused);
  await importFor();
  for (let i = 0; i < 6; i++) await decrypt();
  await importFor(new Date(Date.now() + DAY_MS));
  const operator = { KEYTRAIL_NATS_URL: nats.url, KEYTRAIL_NATS_USER: 'operator', KEYTRAIL_NATS_PASSWORD: PASSWORD };
  expect(await run([MAIN, 'clock', 'advance', '1d'], operator).done).toMatchObject({ code: 0 });
  expect(await state()).toBe('PendingImport');
  for (let i = 0; i < 6; i++) await expect(decrypt()).rejects.toThrow(refused);
}, 60_000);

test('separate processes import into keys of two regions, and rotate both', async () => {
  const { kms: home } = clientsOf(endpoint, ROOT);
  const away = new KMSClient({ endpoint, region: 'eu-west-1', maxAttempts: 1, credentials: home.config.credentials });
  const { KeyMetadata } = await home.send(new CreateKeyCommand({ Origin: 'EXTERNAL', MultiRegion: true }));
  const KeyId = KeyMetadata!.KeyId!;
  const [first, second] = [newMaterial('SYMMETRIC_DEFAULT').material, newMaterial('SYMMETRIC_DEFAULT').material];
  const current = async (kms: KMSClient) =>
    (await kms.send(new DescribeKeyCommand({ KeyId }))).KeyMetadata!.CurrentKeyMaterialId;

  await bring(home, KeyId, first, {});
  await home.send(new ReplicateKeyCommand({ KeyId, ReplicaRegion: 'eu-west-1' }));
  await bring(away, KeyId, first, {});
  await bring(home, KeyId, second, { ImportType: 'NEW_KEY_MATERIAL' });
  // Whoever answers knows what the key-manager has had the related key do.
  await bring(away, KeyId, second, {});
  const before = await current(away);
  await home.send(new RotateKeyOnDemandCommand({ KeyId }));
  const after = await current(home);
  expect(after).not.toBe(before);
  expect(await current(away)).toBe(after);
  const { CiphertextBlob } = await home.send(new EncryptCommand({ KeyId, Plaintext: Buffer.from('a') }));
  // Each of the workers.
  for (let i = 0; i < 4; i++) await away.send(new DecryptCommand({ CiphertextBlob }));
  await away.send(new DeleteImportedKeyMaterialCommand({ KeyId }));
  const refused = expect.objectContaining({ name: 'KMSInvalidStateException' });
  for (let i = 0; i < 4; i++) {
    await expect(away.send(new DecryptCommand({ CiphertextBlob }))).rejects.toThrow(refused);
    await home.send(new DecryptCommand({ CiphertextBlob }));
  }
}, 60_000);
