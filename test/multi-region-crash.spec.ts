import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateKeyCommand,
  DecryptCommand,
  DescribeKeyCommand,
  EncryptCommand,
  type KeyMetadata,
  ListKeyRotationsCommand,
  ReplicateKeyCommand,
  RotateKeyOnDemandCommand,
  ScheduleKeyDeletionCommand,
  UpdatePrimaryRegionCommand,
} from '@aws-sdk/client-kms';
import { crashedAt } from './support/crash-at';
import { until } from './support/nats-server';
import { type KeytrailProcess, MAIN, run, startProcess } from './support/processes';
import { kmsIn } from './support/regions';
import { storedMaterial } from './support/stored-material';

const HOME = 'us-east-1';
const AWAY = 'eu-west-1';
const REGIONS = [HOME, AWAY];
const VIRTUAL = { KEYTRAIL_CLOCK: 'virtual' };
const PLAINTEXT = Buffer.from('held before the crash');

/** After each commit but the last: before the next one is the same. */
const REPLICATE = ['KeyReplicationBegun', 'KeyReplicated', 'KeyReplicationCompleted'];
const HAND_OVER = ['KeyPrimaryHandedOver', 'KeyMadePrimary', 'KeyPrimaryUpdated'];
const DELETE_REPLICA = ['KeyDeleted', 'KeyReplicaRemoved'];

let dataDir: string;
let server: KeytrailProcess;

const send = <T>(region: string, command: unknown): Promise<T> =>
  kmsIn(region, server).send(command as never) as Promise<T>;
const describeKey = async (region: string, KeyId: string): Promise<KeyMetadata> =>
  (await send<{ KeyMetadata: KeyMetadata }>(region, new DescribeKeyCommand({ KeyId }))).KeyMetadata;
/** The key's state, or why there is none. */
const stateOf = (region: string, KeyId: string): Promise<string> =>
  describeKey(region, KeyId).then(
    ({ KeyState }) => KeyState!,
    (error: Error) => error.name,
  );
const encrypt = async (region: string, KeyId: string): Promise<Uint8Array> =>
  (await send<{ CiphertextBlob: Uint8Array }>(region, new EncryptCommand({ KeyId, Plaintext: PLAINTEXT })))
    .CiphertextBlob;
const decrypt = async (region: string, CiphertextBlob: Uint8Array): Promise<string> => {
  const { Plaintext } = await send<{ Plaintext: Uint8Array }>(region, new DecryptCommand({ CiphertextBlob }));
  return Buffer.from(Plaintext).toString();
};
const createKey = async (): Promise<string> => {
  const command = new CreateKeyCommand({ MultiRegion: true });
  return (await send<{ KeyMetadata: KeyMetadata }>(HOME, command)).KeyMetadata.KeyId!;
};
const createReplicated = async (): Promise<string> => {
  const KeyId = await createKey();
  await send(HOME, new ReplicateKeyCommand({ KeyId, ReplicaRegion: AWAY }));
  return KeyId;
};

/** Has the server reach a fail-point by `drive`, die of it, and come back on the same data without it. */
async function crashAt(point: string, drive: () => Promise<unknown>): Promise<void> {
  server = await crashedAt(point, { server, dataDir, settings: VIRTUAL }, (doomed) => {
    server = doomed;
    return drive();
  });
}

/** As crashAt, while the clock moves. */
const crashInAdvance = (point: string, days: number): Promise<void> =>
  crashAt(point, async () => {
    const advance = run([MAIN, 'clock', 'advance', `${days}d`], { KEYTRAIL_DATA_DIR: dataDir });
    await server.gone;
    advance.kill();
    await advance.done;
    throw new Error('the server is gone');
  });

const advance = async (days: number): Promise<void> => {
  const { code, output } = await run([MAIN, 'clock', 'advance', `${days}d`], { KEYTRAIL_DATA_DIR: dataDir }).done;
  if (code !== 0) throw new Error(output);
};

async function expectRelated(KeyId: string, ...ciphertexts: Uint8Array[]): Promise<void> {
  const primaries: string[] = [];
  for (const region of REGIONS) {
    const { MultiRegionConfiguration, KeyState } = await describeKey(region, KeyId);
    expect(KeyState).toBe('Enabled');
    if (MultiRegionConfiguration!.MultiRegionKeyType === 'PRIMARY') primaries.push(region);
    expect(MultiRegionConfiguration!.ReplicaKeys).toHaveLength(1);
  }
  expect(primaries).toHaveLength(1);
  const [primary] = primaries as [string];
  await send(primary, new RotateKeyOnDemandCommand({ KeyId }));
  for (const region of REGIONS) ciphertexts.push(await encrypt(region, KeyId));
  for (const ciphertext of ciphertexts) {
    for (const region of REGIONS) expect(await decrypt(region, ciphertext)).toBe(PLAINTEXT.toString());
  }
}

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-mrk-crash-'));
  server = await startProcess(dataDir, VIRTUAL);
});

afterAll(async () => {
  await server?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

describe('after a kill -9', () => {
  test.each(REPLICATE)('after %s of ReplicateKey, the replica is completed', async (event) => {
    const KeyId = await createKey();
    const ciphertext = await encrypt(HOME, KeyId);
    await crashAt(`after-append:${event}`, () => send(HOME, new ReplicateKeyCommand({ KeyId, ReplicaRegion: AWAY })));
    await until(async () => (await stateOf(AWAY, KeyId)) === 'Enabled', `${KeyId} was not replicated`);
    await expectRelated(KeyId, ciphertext);
  });

  test.each(HAND_OVER)('after %s of UpdatePrimaryRegion, the new primary is the only one', async (event) => {
    const KeyId = await createReplicated();
    const ciphertext = await encrypt(AWAY, KeyId);
    const update = new UpdatePrimaryRegionCommand({ KeyId, PrimaryRegion: AWAY });
    await crashAt(`after-append:${event}`, () => send(HOME, update));
    const settled = async () =>
      (await Promise.all(REGIONS.map((region) => stateOf(region, KeyId)))).every((state) => state === 'Enabled');
    await until(settled, `the primary of ${KeyId} was not updated`);
    const { MultiRegionConfiguration } = await describeKey(HOME, KeyId);
    expect(MultiRegionConfiguration!.PrimaryKey!.Region).toBe(AWAY);
    await expectRelated(KeyId, ciphertext);
  });

  test('after KeyRotated of RotateKeyOnDemand, every ciphertext decrypts in every region', async () => {
    const KeyId = await createReplicated();
    const ciphertexts = [await encrypt(HOME, KeyId), await encrypt(AWAY, KeyId)];
    await crashAt('after-append:KeyRotated', () => send(HOME, new RotateKeyOnDemandCommand({ KeyId })));
    ciphertexts.push(await encrypt(HOME, KeyId));
    for (const ciphertext of ciphertexts) expect(await decrypt(AWAY, ciphertext)).toBe(PLAINTEXT.toString());
    const rotations = async (region: string) =>
      (await send<{ Rotations: object[] }>(region, new ListKeyRotationsCommand({ KeyId }))).Rotations.length;
    await until(async () => (await rotations(HOME)) === (await rotations(AWAY)), `${KeyId} was not synchronized`);
    await expectRelated(KeyId, ...ciphertexts);
  });

  test.each(DELETE_REPLICA)('after %s of a replica, the primary’s waiting period begins', async (event) => {
    const { KeyId, material } = await createWithMaterial();
    await crashInAdvance(`after-append:${event}`, 7);
    await until(async () => (await stateOf(HOME, KeyId)) === 'PendingDeletion', `${KeyId} does not wait`);
    expect(await stateOf(AWAY, KeyId)).toBe('NotFoundException');
    expect((await storedMaterial(dataDir)).has(material)).toBe(true);
  });

  test('after KeyDeleted of the primary, which is the last, the material of all is erased', async () => {
    const { KeyId, material } = await createWithMaterial();
    // The replicas of all that is to be deleted go now, and after it nothing but primaries is left to go.
    await advance(7);
    expect((await storedMaterial(dataDir)).has(material)).toBe(true);
    await crashInAdvance('after-append:KeyDeleted', 7);
    await until(async () => !(await storedMaterial(dataDir)).has(material), `the material of ${KeyId} was not erased`);
    await until(async () => (await stateOf(HOME, KeyId)) === 'NotFoundException', `${KeyId} was not deleted`);
  });

  /** Related keys that are to be deleted, and the subject of their one material. */
  async function createWithMaterial(): Promise<{ KeyId: string; material: string }> {
    const before = new Set((await storedMaterial(dataDir)).keys());
    const KeyId = await createReplicated();
    const mine = [...(await storedMaterial(dataDir)).keys()].filter(
      (subject) => !before.has(subject) && /\.[0-9a-f]{64}$/.test(subject),
    );
    expect(mine).toHaveLength(1);
    await send(HOME, new ScheduleKeyDeletionCommand({ KeyId, PendingWindowInDays: 7 }));
    await send(AWAY, new ScheduleKeyDeletionCommand({ KeyId, PendingWindowInDays: 7 }));
    return { KeyId, material: mine[0]! };
  }
});
