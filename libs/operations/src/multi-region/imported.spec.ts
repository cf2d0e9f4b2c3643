import { generateKeyPairSync } from 'node:crypto';
import type { KeyCommand } from '#domain/key/commands';
import { dueStepsOf } from '#views/related-keys';
import { ACCOUNT, MemoryOperations } from '../../../../test/support/memory-operations';
import { newMaterial, wrap } from '../../../../test/support/wrapping';

const HOME = 'us-east-1';
const AWAY = 'eu-west-1';
const THIRD = 'ap-south-1';
const DAY_MS = 86_400_000;
const NEW = { ImportType: 'NEW_KEY_MATERIAL' };
const PLAINTEXT = Buffer.from('held everywhere').toString('base64');

type KeySpec = Parameters<typeof newMaterial>[0];
type Body = Record<string, unknown>;

const kms = new MemoryOperations();
const SECRETS = Array.from({ length: 3 }, () => newMaterial('SYMMETRIC_DEFAULT').material);
const [FIRST, SECOND, OTHER] = SECRETS as [Buffer, Buffer, Buffer];

async function ok(region: string, operation: string, input: object): Promise<Body> {
  const { code, message, body } = await kms.call(operation, input, { region });
  if (code !== 'OK') throw new Error(`${operation} in ${region}: ${code}: ${message}`);
  return body;
}
/** As `code: message`. */
const refusal = async (region: string, operation: string, input: object): Promise<string> => {
  const { code, message } = await kms.call(operation, input, { region });
  return `${code}: ${message}`;
};
const arnIn = (region: string, KeyId: string): string => `arn:aws:kms:${region}:${ACCOUNT}:key/${KeyId}`;
const ref = (region: string, id: string) => ({ region, account: ACCOUNT, aggregate: 'key', id }) as const;
const stateOf = async (region: string, KeyId: string): Promise<unknown> =>
  ((await ok(region, 'DescribeKey', { KeyId }))['KeyMetadata'] as Body)['KeyState'];

const WRAPPING = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: { type: 'spki', format: 'der' },
  privateKeyEncoding: { type: 'pkcs8', format: 'der' },
});

/** The request that imports it, with a token of the key in this region; one wrapping key for all, since each takes its time. */
function importOf(region: string, KeyId: string, material: Buffer, more: Body = {}): Body {
  const wrappingAlgorithm = material.length > 128 ? 'RSA_AES_KEY_WRAP_SHA_256' : 'RSAES_OAEP_SHA_256';
  const validTo = new Date(kms.now + DAY_MS).toISOString();
  const claims = { keyArn: arnIn(region, KeyId), wrappingAlgorithm, wrappingKeySpec: 'RSA_2048', validTo } as const;
  return {
    KeyId,
    ImportToken: kms.imports.newToken(claims, Buffer.from(WRAPPING.privateKey)).toString('base64'),
    EncryptedKeyMaterial: wrap(wrappingAlgorithm, WRAPPING.publicKey, material).toString('base64'),
    ExpirationModel: more['ValidTo'] === undefined ? 'KEY_MATERIAL_DOES_NOT_EXPIRE' : 'KEY_MATERIAL_EXPIRES',
    ...more,
  };
}
const bring = async (region: string, KeyId: string, material: Buffer, more: Body = {}): Promise<string> =>
  String((await ok(region, 'ImportKeyMaterial', importOf(region, KeyId, material, more)))['KeyMaterialId']);

async function primary(KeySpec: KeySpec = 'SYMMETRIC_DEFAULT', KeyUsage = 'ENCRYPT_DECRYPT'): Promise<string> {
  const { KeyMetadata } = await ok(HOME, 'CreateKey', { Origin: 'EXTERNAL', MultiRegion: true, KeySpec, KeyUsage });
  return (KeyMetadata as { KeyId: string }).KeyId;
}
/** A primary and its replicas, all with the first secret. */
async function related(...regions: string[]): Promise<string> {
  const KeyId = await primary();
  await bring(HOME, KeyId, FIRST);
  for (const ReplicaRegion of regions) {
    await ok(HOME, 'ReplicateKey', { KeyId, ReplicaRegion });
    await bring(ReplicaRegion, KeyId, FIRST);
  }
  return KeyId;
}

const encrypt = async (region: string, KeyId: string) =>
  (await ok(region, 'Encrypt', { KeyId, Plaintext: PLAINTEXT }))['CiphertextBlob'];
const decrypt = async (region: string, CiphertextBlob: unknown) =>
  (await ok(region, 'Decrypt', { CiphertextBlob }))['Plaintext'];
/** A key has one timer at a time. */
async function fireAll(): Promise<void> {
  for (let before = -1; before !== kms.projection.position; ) {
    before = kms.projection.position;
    await kms.fireDue();
  }
}
/** Of each material its state and whether it is imported. */
async function materials(region: string, KeyId: string): Promise<string[]> {
  const { Rotations } = await ok(region, 'ListKeyRotations', { KeyId, IncludeKeyMaterial: 'ALL_KEY_MATERIAL' });
  return (Rotations as Body[]).map(({ KeyMaterialState, ImportState }) => `${KeyMaterialState} ${ImportState}`);
}
const copiesOf = (materialId: string): string[] => kms.storedMaterial.filter((place) => place.startsWith(materialId));

/** What is made with the key in one region, and whether it is as it should be in another. */
const USES: [KeySpec, string, (from: string, to: string, KeyId: string) => Promise<unknown>][] = [
  ['SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT', async (from, to, KeyId) => decrypt(to, await encrypt(from, KeyId))],
  [
    'HMAC_256',
    'GENERATE_VERIFY_MAC',
    async (from, to, KeyId) => {
      const asked = { KeyId, Message: PLAINTEXT, MacAlgorithm: 'HMAC_SHA_256' };
      const { Mac } = await ok(from, 'GenerateMac', asked);
      return (await ok(to, 'VerifyMac', { ...asked, Mac }))['MacValid'] && PLAINTEXT;
    },
  ],
  ...(
    [
      ['RSA_2048', 'RSASSA_PSS_SHA_256'],
      ['ECC_NIST_P256', 'ECDSA_SHA_256'],
    ] as const
  ).map(([keySpec, SigningAlgorithm]): (typeof USES)[number] => [
    keySpec,
    'SIGN_VERIFY',
    async (from, to, KeyId) => {
      const asked = { KeyId, Message: PLAINTEXT, SigningAlgorithm };
      const { Signature } = await ok(from, 'Sign', asked);
      return (await ok(to, 'Verify', { ...asked, Signature }))['SignatureValid'] && PLAINTEXT;
    },
  ]),
];

describe('related keys with imported material', () => {
  test.each(USES)(
    'of %s are made one by one of the same material, and know what the other one made',
    async (keySpec, usage, use) => {
      const { material } = newMaterial(keySpec);
      const KeyId = await primary(keySpec, usage);
      expect(KeyId).toMatch(/^mrk-[0-9a-f]{32}$/);
      expect(await stateOf(HOME, KeyId)).toBe('PendingImport');
      expect(await refusal(HOME, 'ReplicateKey', { KeyId, ReplicaRegion: AWAY })).toBe(
        `KMSInvalidStateException: ${arnIn(HOME, KeyId)} is pending import.`,
      );
      const materialId = await bring(HOME, KeyId, material);
      const { ReplicaKeyMetadata } = await ok(HOME, 'ReplicateKey', { KeyId, ReplicaRegion: AWAY });
      expect(ReplicaKeyMetadata).toMatchObject({ KeyState: 'Creating', Origin: 'EXTERNAL', MultiRegion: true });
      expect(await stateOf(AWAY, KeyId)).toBe('PendingImport');
      const other = importOf(AWAY, KeyId, newMaterial(keySpec).material);
      expect(await refusal(AWAY, 'ImportKeyMaterial', other)).toBe(
        `IncorrectKeyMaterialException: The key material is not associated with ${arnIn(AWAY, KeyId)}.`,
      );
      const ofHome = importOf(HOME, KeyId, material);
      expect(await refusal(AWAY, 'ImportKeyMaterial', ofHome)).toBe(
        'InvalidImportTokenException: The import token is associated with a different KMS key.',
      );
      expect(await bring(AWAY, KeyId, material)).toBe(materialId);
      expect(await use(HOME, AWAY, KeyId)).toBe(PLAINTEXT);
      expect(await use(AWAY, HOME, KeyId)).toBe(PLAINTEXT);
      expect(copiesOf(materialId)).toHaveLength(2);
    },
  );

  test('have copies that end in their own region alone', async () => {
    const KeyId = await related(AWAY);
    const materialId = await bring(AWAY, KeyId, FIRST, { ValidTo: kms.now / 1000 + 86_400 });
    const ciphertext = await encrypt(AWAY, KeyId);
    kms.now += DAY_MS;
    const pendingImport = `KMSInvalidStateException: ${arnIn(AWAY, KeyId)} is pending import.`;
    const asked = { CiphertextBlob: ciphertext };
    // By the clock first, then by the log.
    expect([await refusal(AWAY, 'Decrypt', asked), await decrypt(HOME, ciphertext)]).toEqual([
      pendingImport,
      PLAINTEXT,
    ]);
    await fireAll();
    expect([await refusal(AWAY, 'Decrypt', asked), await decrypt(HOME, ciphertext)]).toEqual([
      pendingImport,
      PLAINTEXT,
    ]);
    expect(copiesOf(materialId)).toHaveLength(1);
    await bring(AWAY, KeyId, FIRST);
    await ok(HOME, 'DeleteImportedKeyMaterial', { KeyId });
    expect(await decrypt(AWAY, ciphertext)).toBe(PLAINTEXT);
    expect(await refusal(HOME, 'Decrypt', asked)).toContain('is pending import');
    expect(copiesOf(materialId)).toHaveLength(1);
  });

  test('of another key have another id for the same material', async () => {
    const [one, two] = [await primary(), await primary()];
    expect(await bring(HOME, one, FIRST)).not.toBe(await bring(HOME, two, FIRST));
  });
});

describe('a rotation', () => {
  const WAITS = 'PENDING_MULTI_REGION_IMPORT_AND_ROTATION';

  test('waits for every replica, is asked of the primary, and takes effect in all', async () => {
    const KeyId = await related(AWAY, THIRD);
    const before = await encrypt(AWAY, KeyId);
    expect(await refusal(AWAY, 'ImportKeyMaterial', importOf(AWAY, KeyId, SECOND, NEW))).toBe(
      `UnsupportedOperationException: ${arnIn(AWAY, KeyId)} is a multi-Region replica key: ` +
        'new key material can only be imported into its primary key.',
    );
    const materialId = await bring(HOME, KeyId, SECOND, NEW);
    expect(await materials(HOME, KeyId)).toEqual(['CURRENT IMPORTED', `${WAITS} IMPORTED`]);
    expect(await materials(AWAY, KeyId)).toEqual(['CURRENT IMPORTED', `${WAITS} PENDING_IMPORT`]);
    expect(await refusal(HOME, 'RotateKeyOnDemand', { KeyId })).toBe(
      `KMSInvalidStateException: ${arnIn(HOME, KeyId)} has key material that is pending multi-Region import and rotation.`,
    );
    expect(await refusal(AWAY, 'ImportKeyMaterial', importOf(AWAY, KeyId, OTHER))).toContain(
      'IncorrectKeyMaterialException',
    );
    expect(await bring(AWAY, KeyId, SECOND, { KeyMaterialId: materialId })).toBe(materialId);
    expect(await materials(AWAY, KeyId)).toEqual(['CURRENT IMPORTED', `${WAITS} IMPORTED`]);
    await bring(THIRD, KeyId, SECOND);
    for (const region of [HOME, AWAY, THIRD]) {
      expect(await materials(region, KeyId)).toEqual(['CURRENT IMPORTED', 'PENDING_ROTATION IMPORTED']);
    }
    expect(await refusal(AWAY, 'RotateKeyOnDemand', { KeyId })).toBe(
      `UnsupportedOperationException: ${arnIn(AWAY, KeyId)} is not a multi-region primary key.`,
    );
    await ok(HOME, 'RotateKeyOnDemand', { KeyId });
    const ciphertexts = [before];
    for (const region of [HOME, AWAY, THIRD]) {
      expect(await materials(region, KeyId)).toEqual(['NON_CURRENT IMPORTED', 'CURRENT IMPORTED']);
      ciphertexts.push(await encrypt(region, KeyId));
    }
    for (const region of [HOME, AWAY, THIRD]) {
      for (const ciphertext of ciphertexts) expect(await decrypt(region, ciphertext)).toBe(PLAINTEXT);
    }
    expect(copiesOf(materialId)).toHaveLength(3);
  });

  test('that is called off takes the copies of the replicas along', async () => {
    const KeyId = await related(AWAY);
    const materialId = await bring(HOME, KeyId, SECOND, NEW);
    await bring(AWAY, KeyId, SECOND);
    expect(copiesOf(materialId)).toHaveLength(2);
    const asked = { KeyId, KeyMaterialId: materialId };
    expect(await ok(HOME, 'DeleteImportedKeyMaterial', asked)).toEqual({
      KeyId: arnIn(HOME, KeyId),
      KeyMaterialId: materialId,
    });
    expect(copiesOf(materialId)).toEqual([]);
    for (const region of [HOME, AWAY]) expect(await materials(region, KeyId)).toEqual(['CURRENT IMPORTED']);
    await bring(HOME, KeyId, SECOND, { ...NEW, ValidTo: kms.now / 1000 + 86_400 });
    await bring(AWAY, KeyId, SECOND);
    kms.now += DAY_MS;
    await fireAll();
    expect(copiesOf(materialId)).toEqual([]);
    expect(await materials(AWAY, KeyId)).toEqual(['CURRENT IMPORTED']);
  });

  test('that a replica has not heard of yet is no hindrance to what the primary encrypts, where it has the copy', async () => {
    const KeyId = await related(AWAY, THIRD);
    await bring(HOME, KeyId, SECOND, NEW);
    for (const region of [AWAY, THIRD]) await bring(region, KeyId, SECOND);
    const { body } = await kms.call('ListKeyRotations', { KeyId, IncludeKeyMaterial: 'ALL_KEY_MATERIAL' });
    const KeyMaterialId = (body['Rotations'] as Body[])[1]!['KeyMaterialId'];
    await ok(THIRD, 'DeleteImportedKeyMaterial', { KeyId, KeyMaterialId });
    // As a crash after its commit leaves it.
    await kms.runCommand(ref(HOME, KeyId), { type: 'RotateKeyOnDemand' });
    const ciphertext = await encrypt(HOME, KeyId);
    expect(await decrypt(AWAY, ciphertext)).toBe(PLAINTEXT);
    const pendingImport = `KMSInvalidStateException: ${arnIn(THIRD, KeyId)} is pending import.`;
    expect(await refusal(THIRD, 'Decrypt', { CiphertextBlob: ciphertext })).toBe(pendingImport);
    await fireAll();
    expect(await materials(AWAY, KeyId)).toEqual(['NON_CURRENT IMPORTED', 'CURRENT IMPORTED']);
    expect(await materials(THIRD, KeyId)).toEqual(['NON_CURRENT IMPORTED', 'CURRENT PENDING_IMPORT']);
    expect(await refusal(THIRD, 'Decrypt', { CiphertextBlob: ciphertext })).toBe(pendingImport);
  });
});

describe('another primary, and deletion', () => {
  const step = async (id: string): Promise<void> => {
    const [next] = dueStepsOf(kms.projection, ref(HOME, id));
    await kms.runCommand(ref(next!.region, id), next!.command);
  };

  test('a key that is Creating takes no material yet, and one that is Updating loses none', async () => {
    const KeyId = await primary();
    await bring(HOME, KeyId, FIRST);
    const policy = String((await ok(HOME, 'GetKeyPolicy', { KeyId }))['Policy']);
    const own = { description: '', policy, tags: [] };
    await kms.runCommand(ref(HOME, KeyId), { type: 'BeginReplication', replicaRegion: AWAY, generation: 1, ...own });
    await step(KeyId);
    const wrapping = { KeyId, WrappingAlgorithm: 'RSAES_OAEP_SHA_256', WrappingKeySpec: 'RSA_2048' };
    const asked = async (region: string): Promise<string[]> => [
      await refusal(region, 'GetParametersForImport', wrapping),
      await refusal(region, 'DeleteImportedKeyMaterial', { KeyId }),
      await refusal(region, 'ImportKeyMaterial', importOf(region, KeyId, FIRST)),
    ];
    const is = (state: string) => `KMSInvalidStateException: ${arnIn(AWAY, KeyId)} is ${state}.`;
    expect(await asked(AWAY)).toEqual([is('creating'), is('creating'), is('creating')]);
    await fireAll();
    await bring(AWAY, KeyId, FIRST);
    await kms.runCommand(ref(HOME, KeyId), { type: 'HandOverPrimary', primaryRegion: AWAY });
    await step(KeyId);
    expect(await asked(AWAY)).toEqual([is('updating'), is('updating'), 'OK: ']);
    await fireAll();
    expect([await stateOf(HOME, KeyId), await stateOf(AWAY, KeyId)]).toEqual(['Enabled', 'Enabled']);
  });

  test('a key that is Updating is used as before, but not without its material', async () => {
    const KeyId = await related(AWAY);
    await bring(AWAY, KeyId, FIRST, { ValidTo: kms.now / 1000 + 86_400 });
    const handOver: KeyCommand = { type: 'HandOverPrimary', primaryRegion: AWAY };
    await kms.runCommand(ref(HOME, KeyId), handOver);
    await step(KeyId);
    const asked = { KeyId, Plaintext: PLAINTEXT };
    expect(await stateOf(AWAY, KeyId)).toBe('Updating');
    await encrypt(AWAY, KeyId);
    kms.now += DAY_MS;
    expect(await refusal(AWAY, 'Encrypt', asked)).toBe(
      `KMSInvalidStateException: ${arnIn(AWAY, KeyId)} is pending import.`,
    );
    expect(await refusal(AWAY, 'GenerateDataKey', { KeyId, KeySpec: 'AES_256' })).toContain('is pending import');
    await fireAll();
    expect([await stateOf(HOME, KeyId), await stateOf(AWAY, KeyId)]).toEqual(['Enabled', 'PendingImport']);
    await encrypt(HOME, KeyId);
  });

  test('a primary that waits for its replicas to be deleted loses its material by its date all the same', async () => {
    const KeyId = await related(AWAY);
    const materialId = await bring(HOME, KeyId, FIRST, { ValidTo: kms.now / 1000 + 86_400 });
    await ok(HOME, 'ScheduleKeyDeletion', { KeyId, PendingWindowInDays: 7 });
    await fireAll();
    expect(copiesOf(materialId)).toHaveLength(2);
    kms.now += DAY_MS;
    await fireAll();
    expect(copiesOf(materialId)).toHaveLength(1);
    expect(await stateOf(HOME, KeyId)).toBe('PendingReplicaDeletion');
    await ok(AWAY, 'ScheduleKeyDeletion', { KeyId, PendingWindowInDays: 7 });
    kms.now += 7 * DAY_MS;
    await fireAll();
    expect(copiesOf(materialId)).toEqual([]);
    expect(await stateOf(HOME, KeyId)).toBe('PendingDeletion');
  });
});
