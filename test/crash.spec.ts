import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateAliasCommand,
  CreateKeyCommand,
  DecryptCommand,
  EncryptCommand,
  ListAliasesCommand,
  ListKeysCommand,
  RotateKeyOnDemandCommand,
  ScheduleKeyDeletionCommand,
} from '@aws-sdk/client-kms';
import { MATERIAL_STREAM } from '#domain/subjects';
import { crashedAt } from './support/crash-at';
import { until } from './support/nats-server';
import { type KeytrailProcess, MAIN, run, startProcess } from './support/processes';
import { rawReply } from './support/raw-request';
import { storedMaterial } from './support/stored-material';

/** Every fail-point of an operation, before and after each thing it makes durable. */
const points = (...steps: string[]): string[] => steps.flatMap((step) => [`before-${step}`, `after-${step}`]);
const CREATE = points('store:material', 'append:KeyCreated');
const ROTATE = points('store:material', 'append:KeyRotated');
const DELETE = points('append:KeyDeleted', 'erase:material', 'append:KeyMaterialDestroyed', 'append:AliasDeleted');

const VIRTUAL = { KEYTRAIL_CLOCK: 'virtual' };
const PLAINTEXT = Buffer.from('held before the crash');

let dataDir: string;
let server: KeytrailProcess;
/** What was answered before any crash, by key id: its description and ciphertexts of every version. */
const held = new Map<string, { description: string; ciphertexts: Uint8Array[] }>();
/** Keys that a crash left behind, complete but never answered. */
const unanswered = new Set<string>();

const listed = async (): Promise<string[]> => {
  const { Keys = [] } = await server.kms.send(new ListKeysCommand({ Limit: 1000 }));
  return Keys.map(({ KeyId }) => KeyId!).sort();
};
/** The whole reply, so that what is held compares byte for byte. */
const describeKey = async (KeyId: string): Promise<string> =>
  (await rawReply(server, 'DescribeKey', { KeyId })).toString('latin1');
const encrypt = async (KeyId: string): Promise<Uint8Array> =>
  (await server.kms.send(new EncryptCommand({ KeyId, Plaintext: PLAINTEXT }))).CiphertextBlob!;
const decrypt = async (CiphertextBlob: Uint8Array): Promise<string> =>
  Buffer.from((await server.kms.send(new DecryptCommand({ CiphertextBlob }))).Plaintext!).toString();

async function createKey(): Promise<string> {
  const id = (await server.kms.send(new CreateKeyCommand({}))).KeyMetadata!.KeyId!;
  held.set(id, { description: await describeKey(id), ciphertexts: [await encrypt(id)] });
  return id;
}

/** Has the server reach a fail-point by `drive`, die of it, and come back on the same data without it. */
async function crashAt(point: string, drive: () => Promise<unknown>): Promise<void> {
  server = await crashedAt(point, { server, dataDir, settings: VIRTUAL }, (doomed) => {
    server = doomed;
    return drive();
  });
}

async function expectHeldKeysWhole(): Promise<void> {
  for (const [id, { description, ciphertexts }] of held) {
    expect(await describeKey(id)).toBe(description);
    for (const ciphertext of [...ciphertexts, await encrypt(id)]) {
      expect(await decrypt(ciphertext)).toBe(PLAINTEXT.toString());
    }
  }
}

function materialFiles(): Buffer {
  const folder = join(dataDir, `nats/store/jetstream/$G/streams/${MATERIAL_STREAM}/msgs`);
  return Buffer.concat(
    readdirSync(folder)
      .filter((file) => file.endsWith('.blk'))
      .map((file) => readFileSync(join(folder, file))),
  );
}

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-crash-'));
  server = await startProcess(dataDir, VIRTUAL);
  await createKey();
  await createKey();
});

afterAll(async () => {
  await server?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

describe('after a kill -9', () => {
  test.each(CREATE)('at %s of CreateKey, no key is half there', async (point) => {
    const before = await listed();
    await crashAt(point, () => server.kms.send(new CreateKeyCommand({})));
    const appeared = (await listed()).filter((id) => !before.includes(id));
    expect(appeared).toHaveLength(point === 'after-append:KeyCreated' ? 1 : 0);
    for (const id of appeared) {
      unanswered.add(id);
      expect(await decrypt(await encrypt(id))).toBe(PLAINTEXT.toString());
    }
    expect(await listed()).toEqual([...held.keys(), ...unanswered].sort());
    await expectHeldKeysWhole();
  });

  test.each(ROTATE)('at %s of RotateKeyOnDemand, ciphertexts of every version decrypt', async (point) => {
    const rotated = await createKey();
    await crashAt(point, () => server.kms.send(new RotateKeyOnDemandCommand({ KeyId: rotated })));
    const old = held.get(rotated)!;
    held.set(rotated, { description: await describeKey(rotated), ciphertexts: old.ciphertexts });
    expect(await decrypt(old.ciphertexts[0]!)).toBe(PLAINTEXT.toString());
    old.ciphertexts.push(await encrypt(rotated));
    await server.kms.send(new RotateKeyOnDemandCommand({ KeyId: rotated }));
    held.get(rotated)!.description = await describeKey(rotated);
    await expectHeldKeysWhole();
  });

  test.each(DELETE)('at %s of a due deletion, the deletion goes on', async (point) => {
    const others = new Set((await storedMaterial(dataDir)).keys());
    const doomed = await createKey();
    const ciphertext = held.get(doomed)!.ciphertexts[0]!;
    const material = [...(await storedMaterial(dataDir))].filter(([subject]) => !others.has(subject));
    expect(material).toHaveLength(1);
    const [[subject, wrapped]] = material as [[string, Buffer]];
    expect(materialFiles().includes(wrapped)).toBe(true);
    const AliasName = `alias/${doomed}`;
    await server.kms.send(new CreateAliasCommand({ AliasName, TargetKeyId: doomed }));
    await server.kms.send(new ScheduleKeyDeletionCommand({ KeyId: doomed, PendingWindowInDays: 7 }));
    held.delete(doomed);

    await crashAt(point, async () => {
      const advance = run([MAIN, 'clock', 'advance', '8d'], { KEYTRAIL_DATA_DIR: dataDir });
      await server.gone;
      advance.kill();
      await advance.done;
      throw new Error('the server is gone');
    });

    await until(async () => !(await listed()).includes(doomed), `the deletion of ${doomed} did not resume`);
    await until(async () => !(await storedMaterial(dataDir)).has(subject), `the material of ${doomed} was not erased`);
    await until(async () => {
      const { Aliases = [] } = await server.kms.send(new ListAliasesCommand({ Limit: 100 }));
      return !Aliases.some((alias) => alias.AliasName === AliasName);
    }, `${AliasName} was not removed`);
    expect(materialFiles().includes(wrapped)).toBe(false);
    expect(await describeKey(doomed)).toContain('NotFoundException');
    expect(await describeKey(AliasName)).toContain('NotFoundException');
    await expect(decrypt(ciphertext)).rejects.toBeDefined();
    await expectHeldKeysWhole();
  });
});
