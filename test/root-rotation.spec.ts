import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateAccessKeyCommand, CreateUserCommand } from '@aws-sdk/client-iam';
import { CreateKeyCommand, DecryptCommand, EncryptCommand, ScheduleKeyDeletionCommand } from '@aws-sdk/client-kms';
import { GetCallerIdentityCommand } from '@aws-sdk/client-sts';
import { MATERIAL_STREAM, materialSubject, parseMaterialSubject } from '#domain/subjects';
import { WrappedMaterialError } from '#hsm/hsm-provider';
import { decodeRecord, recordAad } from '#hsm/material-record';
import { connectAsUser } from './support/audit-records';
import { crashedAt } from './support/crash-at';
import { clientsOf, longTerm } from './support/identities';
import { Load } from './support/load';
import { type KeytrailProcess, MAIN, rootKeyOf, run, startProcess } from './support/processes';
import { pkcs11Root, rootKeysIn, softwareRoot, type TestRoot } from './support/roots';
import { softHsmModule } from './support/softhsm';
import { filesHolding, storedMaterial } from './support/stored-material';

jest.setTimeout(300_000);

const modulePath = softHsmModule();
const ROOTS: [string, () => TestRoot][] = [
  ['software', softwareRoot],
  ...(modulePath === undefined ? [] : ([['PKCS#11', () => pkcs11Root(modulePath)]] as [string, () => TestRoot][])),
];
const Plaintext = Buffer.from('under an old root key');
const KEYS = 25;

/** In the order of a rotation. */
const CRASHES = [
  ...['before-make:root-epoch', 'after-make:root-epoch'],
  ...['before-append:RootRotationBegun', 'after-append:RootRotationBegun'],
  ...['before-store:rewrapped#3', 'after-store:rewrapped#3', 'before-erase:rewrapped#3', 'after-erase:rewrapped#3'],
  ...['before-append:RootEpochRetired', 'after-append:RootEpochRetired'],
  ...['before-destroy:root-epoch', 'after-destroy:root-epoch'],
  ...['before-append:RootEpochDestroyed', 'after-append:RootEpochDestroyed'],
];

describe.each(ROOTS)('the root key (%s)', (_name, newRoot) => {
  let work: string;
  let dataDir: string;
  let root: TestRoot;
  let server: KeytrailProcess;
  let epoch = 1;
  /** Of many keys, and of an access key. */
  let ciphertexts: Uint8Array[];
  let alice: { accessKeyId: string; secretAccessKey: string };

  const start = async (): Promise<void> => {
    server = await startProcess(dataDir, root.settings);
  };
  const keytrail = (...args: string[]) => run([MAIN, ...args], { KEYTRAIL_DATA_DIR: dataDir }).done;
  const rotate = async (): Promise<string> => {
    const { code, output } = await keytrail('root', 'rotate');
    if (code !== 0) throw new Error(`${output}\n${server.log()}`);
    epoch++;
    return output;
  };
  const decryptAll = async (): Promise<void> => {
    for (const CiphertextBlob of ciphertexts) {
      const opened = await server.kms.send(new DecryptCommand({ CiphertextBlob }));
      expect(Buffer.from(opened.Plaintext!)).toEqual(Plaintext);
    }
    await clientsOf(server.endpoint, alice).sts.send(new GetCallerIdentityCommand({}));
  };
  /** Whatever is stored opens with the root key as it is now, and is of the one epoch that there is. */
  const assertMoved = async (): Promise<void> => {
    expect(await root.epochs(dataDir)).toEqual([epoch]);
    const stored = [...(await storedMaterial(dataDir)).values()];
    expect(new Set(stored.map((bytes) => decodeRecord(bytes).wrapped.epoch))).toEqual(new Set([epoch]));
    expect(stored.length).toBeGreaterThan(KEYS);
  };
  const verify = async (): Promise<void> => {
    const { code, output } = await keytrail('verify');
    expect([code, output]).toEqual([0, expect.stringContaining('each is there and can be unwrapped')]);
  };

  beforeAll(async () => {
    work = mkdtempSync(join(tmpdir(), 'keytrail-root-rotation-'));
    dataDir = join(work, 'data');
    root = newRoot();
    await start();
    ciphertexts = [];
    for (let i = 0; i < KEYS; i++) {
      const { KeyId } = (await server.kms.send(new CreateKeyCommand({}))).KeyMetadata!;
      ciphertexts.push((await server.kms.send(new EncryptCommand({ KeyId, Plaintext }))).CiphertextBlob!);
    }
    const { iam } = clientsOf(server.endpoint, rootKeyOf(dataDir));
    await iam.send(new CreateUserCommand({ UserName: 'alice' }));
    alice = longTerm(await iam.send(new CreateAccessKeyCommand({ UserName: 'alice' })));
  });
  afterAll(async () => {
    await server?.stop();
    root?.remove();
    rmSync(work, { recursive: true, force: true });
  });

  /** Copies of the data folder, and what was stored then, by the epoch that it was of. */
  const copies = new Map<number, { folder: string; stored: Map<string, Buffer> }>();
  const copied = async (): Promise<void> => {
    const stored = await storedMaterial(dataDir);
    await server.stop();
    const folder = join(work, `epoch-${epoch}`);
    cpSync(dataDir, folder, { recursive: true });
    copies.set(epoch, { folder, stored });
    await start();
  };

  test('is rotated while requests go on, and none of them fails', async () => {
    await copied();
    const { KeyId } = (await server.kms.send(new CreateKeyCommand({}))).KeyMetadata!;
    const load = new Load(server.kms, KeyId!);
    await load.progress(2, 'no load');
    // Keys that this process has not loaded yet are loaded meanwhile.
    const rotating = rotate();
    await decryptAll();
    await rotating;
    await load.progress(2, 'no load after the rotation');
    await load.stop();
    expect(load.failures).toEqual([]);
    await assertMoved();
    await verify();
    await server.stop();
    await start();
    await decryptAll();
    expect((await keytrail('root', 'status')).output).toMatch(
      /root key, wraps under epoch 2; epoch 2 \([0-9a-f]{16}\), the only one since 2/,
    );
    expect((await keytrail('replay')).output).toMatch(/RootRotationBegun from=1 to=2[\s\S]*RootEpochDestroyed epoch=1/);
  });

  test('of an epoch that was destroyed opens nothing of an old copy, by whichever door', async () => {
    const { folder, stored } = copies.get(1)!;
    const provider = await root.open(dataDir);
    const outcomes = async (found: Map<string, Buffer>): Promise<string[]> => {
      const opened: string[] = [];
      for (const [subject, bytes] of found) {
        const { type, keyArn, wrapped } = decodeRecord(bytes);
        const aad = recordAad(type, keyArn, parseMaterialSubject(subject).materialId);
        opened.push(
          await provider.unwrap(wrapped, aad).then(
            () => 'opened',
            (error) => (error instanceof WrappedMaterialError ? 'refused' : String(error)),
          ),
        );
      }
      return opened;
    };
    expect(new Set(await outcomes(stored))).toEqual(new Set(['refused']));
    expect(new Set(await outcomes(await storedMaterial(dataDir)))).toEqual(new Set(['opened']));
    await provider.close();

    // The whole old folder, with the root key of today.
    rmSync(join(folder, 'root'), { recursive: true, force: true });
    if (existsSync(join(dataDir, 'root'))) cpSync(join(dataDir, 'root'), join(folder, 'root'), { recursive: true });
    const told =
      /the stream KMS_MATERIAL is a copy from before a rotation of the root key: it holds \d+ materials of epoch 1, and the root key is of epoch 2/;
    await expect(startProcess(folder, root.settings)).rejects.toThrow(told);

    // The old material alone, under the log of today.
    await server.stop();
    const streams = join('nats/store/jetstream/$G/streams', MATERIAL_STREAM);
    cpSync(join(dataDir, streams), join(work, 'today'), { recursive: true });
    rmSync(join(dataDir, streams), { recursive: true });
    cpSync(join(folder, streams), join(dataDir, streams), { recursive: true });
    await expect(startProcess(dataDir, root.settings)).rejects.toThrow(told);
    rmSync(join(dataDir, streams), { recursive: true });
    cpSync(join(work, 'today'), join(dataDir, streams), { recursive: true });
    await start();
    await decryptAll();
  });

  test('of an epoch that was destroyed: one material of an old copy is named by verify', async () => {
    const { stored } = copies.get(1)!;
    const { KeyId } = (await server.kms.send(new CreateKeyCommand({}))).KeyMetadata!;
    const [subject, old] = [...stored].find(([, bytes]) => decodeRecord(bytes).type === 'AES_256')!;
    const { materialId } = parseMaterialSubject(subject);
    const nats = await connectAsUser(dataDir, 'embedded');
    const manager = await nats.jetstreamManager();
    const moved = await manager.streams.getMessage(MATERIAL_STREAM, { last_by_subj: materialSubject(materialId, 2) });
    await manager.streams.deleteMessage(MATERIAL_STREAM, moved.seq, true);
    await nats.jetstream().publish(subject, old);
    const { code, output } = await keytrail('verify');
    expect(code).toBe(1);
    expect(output).toContain('material: 1 stored copies are from before a rotation of the root key');
    expect(output).toMatch(
      new RegExp(
        `material ${materialId} of \\S+ is wrapped under epoch 1 of the root key, which was destroyed: it is from a copy of KMS_MATERIAL from before the rotation to epoch 2`,
      ),
    );
    await nats.jetstream().publish(moved.subject, moved.data);
    const { seq } = await manager.streams.getMessage(MATERIAL_STREAM, { last_by_subj: subject });
    await manager.streams.deleteMessage(MATERIAL_STREAM, seq, true);
    await nats.close();
    await server.kms.send(new ScheduleKeyDeletionCommand({ KeyId, PendingWindowInDays: 7 }));
    await assertMoved();
    await verify();
  });

  test.each(CRASHES)('goes on after a crash at %s', async (point) => {
    server = await crashedAt(point, { server, dataDir, settings: root.settings }, async (doomed) => {
      const broken = run([MAIN, 'root', 'rotate'], { KEYTRAIL_DATA_DIR: dataDir });
      // It would wait a while for a server that comes back.
      await doomed.gone;
      broken.kill();
      if ((await broken.done).code !== 0) throw new Error('not rotated');
    });
    await decryptAll();
    // What was recorded at the very end is done.
    if (point === 'after-append:RootEpochDestroyed') epoch++;
    else expect(await rotate()).toContain(`root key: from epoch ${epoch - 1} to epoch ${epoch}`);
    await assertMoved();
  });

  test('has opened everything all the while, and does after the last start', async () => {
    await server.stop();
    await start();
    await decryptAll();
    await verify();
    expect(server.log()).not.toMatch(/"level":[56]0/);
  });
});

describe('the root key in a file', () => {
  let dataDir: string;
  let server: KeytrailProcess | undefined;
  const keytrail = (...args: string[]) => run([MAIN, ...args], { KEYTRAIL_DATA_DIR: dataDir }).done;

  beforeEach(() => {
    dataDir = mkdtempSync(join(tmpdir(), 'keytrail-root-file-'));
  });
  afterEach(async () => {
    await server?.stop();
    rmSync(dataDir, { recursive: true, force: true });
  });

  test('is nowhere on the disk once its epoch is destroyed', async () => {
    server = await startProcess(dataDir);
    const old = rootKeysIn(dataDir)[0]!.key;
    const forms = [
      Buffer.from(old),
      Buffer.from(old, 'base64'),
      Buffer.from(Buffer.from(old, 'base64').toString('hex')),
    ];
    const holding = (): string[] => forms.flatMap((form) => filesHolding(dataDir, form));
    expect(holding()).toEqual([join(dataDir, 'root/root-key.json')]);
    // A crash has left copies of it.
    const file = readFileSync(join(dataDir, 'root/root-key.json'));
    for (const name of ['0123456789ab.old', 'ba9876543210.tmp']) {
      writeFileSync(join(dataDir, `root/root-key.json.${name}`), file, { mode: 0o600 });
    }
    expect((await keytrail('root', 'rotate')).code).toBe(0);
    expect(holding()).toEqual([]);
    expect(readdirSync(join(dataDir, 'root'))).toEqual(['root-key.json']);
  });

  test('that a backup brings back beside the new one is destroyed by the next start', async () => {
    server = await startProcess(dataDir);
    const [old] = rootKeysIn(dataDir);
    expect((await keytrail('root', 'rotate')).code).toBe(0);
    await server.stop();
    const epochs = [old, ...rootKeysIn(dataDir)];
    writeFileSync(join(dataDir, 'root/root-key.json'), JSON.stringify({ epochs }), { mode: 0o600 });
    server = await startProcess(dataDir);
    expect(rootKeysIn(dataDir).map(({ epoch }) => epoch)).toEqual([2]);
  });

  test('of before a rotation is told from one that was never this store’s', async () => {
    server = await startProcess(dataDir);
    const before = readFileSync(join(dataDir, 'root/root-key.json'));
    expect((await keytrail('root', 'rotate')).code).toBe(0);
    await server.stop();
    const now = readFileSync(join(dataDir, 'root/root-key.json'));
    writeFileSync(join(dataDir, 'root/root-key.json'), before);
    await expect(startProcess(dataDir)).rejects.toThrow(
      /root-key.json: the log names another root key, of epoch 2 \(it has 1\); restore the one of after the last rotation/,
    );
    rmSync(join(dataDir, 'root/root-key.json'));
    await expect(startProcess(dataDir)).rejects.toThrow(/root-key.json: missing, but there is key material/);
    writeFileSync(join(dataDir, 'root/root-key.json'), now, { mode: 0o600 });
    server = await startProcess(dataDir);
  });

  test('comes there from the environment, as the refusal to rotate it says', async () => {
    const key = Buffer.alloc(32, 5).toString('base64');
    server = await startProcess(dataDir, { KEYTRAIL_ROOT_KEY: key });
    const { KeyId } = (await server.kms.send(new CreateKeyCommand({}))).KeyMetadata!;
    const { CiphertextBlob } = await server.kms.send(new EncryptCommand({ KeyId, Plaintext }));
    const refused = await keytrail('root', 'rotate');
    expect(refused.code).toBe(1);
    expect(refused.output).toContain(
      'the root key is in KEYTRAIL_ROOT_KEY, which Keytrail cannot change: stop it, write',
    );
    expect(refused.output).not.toContain(key);
    await server.stop();
    // As told.
    const told = /write (\{.*\}) to (\S+) in its data folder/.exec(refused.output)!;
    mkdirSync(join(dataDir, 'root'), { recursive: true, mode: 0o700 });
    writeFileSync(join(dataDir, told[2]!), told[1]!.replace('<that value>', key), { mode: 0o600 });
    server = await startProcess(dataDir);
    expect((await keytrail('root', 'rotate')).code).toBe(0);
    await server.kms.send(new DecryptCommand({ CiphertextBlob }));
    await server.stop();
    await expect(startProcess(dataDir, { KEYTRAIL_ROOT_KEY: key })).rejects.toThrow(
      'KEYTRAIL_ROOT_KEY: the log names another root key, of epoch 2 (it has 1)',
    );
    server = undefined;
  });
});
