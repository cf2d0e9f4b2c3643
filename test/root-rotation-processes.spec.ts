import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateKeyCommand, DecryptCommand, EncryptCommand, type KMSClient } from '@aws-sdk/client-kms';
import { connect } from 'nats';
import { MATERIAL_STREAM } from '#domain/subjects';
import { decodeRecord } from '#hsm/material-record';
import { inboxPrefix, natsPermissions, natsUserScope, renderAuthorization } from '#platform/nats-users';
import { clientsOf } from './support/identities';
import { Load } from './support/load';
import { freePort, startNats, type TestNats } from './support/nats-server';
import { type AppProcess, MAIN, run, startApp } from './support/processes';
import { pkcs11Root, rootKeysIn, softwareRoot, type TestRoot } from './support/roots';
import { softHsmModule } from './support/softhsm';

jest.setTimeout(180_000);

const ROOT = { accessKeyId: 'AKIAROOT', secretAccessKey: 'the-secret-of-root' };
const PASSWORD = 'of-all-services';
const KEYS = 30;
const Plaintext = Buffer.from('under an old root key');
const modulePath = softHsmModule();
const ROOTS: [string, () => TestRoot][] = [
  ['software, in a folder that they share', softwareRoot],
  ...(modulePath === undefined ? [] : ([['PKCS#11', () => pkcs11Root(modulePath)]] as [string, () => TestRoot][])),
];

/** Two crypto-workers, each as the NATS user that it is in a cluster. */
class Services {
  readonly apps: AppProcess[] = [];
  workers: AppProcess[] = [];
  kms!: KMSClient;

  private constructor(
    private readonly nats: TestNats,
    readonly folder: string,
    private readonly settings: Record<string, string>,
  ) {}

  /** `prepare` is called with the folder of each worker before its first start. */
  static async start(root: TestRoot, prepare: (dataDir: string, nth: number) => void): Promise<Services> {
    const password = () => JSON.stringify(PASSWORD);
    const nats = await startNats({ config: renderAuthorization(natsPermissions(natsUserScope()), password) });
    const port = await freePort();
    const services = new Services(nats, mkdtempSync(join(tmpdir(), 'keytrail-root-processes-')), {
      ...root.settings,
      KEYTRAIL_NATS_PASSWORD: PASSWORD,
      KEYTRAIL_ROOT_ACCESS_KEY_ID: ROOT.accessKeyId,
      KEYTRAIL_ROOT_SECRET_ACCESS_KEY: ROOT.secretAccessKey,
      KEYTRAIL_PORT: String(port),
      KEYTRAIL_LEASE_MS: '1000',
    });
    services.apps.push(await services.app('key-manager'));
    for (const nth of [0, 1]) {
      mkdirSync(services.dataDir(nth), { recursive: true });
      prepare(services.dataDir(nth), nth);
      services.workers.push(await services.worker(nth));
    }
    services.apps.push(await services.app('gateway'));
    services.kms = clientsOf(`http://127.0.0.1:${port}`, ROOT).kms;
    return services;
  }

  dataDir(nth: number): string {
    return join(this.folder, `crypto-worker-${nth}`);
  }

  worker(nth: number, more: Record<string, string> = {}): Promise<AppProcess> {
    return this.app('crypto-worker', { KEYTRAIL_DATA_DIR: this.dataDir(nth), ...more });
  }

  private app(name: string, more: Record<string, string> = {}): Promise<AppProcess> {
    const dataDir = join(this.folder, name);
    return startApp(name, this.nats.url, {
      ...{ ...this.settings, KEYTRAIL_NATS_USER: name, KEYTRAIL_DATA_DIR: dataDir, ...more },
    });
  }

  keytrail(...args: string[]) {
    const operator = { KEYTRAIL_NATS_USER: 'operator', KEYTRAIL_NATS_PASSWORD: PASSWORD };
    return run([MAIN, ...args], { ...operator, KEYTRAIL_NATS_URL: this.nats.url });
  }

  /** How many records there are of each epoch. */
  async epochs(): Promise<Record<number, number>> {
    const user = 'embedded';
    const nats = await connect({
      ...{ servers: this.nats.url, user, pass: PASSWORD, inboxPrefix: inboxPrefix(user) },
    });
    const manager = await nats.jetstreamManager();
    const { state } = await manager.streams.info(MATERIAL_STREAM, { subjects_filter: '>' });
    const counted: Record<number, number> = {};
    for (const subject of Object.keys(state.subjects ?? {})) {
      const { data } = await manager.streams.getMessage(MATERIAL_STREAM, { last_by_subj: subject });
      const { epoch } = decodeRecord(data).wrapped;
      counted[epoch] = (counted[epoch] ?? 0) + 1;
    }
    await nats.close();
    return counted;
  }

  async stop(): Promise<void> {
    await Promise.all([...this.apps, ...this.workers].map((app) => app.stop()));
    await this.nats.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

const encrypted = async (kms: KMSClient): Promise<Uint8Array> => {
  const { KeyId } = (await kms.send(new CreateKeyCommand({}))).KeyMetadata!;
  return (await kms.send(new EncryptCommand({ KeyId, Plaintext }))).CiphertextBlob!;
};

describe.each(ROOTS)('two crypto-workers rooted in %s', (_name, newRoot) => {
  let root: TestRoot;
  let services: Services;
  const ciphertexts: Uint8Array[] = [];

  beforeAll(async () => {
    root = newRoot();
    services = await Services.start(root, (dataDir, nth) => {
      const shared = join(dataDir, '../root');
      if (nth === 0) mkdirSync(shared, { mode: 0o700 });
      symlinkSync(shared, join(dataDir, 'root'));
    });
    for (let i = 0; i < KEYS; i++) ciphertexts.push(await encrypted(services.kms));
  });
  afterAll(async () => {
    await services?.stop();
    root?.remove();
  });

  const decryptAll = async (): Promise<void> => {
    for (const CiphertextBlob of ciphertexts) {
      // One and the other.
      for (const _ of [1, 2, 3]) await services.kms.send(new DecryptCommand({ CiphertextBlob }));
    }
  };

  test('wrap everything under a new root key, while requests go on', async () => {
    const { KeyId } = (await services.kms.send(new CreateKeyCommand({}))).KeyMetadata!;
    const load = new Load(services.kms, KeyId!);
    await load.progress(2, 'no load');
    const rotating = services.keytrail('root', 'rotate').done;
    await decryptAll();
    expect(await rotating).toMatchObject({ code: 0 });
    await load.progress(2, 'no load after the rotation');
    await load.stop();
    expect(load.failures).toEqual([]);
    const epochs = await services.epochs();
    expect(Object.keys(epochs)).toEqual(['2']);
    expect(await root.epochs(services.dataDir(0))).toEqual([2]);
    expect((await services.keytrail('root', 'status').done).output.match(/wraps under epoch 2/g)).toHaveLength(2);
    expect((await services.keytrail('verify').done).output).toContain('each is there and can be unwrapped');
  });

  test('go on with it when one after the other is killed over it', async () => {
    const before = services.workers;
    await Promise.all(before.map((worker) => worker.stop()));
    const dying = { KEYTRAIL_FAIL_POINT: 'after-store:rewrapped#5' };
    services.workers = await Promise.all([services.worker(0, dying), services.worker(1, dying)]);
    // Whoever dies is started again, as by a supervisor.
    let died = 0;
    const supervised = services.workers.map(async (worker, nth) => {
      if ((await worker.exitCode) !== null) return;
      died++;
      services.workers[nth] = await services.worker(nth);
    });
    const { code, output } = await services.keytrail('root', 'rotate').done;
    expect([code, output]).toEqual([0, expect.stringMatching(/the root key of epoch \d is destroyed/)]);
    expect(died).toBeGreaterThan(0);
    expect(Object.keys(await services.epochs())).toHaveLength(1);
    expect(await root.epochs(services.dataDir(0))).toHaveLength(1);
    await Promise.all(services.workers.map((worker) => worker.stop()));
    await Promise.all(supervised);
    services.workers = [await services.worker(0), await services.worker(1)];
    await decryptAll();
  });
});

test('a crypto-worker that has a root key file of its own keeps the rotation from being begun', async () => {
  const services = await Services.start(softwareRoot(), (dataDir, nth) => {
    if (nth === 1) cpSync(join(dataDir, '../crypto-worker-0/root'), join(dataDir, 'root'), { recursive: true });
  });
  try {
    const CiphertextBlob = await encrypted(services.kms);
    const { code, output } = await services.keytrail('root', 'rotate').done;
    expect(code).toBe(1);
    expect(output).toMatch(
      /crypto-worker \(pid \d+\) cannot use the new root key \(.*root-key.json has no such root key of epoch 2\): every crypto-worker needs the same root key file/,
    );
    expect(await services.epochs()).toEqual({ 1: expect.any(Number) });
    await services.kms.send(new DecryptCommand({ CiphertextBlob }));
    expect((await services.keytrail('root', 'status').done).output).toContain('never rotated');
    // With the same file in both it is done.
    const made = [0, 1].find((nth) => rootKeysIn(services.dataDir(nth)).length === 2)!;
    const file = (nth: number): string => join(services.dataDir(nth), 'root/root-key.json');
    cpSync(file(made), file(1 - made));
    expect((await services.keytrail('root', 'rotate').done).code).toBe(0);
    // Each has destroyed the old key in its own.
    for (const nth of [0, 1]) expect(rootKeysIn(services.dataDir(nth)).map(({ epoch }) => epoch)).toEqual([2]);
    expect(readFileSync(file(0))).toEqual(readFileSync(file(1)));
    await services.kms.send(new DecryptCommand({ CiphertextBlob }));
  } finally {
    await services.stop();
  }
});
