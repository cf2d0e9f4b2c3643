import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateKeyCommand,
  DecryptCommand,
  DeleteImportedKeyMaterialCommand,
  DescribeKeyCommand,
  EncryptCommand,
  GenerateMacCommand,
  GetParametersForImportCommand,
  ImportKeyMaterialCommand,
  type ImportKeyMaterialCommandInput,
  type KeyMetadata,
  type KeySpec,
  type KeyUsageType,
  ListKeyRotationsCommand,
  ReplicateKeyCommand,
  RotateKeyOnDemandCommand,
  type RotationsListEntry,
  ScheduleKeyDeletionCommand,
  SignCommand,
  UpdatePrimaryRegionCommand,
  VerifyCommand,
  VerifyMacCommand,
} from '@aws-sdk/client-kms';
import { until } from './support/nats-server';
import { type KeytrailProcess, MAIN, run, startProcess } from './support/processes';
import { kmsIn } from './support/regions';
import { filesHolding, storedMaterial } from './support/stored-material';
import { newMaterial, wrap } from './support/wrapping';

const HOME = 'us-east-1';
const AWAY = 'eu-west-1';
const REGIONS = [HOME, AWAY];
const VIRTUAL = { KEYTRAIL_CLOCK: 'virtual' };
const DAY_MS = 86_400_000;
const Message = Buffer.from('the same everywhere');
const FOR_EVER = { ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' } as const;
const NEW = { ImportType: 'NEW_KEY_MATERIAL', ...FOR_EVER } as const;
const WAITS = 'PENDING_MULTI_REGION_IMPORT_AND_ROTATION';

let dataDir: string;
let server: KeytrailProcess;

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-mrk-import-'));
  server = await startProcess(dataDir, VIRTUAL);
});

afterAll(async () => {
  await server?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

const send = <T>(region: string, command: unknown): Promise<T> =>
  kmsIn(region, server).send(command as never) as Promise<T>;
const arnIn = (region: string, KeyId: string): string => `arn:aws:kms:${region}:000000000000:key/${KeyId}`;
const refusedAs = (name: string, message: string) => expect.objectContaining({ name, message });
const pendingImport = (region: string, KeyId: string) =>
  refusedAs('KMSInvalidStateException', `${arnIn(region, KeyId)} is pending import.`);

const stateOf = async (region: string, KeyId: string): Promise<string> =>
  (await send<{ KeyMetadata: KeyMetadata }>(region, new DescribeKeyCommand({ KeyId }))).KeyMetadata.KeyState!;
const encrypt = async (region: string, KeyId: string): Promise<Uint8Array> =>
  (await send<{ CiphertextBlob: Uint8Array }>(region, new EncryptCommand({ KeyId, Plaintext: Message })))
    .CiphertextBlob;
const decrypt = async (region: string, CiphertextBlob: Uint8Array): Promise<string> =>
  Buffer.from(
    (await send<{ Plaintext: Uint8Array }>(region, new DecryptCommand({ CiphertextBlob }))).Plaintext,
  ).toString();
const rotate = (region: string, KeyId: string) => send(region, new RotateKeyOnDemandCommand({ KeyId }));
const replicate = (KeyId: string) => send(HOME, new ReplicateKeyCommand({ KeyId, ReplicaRegion: AWAY }));

type Settings = Partial<ImportKeyMaterialCommandInput>;
const wrappingOf = new Map<string, Promise<{ ImportToken: Uint8Array; PublicKey: Uint8Array }>>();

/** The request that imports it in this region. A token is good for a day: each is asked for once. */
async function importOf(region: string, KeyId: string, material: Buffer, more: Settings = FOR_EVER) {
  const WrappingAlgorithm = material.length > 128 ? 'RSA_AES_KEY_WRAP_SHA_256' : 'RSAES_OAEP_SHA_256';
  const asked = { KeyId, WrappingAlgorithm, WrappingKeySpec: 'RSA_2048' } as const;
  const of = `${region} ${KeyId}`;
  if (!wrappingOf.has(of)) wrappingOf.set(of, send(region, new GetParametersForImportCommand(asked)));
  const { ImportToken, PublicKey } = await wrappingOf.get(of)!;
  const EncryptedKeyMaterial = wrap(WrappingAlgorithm, PublicKey, material);
  return new ImportKeyMaterialCommand({ KeyId, ImportToken, EncryptedKeyMaterial, ...more });
}

const bring = async (...args: Parameters<typeof importOf>): Promise<string> =>
  (await send<{ KeyMaterialId: string }>(args[0], await importOf(...args))).KeyMaterialId;

async function createKey(keySpec: KeySpec = 'SYMMETRIC_DEFAULT', usage: KeyUsageType = 'ENCRYPT_DECRYPT') {
  const asked = new CreateKeyCommand({ Origin: 'EXTERNAL', MultiRegion: true, KeySpec: keySpec, KeyUsage: usage });
  return (await send<{ KeyMetadata: KeyMetadata }>(HOME, asked)).KeyMetadata.KeyId!;
}

/** Keys of two regions, into which the material has been imported. */
async function related(material = newMaterial('SYMMETRIC_DEFAULT').material): Promise<string> {
  const KeyId = await createKey();
  await bring(HOME, KeyId, material);
  await replicate(KeyId);
  await bring(AWAY, KeyId, material);
  return KeyId;
}

async function materials(region: string, KeyId: string): Promise<string[]> {
  const asked = new ListKeyRotationsCommand({ KeyId, IncludeKeyMaterial: 'ALL_KEY_MATERIAL' });
  const { Rotations } = await send<{ Rotations: RotationsListEntry[] }>(region, asked);
  return Rotations.map(({ KeyMaterialState, ImportState }) => `${KeyMaterialState} ${ImportState}`);
}

const copiesOf = async (materialId: string): Promise<Map<string, Buffer>> =>
  new Map([...(await storedMaterial(dataDir))].filter(([subject]) => subject.includes(materialId)));

async function cli(...args: string[]): Promise<string> {
  const { code, output } = await run([MAIN, ...args], { KEYTRAIL_DATA_DIR: dataDir }).done;
  if (code !== 0) throw new Error(output);
  return output;
}

/** On the same data, to die at the fail-point if there is one. */
async function restart(failPoint?: string): Promise<void> {
  await server.stop();
  server = await startProcess(
    dataDir,
    failPoint === undefined ? VIRTUAL : { ...VIRTUAL, KEYTRAIL_FAIL_POINT: failPoint },
  );
}

/** That the server dies of it. */
async function expectDeath(call: Promise<unknown>): Promise<void> {
  const answered = call.then(
    () => 'answered',
    () => 'failed',
  );
  expect(await server.gone).toBe('SIGKILL');
  expect(await answered).toBe('failed');
}

/** What is made with the key in one region is right in the other. */
const USES: [KeySpec, KeyUsageType, (KeyId: string) => Promise<boolean>][] = [
  [
    'SYMMETRIC_DEFAULT',
    'ENCRYPT_DECRYPT',
    async (KeyId) => (await decrypt(HOME, await encrypt(AWAY, KeyId))) === `${Message}`,
  ],
  [
    'HMAC_384',
    'GENERATE_VERIFY_MAC',
    async (KeyId) => {
      const asked = { KeyId, Message, MacAlgorithm: 'HMAC_SHA_384' } as const;
      const { Mac } = await send<{ Mac: Uint8Array }>(AWAY, new GenerateMacCommand(asked));
      return (await send<{ MacValid: boolean }>(HOME, new VerifyMacCommand({ ...asked, Mac }))).MacValid;
    },
  ],
  ...(
    [
      ['RSA_2048', 'RSASSA_PKCS1_V1_5_SHA_256'],
      ['ECC_NIST_P256', 'ECDSA_SHA_256'],
    ] as const
  ).map(([keySpec, SigningAlgorithm]): (typeof USES)[number] => [
    keySpec,
    'SIGN_VERIFY',
    async (KeyId) => {
      const asked = { KeyId, Message, SigningAlgorithm };
      const { Signature } = await send<{ Signature: Uint8Array }>(AWAY, new SignCommand(asked));
      return (await send<{ SignatureValid: boolean }>(HOME, new VerifyCommand({ ...asked, Signature }))).SignatureValid;
    },
  ]),
];

describe('with the AWS SDK in two regions', () => {
  test.each(USES)('the same material of %s is imported into each key, and no other', async (keySpec, usage, fits) => {
    const KeyId = await createKey(keySpec, usage);
    await expect(replicate(KeyId)).rejects.toThrow(pendingImport(HOME, KeyId));
    const { material } = newMaterial(keySpec);
    const materialId = await bring(HOME, KeyId, material);
    await replicate(KeyId);
    expect([await stateOf(HOME, KeyId), await stateOf(AWAY, KeyId)]).toEqual(['Enabled', 'PendingImport']);
    await expect(bring(AWAY, KeyId, newMaterial(keySpec).material)).rejects.toThrow(
      refusedAs('IncorrectKeyMaterialException', `The key material is not associated with ${arnIn(AWAY, KeyId)}.`),
    );
    await expect(send(AWAY, await importOf(HOME, KeyId, material))).rejects.toThrow(
      refusedAs('InvalidImportTokenException', 'The import token is associated with a different KMS key.'),
    );
    expect(await bring(AWAY, KeyId, material)).toBe(materialId);
    expect(await fits(KeyId)).toBe(true);
  });

  test('a copy that is deleted is gone from disk, and the other region’s stays', async () => {
    const { material } = newMaterial('SYMMETRIC_DEFAULT');
    const KeyId = await createKey();
    const materialId = await bring(HOME, KeyId, material);
    const [[kept, ofHome]] = (await copiesOf(materialId)) as unknown as [[string, Buffer]];
    await replicate(KeyId);
    await bring(AWAY, KeyId, material);
    const [[, ofAway]] = [...(await copiesOf(materialId))].filter(([subject]) => subject !== kept) as [
      [string, Buffer],
    ];
    const ciphertext = await encrypt(AWAY, KeyId);
    await send(AWAY, new DeleteImportedKeyMaterialCommand({ KeyId }));
    await expect(decrypt(AWAY, ciphertext)).rejects.toThrow(pendingImport(AWAY, KeyId));
    expect(await decrypt(HOME, ciphertext)).toBe(`${Message}`);
    expect([...(await copiesOf(materialId)).keys()]).toEqual([kept]);
    expect([filesHolding(dataDir, ofHome).length, filesHolding(dataDir, ofAway)]).toEqual([1, []]);
    await bring(AWAY, KeyId, material);
    expect(await decrypt(AWAY, ciphertext)).toBe(`${Message}`);
  });

  test('new material is rotated to once every key has it, whichever is the primary by then', async () => {
    const KeyId = await related();
    const ciphertexts = [await encrypt(HOME, KeyId)];
    const { material } = newMaterial('SYMMETRIC_DEFAULT');
    await expect(bring(AWAY, KeyId, material, NEW)).rejects.toThrow(
      refusedAs(
        'UnsupportedOperationException',
        `${arnIn(AWAY, KeyId)} is a multi-Region replica key: new key material can only be imported into its primary key.`,
      ),
    );
    await bring(HOME, KeyId, material, NEW);
    expect(await materials(HOME, KeyId)).toEqual(['CURRENT IMPORTED', `${WAITS} IMPORTED`]);
    expect(await materials(AWAY, KeyId)).toEqual(['CURRENT IMPORTED', `${WAITS} PENDING_IMPORT`]);
    await expect(rotate(HOME, KeyId)).rejects.toThrow(
      refusedAs(
        'KMSInvalidStateException',
        `${arnIn(HOME, KeyId)} has key material that is pending multi-Region import and rotation.`,
      ),
    );
    await send(HOME, new UpdatePrimaryRegionCommand({ KeyId, PrimaryRegion: AWAY }));
    await bring(AWAY, KeyId, material, { ImportType: 'EXISTING_KEY_MATERIAL', ...FOR_EVER });
    expect(await materials(HOME, KeyId)).toEqual(['CURRENT IMPORTED', 'PENDING_ROTATION IMPORTED']);
    await expect(rotate(HOME, KeyId)).rejects.toThrow(
      refusedAs('UnsupportedOperationException', `${arnIn(HOME, KeyId)} is not a multi-region primary key.`),
    );
    await rotate(AWAY, KeyId);
    for (const region of REGIONS) {
      expect(await materials(region, KeyId)).toEqual(['NON_CURRENT IMPORTED', 'CURRENT IMPORTED']);
      ciphertexts.push(await encrypt(region, KeyId));
    }
    for (const region of REGIONS) {
      for (const ciphertext of ciphertexts) expect(await decrypt(region, ciphertext)).toBe(`${Message}`);
    }
  });

  test('each copy has its own date, and the primary waits for its replica to be deleted', async () => {
    const { material } = newMaterial('SYMMETRIC_DEFAULT');
    const KeyId = await related(material);
    const ciphertext = await encrypt(AWAY, KeyId);
    await bring(AWAY, KeyId, material, { ValidTo: new Date(Date.now() + DAY_MS) });
    await cli('clock', 'advance', '2d');
    wrappingOf.clear();
    expect([await stateOf(HOME, KeyId), await stateOf(AWAY, KeyId)]).toEqual(['Enabled', 'PendingImport']);
    await expect(decrypt(AWAY, ciphertext)).rejects.toThrow(pendingImport(AWAY, KeyId));
    expect(await decrypt(HOME, ciphertext)).toBe(`${Message}`);
    const asked = { KeyId, PendingWindowInDays: 7 };
    expect(await send(HOME, new ScheduleKeyDeletionCommand(asked))).toMatchObject({
      KeyState: 'PendingReplicaDeletion',
    });
    expect(await send(AWAY, new ScheduleKeyDeletionCommand(asked))).toMatchObject({ KeyState: 'PendingDeletion' });
  });

  test('the log and the material hold together', async () => {
    await bring(HOME, await related(), newMaterial('SYMMETRIC_DEFAULT').material, NEW);
    expect(await cli('verify')).not.toMatch(/unusable|missing/);
  });
});

describe('after a kill -9', () => {
  test('of a replica’s import before its primary knows of it, and of the rotation before the replica does', async () => {
    const KeyId = await related();
    const { material } = newMaterial('SYMMETRIC_DEFAULT');
    await bring(HOME, KeyId, material, NEW);
    const request = await importOf(AWAY, KeyId, material);
    await restart('after-append:KeyMaterialImported');
    await expectDeath(send(AWAY, request));
    await restart('after-append:KeyRotated');
    const inHome = async () => (await materials(HOME, KeyId))[1];
    await until(async () => (await inHome()) === 'PENDING_ROTATION IMPORTED', `the primary of ${KeyId} is not told`);
    await expectDeath(rotate(HOME, KeyId));
    await restart('after-append:ImportedKeyMaterialDeleted');
    const ciphertext = await encrypt(HOME, KeyId);
    expect(await decrypt(AWAY, ciphertext)).toBe(`${Message}`);
    const inAway = async () => (await materials(AWAY, KeyId))[1];
    await until(async () => (await inAway()) === 'CURRENT IMPORTED', `${KeyId} was not synchronized`);
    expect(await decrypt(HOME, await encrypt(AWAY, KeyId))).toBe(`${Message}`);
  });

  test('of new material that is deleted again, the replica’s copy goes too; the server of the test before dies of it', async () => {
    const KeyId = await related();
    const { material } = newMaterial('SYMMETRIC_DEFAULT');
    const KeyMaterialId = await bring(HOME, KeyId, material, NEW);
    await bring(AWAY, KeyId, material);
    expect((await copiesOf(KeyMaterialId)).size).toBe(2);
    const deletion = new DeleteImportedKeyMaterialCommand({ KeyId, KeyMaterialId });
    await expectDeath(send(HOME, deletion));
    await restart();
    await until(
      async () => (await copiesOf(KeyMaterialId)).size === 0,
      `the copies of ${KeyMaterialId} were not erased`,
    );
    for (const region of REGIONS) expect(await materials(region, KeyId)).toEqual(['CURRENT IMPORTED']);
  });
});
