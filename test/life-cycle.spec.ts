import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CancelKeyDeletionCommand,
  CreateAliasCommand,
  CreateKeyCommand,
  DecryptCommand,
  DescribeKeyCommand,
  EnableKeyCommand,
  EnableKeyRotationCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GenerateDataKeyWithoutPlaintextCommand,
  GetKeyRotationStatusCommand,
  KMSClient,
  ListAliasesCommand,
  ListKeyRotationsCommand,
  ListKeysCommand,
  ListResourceTagsCommand,
  ReEncryptCommand,
  RotateKeyOnDemandCommand,
  type RotationsListEntry,
  ScheduleKeyDeletionCommand,
  TagResourceCommand,
  UntagResourceCommand,
  UpdateAliasCommand,
} from '@aws-sdk/client-kms';
import { type KeytrailProcess, MAIN, run, startProcess } from './support/processes';
import { filesHolding, storedMaterial } from './support/stored-material';

const DAY_MS = 86_400_000;
const PLAINTEXT = Buffer.from('the quick brown fox');

let dataDir: string;
let server: KeytrailProcess;
let kms: KMSClient;

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-life-cycle-'));
  server = await startProcess(dataDir, { KEYTRAIL_CLOCK: 'virtual' });
  kms = server.kms;
});

afterAll(async () => {
  await server?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

const newKey = async (): Promise<string> => (await kms.send(new CreateKeyCommand({}))).KeyMetadata!.KeyId!;
const encrypt = async (KeyId: string, EncryptionContext?: Record<string, string>): Promise<Uint8Array> =>
  (await kms.send(new EncryptCommand({ KeyId, Plaintext: PLAINTEXT, EncryptionContext }))).CiphertextBlob!;
const decrypt = async (CiphertextBlob: Uint8Array, EncryptionContext?: Record<string, string>): Promise<Buffer> =>
  Buffer.from((await kms.send(new DecryptCommand({ CiphertextBlob, EncryptionContext }))).Plaintext!);
const describeKey = async (KeyId: string) => (await kms.send(new DescribeKeyCommand({ KeyId }))).KeyMetadata!;
const rotationsOf = async (KeyId: string): Promise<RotationsListEntry[]> =>
  (await kms.send(new ListKeyRotationsCommand({ KeyId }))).Rotations!;
const aliasNames = async (KeyId: string): Promise<(string | undefined)[]> =>
  (await kms.send(new ListAliasesCommand({ KeyId }))).Aliases!.map((alias) => alias.AliasName);

/** Moves the clock of the server by the command line, which returns once all that came due has been done. */
async function advance(duration: string): Promise<void> {
  const { code, output } = await run([MAIN, 'clock', 'advance', duration], { KEYTRAIL_DATA_DIR: dataDir }).done;
  if (code !== 0) throw new Error(output);
}

describe('a key', () => {
  test('decrypts after a rotation what was encrypted before, under the material it was encrypted with', async () => {
    const KeyId = await newKey();
    const first = (await describeKey(KeyId)).CurrentKeyMaterialId;
    const old = await encrypt(KeyId);
    await kms.send(new RotateKeyOnDemandCommand({ KeyId }));
    const second = (await describeKey(KeyId)).CurrentKeyMaterialId;
    expect(first).toMatch(/^[0-9a-f]{64}$/);
    expect(second).not.toBe(first);
    expect(await kms.send(new DecryptCommand({ CiphertextBlob: old }))).toMatchObject({ KeyMaterialId: first });
    const fresh = await kms.send(new DecryptCommand({ CiphertextBlob: await encrypt(KeyId) }));
    expect(fresh).toMatchObject({ KeyMaterialId: second });
    expect(await decrypt(old)).toEqual(PLAINTEXT);
  });

  test('re-encrypts under another key and another context', async () => {
    const [source, destination] = [await newKey(), await newKey()];
    const reply = await kms.send(
      new ReEncryptCommand({
        CiphertextBlob: await encrypt(source, { order: '1' }),
        SourceEncryptionContext: { order: '1' },
        DestinationKeyId: destination,
        DestinationEncryptionContext: { order: '2' },
      }),
    );
    expect(reply.SourceKeyId).toContain(source);
    expect(reply.KeyId).toContain(destination);
    expect(await decrypt(reply.CiphertextBlob!, { order: '2' })).toEqual(PLAINTEXT);
    await expect(decrypt(reply.CiphertextBlob!, { order: '1' })).rejects.toThrow(
      expect.objectContaining({ name: 'InvalidCiphertextException' }),
    );
  });

  test('generates data keys of the length asked for, which it decrypts again', async () => {
    const KeyId = await newKey();
    const dataKey = await kms.send(new GenerateDataKeyCommand({ KeyId, KeySpec: 'AES_256' }));
    expect(dataKey.Plaintext).toHaveLength(32);
    expect(await decrypt(dataKey.CiphertextBlob!)).toEqual(Buffer.from(dataKey.Plaintext!));
    const hidden = await kms.send(new GenerateDataKeyWithoutPlaintextCommand({ KeyId, NumberOfBytes: 1024 }));
    expect(hidden).not.toHaveProperty('Plaintext');
    expect(await decrypt(hidden.CiphertextBlob!)).toHaveLength(1024);
  });

  test('is found by each of its names, until the alias points elsewhere', async () => {
    const [former, later] = [await newKey(), await newKey()];
    const { Arn } = await describeKey(former);
    const AliasName = 'alias/moved';
    await kms.send(new CreateAliasCommand({ AliasName, TargetKeyId: former }));
    for (const KeyId of [former, Arn!, AliasName, Arn!.replace(/key\/.*/, AliasName)]) {
      expect(await describeKey(KeyId)).toMatchObject({ KeyId: former });
    }
    const ciphertext = await encrypt(AliasName);
    await kms.send(new UpdateAliasCommand({ AliasName, TargetKeyId: later }));
    expect(await describeKey(AliasName)).toMatchObject({ KeyId: later });
    expect(await aliasNames(former)).toEqual([]);
    expect(await decrypt(ciphertext)).toEqual(PLAINTEXT);
  });

  test('keeps its tags, the newest value of each', async () => {
    const KeyId = await newKey();
    const tagged = (tags: Record<string, string>) =>
      kms.send(
        new TagResourceCommand({
          KeyId,
          Tags: Object.entries(tags).map(([TagKey, TagValue]) => ({ TagKey, TagValue })),
        }),
      );
    await tagged({ team: 'a', stage: 'test' });
    await tagged({ team: 'b' });
    await kms.send(new UntagResourceCommand({ KeyId, TagKeys: ['stage', 'absent'] }));
    const { Tags } = await kms.send(new ListResourceTagsCommand({ KeyId }));
    expect(Tags).toEqual([{ TagKey: 'team', TagValue: 'b' }]);
  });

  test('is listed once, whatever the size of the pages', async () => {
    for (let missing = 5; missing > 0; missing--) await newKey();
    const all = (await kms.send(new ListKeysCommand({ Limit: 1000 }))).Keys!.map((key) => key.KeyId);
    for (const Limit of [1, 2, all.length - 1, all.length, all.length + 1]) {
      const listed: (string | undefined)[] = [];
      let Marker: string | undefined;
      do {
        const page = await kms.send(new ListKeysCommand({ Limit, Marker }));
        expect(page.Keys!.length).toBeLessThanOrEqual(Limit);
        expect(page.Truncated).toBe(page.NextMarker !== undefined);
        listed.push(...page.Keys!.map((key) => key.KeyId));
        Marker = page.NextMarker;
      } while (Marker !== undefined);
      expect(listed).toEqual(all);
    }
  });
});

describe('a ciphertext', () => {
  test('is refused with any byte of it changed, cut or added', async () => {
    const ciphertext = Buffer.from(await encrypt(await newKey(), { a: 'bc' }));
    const spoilt = [...ciphertext.keys()].map((at) => {
      const copy = Buffer.from(ciphertext);
      copy[at] = copy[at]! ^ 0x01;
      return copy;
    });
    spoilt.push(ciphertext.subarray(0, -1), ciphertext.subarray(1), Buffer.concat([ciphertext, Buffer.from([0])]));
    const refusals = await Promise.all(
      spoilt.map((copy) =>
        decrypt(copy, { a: 'bc' }).then(
          () => 'decrypted',
          (error: Error) => error.name,
        ),
      ),
    );
    expect(new Set(refusals)).toEqual(new Set(['InvalidCiphertextException']));
    expect(await decrypt(ciphertext, { a: 'bc' })).toEqual(PLAINTEXT);
  });

  test.each([[{ ab: 'c' }], [{ a: 'b', c: '' }], [{ A: 'bc' }], [{ a: 'bc', d: '' }], [{}]])(
    'made under {a: bc} is refused under %j',
    async (context) => {
      const ciphertext = await encrypt(await newKey(), { a: 'bc' });
      await expect(decrypt(ciphertext, context as Record<string, string>)).rejects.toThrow(
        expect.objectContaining({ name: 'InvalidCiphertextException' }),
      );
    },
  );
});

test('two regions know nothing of each other', async () => {
  const elsewhere = new KMSClient({
    endpoint: server.endpoint,
    region: 'eu-central-1',
    maxAttempts: 1,
    credentials: kms.config.credentials,
  });
  try {
    const here = await newKey();
    const there = (await elsewhere.send(new CreateKeyCommand({}))).KeyMetadata!;
    expect(there.Arn).toContain(':eu-central-1:');
    const listed = async (client: KMSClient) =>
      (await client.send(new ListKeysCommand({ Limit: 1000 }))).Keys!.map((key) => key.KeyId);
    expect(await listed(elsewhere)).toEqual([there.KeyId]);
    expect(await listed(kms)).not.toContain(there.KeyId);
    await expect(elsewhere.send(new DescribeKeyCommand({ KeyId: here }))).rejects.toThrow(
      expect.objectContaining({ name: 'NotFoundException' }),
    );
    await expect(elsewhere.send(new DecryptCommand({ CiphertextBlob: await encrypt(here) }))).rejects.toThrow(
      expect.objectContaining({ name: 'AccessDeniedException' }),
    );
    await kms.send(new CreateAliasCommand({ AliasName: 'alias/both', TargetKeyId: here }));
    await elsewhere.send(new CreateAliasCommand({ AliasName: 'alias/both', TargetKeyId: there.KeyId }));
    expect(await describeKey('alias/both')).toMatchObject({ KeyId: here });
  } finally {
    elsewhere.destroy();
  }
});

describe('as time passes', () => {
  const enableRotation = async (KeyId: string): Promise<number> => {
    await kms.send(new EnableKeyRotationCommand({ KeyId, RotationPeriodInDays: 90 }));
    const { NextRotationDate } = await kms.send(new GetKeyRotationStatusCommand({ KeyId }));
    return NextRotationDate!.getTime();
  };
  const deadlines = (first: number, count: number): number[] =>
    Array.from({ length: count }, (_, index) => first + index * 90 * DAY_MS);
  const automatic = (rotations: RotationsListEntry[]): (number | undefined)[] =>
    rotations.map((rotation) => {
      expect(rotation.RotationType).toBe('AUTOMATIC');
      return rotation.RotationDate?.getTime();
    });

  test('a key rotates every 90 days for two years, and decrypts a ciphertext of each version', async () => {
    const KeyId = await newKey();
    const first = await enableRotation(KeyId);
    const ciphertexts = [await encrypt(KeyId)];
    for (let quarter = 0; quarter < 8; quarter++) {
      await advance('90d');
      ciphertexts.push(await encrypt(KeyId));
    }
    await advance('10d');
    const rotations = await rotationsOf(KeyId);
    expect(automatic(rotations)).toEqual(deadlines(first, 8));
    const materials = await Promise.all(
      ciphertexts.map(async (CiphertextBlob) => {
        const { Plaintext, KeyMaterialId } = await kms.send(new DecryptCommand({ CiphertextBlob }));
        expect(Buffer.from(Plaintext!)).toEqual(PLAINTEXT);
        return KeyMaterialId;
      }),
    );
    expect(new Set(materials).size).toBe(9);
    expect(materials.slice(1)).toEqual(rotations.map((rotation) => rotation.KeyMaterialId));
  });

  test('a clock moved two years in one step fires every rotation between, each dated by its own deadline', async () => {
    const KeyId = await newKey();
    const first = await enableRotation(KeyId);
    const ciphertext = await encrypt(KeyId);
    await advance('2y');
    expect(automatic(await rotationsOf(KeyId))).toEqual(deadlines(first, 8));
    const { NextRotationDate } = await kms.send(new GetKeyRotationStatusCommand({ KeyId }));
    expect(NextRotationDate!.getTime()).toBe(first + 8 * 90 * DAY_MS);
    expect(await decrypt(ciphertext)).toEqual(PLAINTEXT);
  });

  test('a scheduled key is pending until its day, then gone with its aliases and its material', async () => {
    const others = new Set((await storedMaterial(dataDir)).keys());
    const KeyId = await newKey();
    await kms.send(new RotateKeyOnDemandCommand({ KeyId }));
    await kms.send(new CreateAliasCommand({ AliasName: 'alias/doomed', TargetKeyId: KeyId }));
    const material = [...(await storedMaterial(dataDir))].filter(([subject]) => !others.has(subject));
    expect(material).toHaveLength(2);
    for (const [, wrapped] of material) expect(filesHolding(dataDir, wrapped)).toHaveLength(1);

    const scheduled = await kms.send(new ScheduleKeyDeletionCommand({ KeyId, PendingWindowInDays: 7 }));
    await advance('6d23h');
    expect(await describeKey('alias/doomed')).toMatchObject({
      KeyId,
      KeyState: 'PendingDeletion',
      DeletionDate: scheduled.DeletionDate,
    });
    await advance('1h');
    for (const gone of [KeyId, 'alias/doomed']) {
      await expect(describeKey(gone)).rejects.toThrow(expect.objectContaining({ name: 'NotFoundException' }));
    }
    expect((await kms.send(new ListKeysCommand({ Limit: 1000 }))).Keys!.map((key) => key.KeyId)).not.toContain(KeyId);
    const left = await storedMaterial(dataDir);
    for (const [subject, wrapped] of material) {
      expect(left.has(subject)).toBe(false);
      expect(filesHolding(dataDir, wrapped)).toEqual([]);
    }
  });

  test('a key whose deletion was cancelled is disabled, lives past its day, and decrypts once enabled', async () => {
    const KeyId = await newKey();
    const ciphertext = await encrypt(KeyId);
    await kms.send(new ScheduleKeyDeletionCommand({ KeyId, PendingWindowInDays: 7 }));
    await advance('6d');
    await kms.send(new CancelKeyDeletionCommand({ KeyId }));
    await advance('2d');
    expect(await describeKey(KeyId)).toMatchObject({ KeyState: 'Disabled', Enabled: false });
    await expect(decrypt(ciphertext)).rejects.toThrow(expect.objectContaining({ name: 'DisabledException' }));
    await kms.send(new EnableKeyCommand({ KeyId }));
    expect(await decrypt(ciphertext)).toEqual(PLAINTEXT);
  });
});
