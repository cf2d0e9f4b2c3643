import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateKeyCommand,
  DecryptCommand,
  DisableKeyCommand,
  EnableKeyCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GenerateMacCommand,
  GetParametersForImportCommand,
  ImportKeyMaterialCommand,
  type KeySpec,
  type KeyUsageType,
  type KMSClient,
  ReEncryptCommand,
  SignCommand,
} from '@aws-sdk/client-kms';
import { natsPermissions, natsUserScope, renderAuthorization } from '#platform/nats-users';
import { clientsOf } from './support/identities';
import { freePort, startNats, type TestNats } from './support/nats-server';
import { secretsInMemory } from './support/process-memory';
import { type AppProcess, MAIN, run, startApp } from './support/processes';
import { pkcs11Root, rootKeysIn, softwareRoot, type TestRoot } from './support/roots';
import { type Secret, secretBytes, secretText } from './support/secret-forms';
import { softHsmModule } from './support/softhsm';
import { newMaterial, wrap } from './support/wrapping';

jest.setTimeout(240_000);

const ACCESS_KEY_ID = 'AKIAROOTOFKEYBYTES01';
const PASSWORD = 'of-all-services';
const WRAPPING = { WrappingAlgorithm: 'RSAES_OAEP_SHA_256', WrappingKeySpec: 'RSA_2048' } as const;
/** All but the crypto-worker, which is where keys may be. */
const OTHERS = ['gateway', 'key-manager', 'rotation-scheduler', 'deletion-scheduler', 'audit-projector'];

const modulePath = softHsmModule();
const ROOTS: [string, () => TestRoot][] = [
  ['software', softwareRoot],
  ...(modulePath === undefined ? [] : ([['PKCS#11', () => pkcs11Root(modulePath)]] as [string, () => TestRoot][])),
];

// Only Linux shows a process's memory to whoever started it.
const onLinux = existsSync('/proc/self/mem') ? describe.each(ROOTS) : describe.skip.each(ROOTS);

onLinux('with keys rooted in %s', (_name, newRoot) => {
  let work: string;
  let root: TestRoot;
  let nats: TestNats;
  let kms: KMSClient;
  const apps = new Map<string, AppProcess>();
  /** Where it is known what must not be found. */
  const keys: Secret[] = [];
  const plaintexts: Secret[] = [];

  const dataDir = (app: string): string => join(work, app);
  const start = async (app: string, more: Record<string, string> = {}): Promise<void> => {
    const settings = {
      KEYTRAIL_NATS_USER: app,
      KEYTRAIL_NATS_PASSWORD: PASSWORD,
      KEYTRAIL_DATA_DIR: dataDir(app),
      KEYTRAIL_LEASE_MS: '1000',
      KEYTRAIL_LOG_LEVEL: 'trace',
    };
    apps.set(app, await startApp(app, nats.url, { ...settings, ...more }));
  };
  const operator = (...args: string[]) =>
    run([MAIN, ...args], {
      ...{ KEYTRAIL_NATS_URL: nats.url, KEYTRAIL_NATS_USER: 'operator', KEYTRAIL_NATS_PASSWORD: PASSWORD },
      // Not that of whoever has run npm start in this checkout.
      KEYTRAIL_DATA_DIR: dataDir('operator'),
    }).done;

  /** A key of material that this test knows. */
  async function brought(KeySpec: KeySpec, KeyUsage: KeyUsageType): Promise<string> {
    const { KeyId } = (await kms.send(new CreateKeyCommand({ Origin: 'EXTERNAL', KeySpec, KeyUsage }))).KeyMetadata!;
    const { material, privateKey } = newMaterial(KeySpec);
    const secret = privateKey ? Buffer.from(privateKey.export({ format: 'jwk' }).d!, 'base64url') : material;
    keys.push(secretBytes(`material of ${KeySpec}`, secret));
    const { ImportToken, PublicKey } = await kms.send(new GetParametersForImportCommand({ KeyId, ...WRAPPING }));
    const EncryptedKeyMaterial = wrap(WRAPPING.WrappingAlgorithm, PublicKey!, material);
    const ExpirationModel = 'KEY_MATERIAL_DOES_NOT_EXPIRE';
    await kms.send(new ImportKeyMaterialCommand({ KeyId, ImportToken, EncryptedKeyMaterial, ExpirationModel }));
    return KeyId!;
  }

  async function used(aes: string, hmac: string, ecc: string): Promise<void> {
    const Plaintext = randomBytes(32);
    plaintexts.push(secretBytes('a plaintext', Plaintext));
    const { CiphertextBlob } = await kms.send(new EncryptCommand({ KeyId: aes, Plaintext }));
    await kms.send(new DecryptCommand({ CiphertextBlob }));
    await kms.send(new ReEncryptCommand({ CiphertextBlob, DestinationKeyId: aes }));
    const dataKey = await kms.send(new GenerateDataKeyCommand({ KeyId: aes, KeySpec: 'AES_256' }));
    plaintexts.push(secretBytes('a data key', Buffer.from(dataKey.Plaintext!)));
    await kms.send(new GenerateMacCommand({ KeyId: hmac, Message: Buffer.from('m'), MacAlgorithm: 'HMAC_SHA_256' }));
    await kms.send(new SignCommand({ KeyId: ecc, Message: Buffer.from('m'), SigningAlgorithm: 'ECDSA_SHA_256' }));
    await kms.send(new DisableKeyCommand({ KeyId: aes }));
    await kms.send(new EnableKeyCommand({ KeyId: aes }));
  }

  beforeAll(async () => {
    work = mkdtempSync(join(tmpdir(), 'keytrail-key-bytes-'));
    root = newRoot();
    const password = () => JSON.stringify(PASSWORD);
    nats = await startNats({ config: renderAuthorization(natsPermissions(natsUserScope()), password) });
    const port = await freePort();
    const secretAccessKey = randomBytes(30).toString('base64');
    keys.push(secretText('the secret of the root access key', secretAccessKey));
    await start('key-manager');
    await start('crypto-worker', {
      ...{ ...root.settings, KEYTRAIL_ROOT_ACCESS_KEY_ID: ACCESS_KEY_ID },
      KEYTRAIL_ROOT_SECRET_ACCESS_KEY: secretAccessKey,
    });
    const checkpoints = { KEYTRAIL_CHECKPOINT_DIR: join(work, 'checkpoints'), KEYTRAIL_TRAIL_DIR: join(work, 'trail') };
    await Promise.all([
      ...['rotation-scheduler', 'deletion-scheduler'].map((app) => start(app)),
      start('audit-projector', checkpoints),
      start('gateway', { KEYTRAIL_PORT: String(port) }),
    ]);
    kms = clientsOf(`http://127.0.0.1:${port}`, { accessKeyId: ACCESS_KEY_ID, secretAccessKey }).kms;

    const rootKeys = (): void => {
      if (!existsSync(join(dataDir('crypto-worker'), 'root'))) return;
      for (const { epoch, key } of rootKeysIn(dataDir('crypto-worker'))) {
        keys.push(secretBytes(`root key of epoch ${epoch}`, Buffer.from(key, 'base64')));
      }
    };
    rootKeys();
    const aes = await brought('SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT');
    const hmac = await brought('HMAC_256', 'GENERATE_VERIFY_MAC');
    const ecc = await brought('ECC_NIST_P256', 'SIGN_VERIFY');
    await used(aes, hmac, ecc);
    expect(await operator('root', 'rotate')).toMatchObject({ code: 0 });
    rootKeys();
    await used(aes, hmac, ecc);
    expect(await operator('verify')).toMatchObject({ code: 0 });
  });
  afterAll(async () => {
    await Promise.all([...apps.values()].map((app) => app.stop()));
    await nats?.stop();
    root?.remove();
    rmSync(work, { recursive: true, force: true });
  });

  test('the crypto-worker has them in its memory, where this test finds them', () => {
    const found = secretsInMemory(apps.get('crypto-worker')!.pid, keys);
    for (const spec of ['SYMMETRIC_DEFAULT', 'HMAC_256']) expect(found).toContain(`material of ${spec} (raw)`);
    expect(found).toContain('the secret of the root access key (text)');
  });

  test.each(OTHERS)('no key is in the memory of the %s', (app) => {
    const { pid } = apps.get(app)!;
    // What it does have is found.
    const own = secretText('its own password', PASSWORD);
    expect(secretsInMemory(pid, [...keys, own])).toEqual(expect.arrayContaining(['its own password (text)']));
    expect(secretsInMemory(pid, keys)).toEqual([]);
  });

  test('no key is in the memory of the nats-server, through which everything goes', () => {
    expect(secretsInMemory(nats.pid!, keys)).toEqual([]);
  });

  test.each(['key-manager', 'rotation-scheduler', 'deletion-scheduler', 'audit-projector'])(
    'no plaintext and no data key is in the memory of the %s',
    (app) => {
      expect(secretsInMemory(apps.get(app)!.pid, plaintexts)).toEqual([]);
    },
  );

  test('no key, plaintext or data key is in what NATS stores, in logs, or in any other file', () => {
    const secrets = [...keys, ...plaintexts];
    const found: string[] = [];
    const look = (where: string, content: Buffer): void => {
      for (const { name, forms } of secrets) {
        for (const form of forms) if (content.includes(form.bytes)) found.push(`${where}: ${name} (${form.what})`);
      }
    };
    let files = 0;
    for (const folder of [nats.storeDir, work]) {
      for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
        const path = join(folder, name);
        // Where the root key is kept, and nowhere else.
        if (path === join(dataDir('crypto-worker'), 'root/root-key.json')) continue;
        try {
          look(path, readFileSync(path));
          files++;
        } catch (error) {
          if (!['EISDIR', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
        }
      }
    }
    expect(files).toBeGreaterThan(20);
    for (const [app, { log }] of apps) {
      expect(log()).toContain(`"msg":"${app} is ready"`);
      look(`log of the ${app}`, Buffer.from(log()));
    }
    expect(found).toEqual([]);
  });
});
