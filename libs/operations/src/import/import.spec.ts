import { createHmac, createPublicKey, verify } from 'node:crypto';
import fc from 'fast-check';
import { KmsError } from '#domain/errors';
import { userRef } from '#domain/principal/principal-id';
import { change, changed } from '../../../../test/support/changed-bytes';
import { ACCOUNT, allowing, MemoryOperations } from '../../../../test/support/memory-operations';
import { newMaterial, wrap } from '../../../../test/support/wrapping';

const DAY_MS = 86_400_000;
const OAEP = 'RSAES_OAEP_SHA_256';
const HYBRID = 'RSA_AES_KEY_WRAP_SHA_256';
const FOR_EVER = { ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' };
const NEW = { ...FOR_EVER, ImportType: 'NEW_KEY_MATERIAL' };
const PLAINTEXT = Buffer.from('held').toString('base64');

const kms = new MemoryOperations();
type Request = Record<string, unknown>;

async function ok(operation: string, input: Request): Promise<Record<string, unknown>> {
  const { code, message, body } = await kms.call(operation, input);
  if (code !== 'OK') throw new Error(`${operation}: ${code}: ${message}`);
  return body;
}

const refusal = async (operation: string, input: Request, who = {}): Promise<[string, string]> => {
  const { code, message } = await kms.call(operation, input, who);
  return [code, message];
};

async function externalKey(KeySpec = 'SYMMETRIC_DEFAULT', KeyUsage?: string): Promise<{ KeyId: string; Arn: string }> {
  const { KeyMetadata } = await ok('CreateKey', { Origin: 'EXTERNAL', KeySpec, KeyUsage });
  return KeyMetadata as { KeyId: string; Arn: string };
}

interface Parameters {
  ImportToken: string;
  PublicKey: string;
  ParametersValidTo: number;
}

const parametersFor = async (KeyId: string, WrappingAlgorithm = OAEP): Promise<Parameters> =>
  (await ok('GetParametersForImport', {
    KeyId,
    WrappingAlgorithm,
    WrappingKeySpec: 'RSA_2048',
  })) as unknown as Parameters;

/** The request that imports it. */
async function importOf(KeyId: string, material: Buffer, more: Request = FOR_EVER, algorithm = OAEP): Promise<Request> {
  const { ImportToken, PublicKey } = await parametersFor(KeyId, algorithm);
  const wrapped = wrap(algorithm, Buffer.from(PublicKey, 'base64'), material);
  return { KeyId, ImportToken, EncryptedKeyMaterial: wrapped.toString('base64'), ...more };
}

const imported = async (KeyId: string, material: Buffer, more: Request = FOR_EVER, algorithm = OAEP) =>
  ok('ImportKeyMaterial', await importOf(KeyId, material, more, algorithm));

const metadataOf = async (KeyId: string) =>
  (await ok('DescribeKey', { KeyId }))['KeyMetadata'] as Record<string, unknown>;
const materialsOf = async (KeyId: string) =>
  (await ok('ListKeyRotations', { KeyId, IncludeKeyMaterial: 'ALL_KEY_MATERIAL' }))['Rotations'] as Request[];
const copiesOf = (materialId: unknown): string[] =>
  kms.storedMaterial.filter((place) => place.startsWith(String(materialId)));
const validTo = (days: number) => ({ ValidTo: kms.now / 1000 + days * 86_400 });

const SECRET = newMaterial('SYMMETRIC_DEFAULT').material;
const OTHER = newMaterial('SYMMETRIC_DEFAULT').material;

describe('the parameters for an import', () => {
  test('are a wrapping key, a token and 24 hours', async () => {
    const { KeyId, Arn } = await externalKey();
    const parameters = await ok('GetParametersForImport', {
      ...{ KeyId, WrappingAlgorithm: OAEP, WrappingKeySpec: 'RSA_3072' },
    });
    expect(parameters).toEqual({
      KeyId: Arn,
      ImportToken: expect.any(String),
      PublicKey: expect.any(String),
      ParametersValidTo: kms.now / 1000 + 86_400,
    });
    const publicKey = createPublicKey({
      key: Buffer.from(String(parameters['PublicKey']), 'base64'),
      ...{ format: 'der', type: 'spki' },
    });
    expect(publicKey.asymmetricKeyDetails).toMatchObject({ modulusLength: 3072 });
  });

  test.each([
    ['SYMMETRIC_DEFAULT', undefined, HYBRID, 'RSA_4096'],
    ['HMAC_256', 'GENERATE_VERIFY_MAC', HYBRID, 'RSA_2048'],
    ['RSA_2048', 'SIGN_VERIFY', OAEP, 'RSA_4096'],
    ['ECC_NIST_P521', 'SIGN_VERIFY', OAEP, 'RSA_2048'],
    ['SYMMETRIC_DEFAULT', undefined, 'RSAES_PKCS1_V1_5', 'RSA_2048'],
    ['SYMMETRIC_DEFAULT', undefined, OAEP, 'SM2'],
    ['SYMMETRIC_DEFAULT', undefined, 'SM2PKE', 'SM2'],
  ])('of %s for %s are not given for %s with %s', async (spec, usage, WrappingAlgorithm, WrappingKeySpec) => {
    const { KeyId } = await externalKey(spec, usage);
    const asked = { KeyId, WrappingAlgorithm, WrappingKeySpec };
    const [code, message] = await refusal('GetParametersForImport', asked);
    expect(code).toBe('UnsupportedOperationException');
    expect(message).toMatch(/^Wrapping(Algorithm|KeySpec) /);
  });

  test('are not given for what is no enumeration’s value', async () => {
    const asked = { KeyId: '0', WrappingAlgorithm: 'ROT13', WrappingKeySpec: 'RSA_1024' };
    const [code, message] = await refusal('GetParametersForImport', asked);
    expect(code).toBe('ValidationException');
    expect(message).toContain("Value 'ROT13' at 'wrappingAlgorithm'");
    expect(message).toContain("Value 'RSA_1024' at 'wrappingKeySpec'");
  });
});

describe('a key made by AWS KMS', () => {
  test.each([
    ['GetParametersForImport', { WrappingAlgorithm: OAEP, WrappingKeySpec: 'RSA_2048' }],
    ['ImportKeyMaterial', { ImportToken: 'AAAA', EncryptedKeyMaterial: 'AAAA', ...FOR_EVER }],
    ['DeleteImportedKeyMaterial', {}],
  ])('takes no %s', async (operation, more) => {
    const { KeyId, Arn } = await kms.newKey();
    expect(await refusal(operation, { KeyId, ...more })).toEqual([
      'UnsupportedOperationException',
      `${Arn} origin is AWS_KMS which is not valid for this operation.`,
    ]);
  });
});

test.each(['ML_DSA_44', 'ML_KEM_768', 'SM2'])('a key of %s cannot be of origin EXTERNAL', async (KeySpec) => {
  const KeyUsage = KeySpec === 'ML_KEM_768' ? 'ENCAPSULATE_DECAPSULATE' : 'SIGN_VERIFY';
  const [code, message] = await refusal('CreateKey', { KeySpec, KeyUsage, Origin: 'EXTERNAL' });
  expect([code, message]).toEqual([
    'UnsupportedOperationException',
    `KeySpec ${KeySpec} is not supported for Origin EXTERNAL.`,
  ]);
});

describe('a key of origin EXTERNAL', () => {
  test('is pending import until its material is imported, and does nothing', async () => {
    const { KeyId, Arn } = await externalKey();
    const before = await metadataOf(KeyId);
    expect(before).toMatchObject({ KeyState: 'PendingImport', Enabled: false, Origin: 'EXTERNAL' });
    for (const name of ['CurrentKeyMaterialId', 'ExpirationModel', 'ValidTo']) expect(before).not.toHaveProperty(name);
    const grant = { GranteePrincipal: `arn:aws:iam::${ACCOUNT}:root`, Operations: ['Encrypt'] };
    const pending = ['KMSInvalidStateException', `${Arn} is pending import.`];
    expect(await refusal('Encrypt', { KeyId, Plaintext: PLAINTEXT })).toEqual(pending);
    expect(await refusal('CreateGrant', { KeyId, ...grant })).toEqual(pending);
    expect(await refusal('DisableKey', { KeyId })).toEqual(pending);
    expect((await refusal('EnableKeyRotation', { KeyId }))[0]).toBe('UnsupportedOperationException');
    expect(await ok('GetKeyRotationStatus', { KeyId })).toEqual({ KeyId: Arn, KeyRotationEnabled: false });
    expect(await materialsOf(KeyId)).toEqual([]);
    expect(await ok('DeleteImportedKeyMaterial', { KeyId })).toEqual({ KeyId: Arn });
  });

  test('encrypts once it has its material, and says which and how long', async () => {
    const { KeyId, Arn } = await externalKey();
    const { KeyMaterialId, ...rest } = await imported(KeyId, SECRET, validTo(10));
    expect(rest).toEqual({ KeyId: Arn });
    expect(KeyMaterialId).toMatch(/^[0-9a-f]{64}$/);
    expect(await metadataOf(KeyId)).toMatchObject({
      ...{ KeyState: 'Enabled', CurrentKeyMaterialId: KeyMaterialId },
      ...{ ExpirationModel: 'KEY_MATERIAL_EXPIRES', ...validTo(10) },
    });
    const { CiphertextBlob } = await ok('Encrypt', { KeyId, Plaintext: PLAINTEXT });
    expect(await ok('Decrypt', { CiphertextBlob })).toMatchObject({ Plaintext: PLAINTEXT, KeyMaterialId });
  });

  test('is another than a second one with the same material', async () => {
    const [one, two] = [await externalKey(), await externalKey()];
    const first = await imported(one.KeyId, SECRET);
    expect((await imported(two.KeyId, SECRET))['KeyMaterialId']).not.toBe(first['KeyMaterialId']);
    const { CiphertextBlob } = await ok('Encrypt', { KeyId: one.KeyId, Plaintext: PLAINTEXT });
    expect((await refusal('Decrypt', { CiphertextBlob, KeyId: two.KeyId }))[0]).toBe('IncorrectKeyException');
  });

  test('computes the MAC that its secret gives', async () => {
    const { KeyId } = await externalKey('HMAC_384', 'GENERATE_VERIFY_MAC');
    const { material } = newMaterial('HMAC_384');
    await imported(KeyId, material);
    expect(await metadataOf(KeyId)).not.toHaveProperty('CurrentKeyMaterialId');
    const { Mac } = await ok('GenerateMac', { KeyId, Message: PLAINTEXT, MacAlgorithm: 'HMAC_SHA_384' });
    const expected = createHmac('sha384', material).update(Buffer.from(PLAINTEXT, 'base64')).digest('base64');
    expect(Mac).toBe(expected);
  });

  test.each([
    ['ECC_NIST_P256', OAEP, 'ECDSA_SHA_256'],
    ['RSA_2048', HYBRID, 'RSASSA_PKCS1_V1_5_SHA_256'],
  ])(
    'of spec %s has the public key of its private key, and signs with it',
    async (spec, algorithm, SigningAlgorithm) => {
      const { KeyId, Arn } = await externalKey(spec, 'SIGN_VERIFY');
      expect(await refusal('GetPublicKey', { KeyId })).toEqual([
        'KMSInvalidStateException',
        `${Arn} is pending import.`,
      ]);
      const { material, publicKey } = newMaterial(spec);
      await imported(KeyId, material, FOR_EVER, algorithm);
      expect(await ok('GetPublicKey', { KeyId })).toMatchObject({ PublicKey: publicKey!.toString('base64') });
      const { Signature } = await ok('Sign', { KeyId, Message: PLAINTEXT, SigningAlgorithm });
      const key = createPublicKey({ key: publicKey!, format: 'der', type: 'spki' });
      expect(verify('sha256', Buffer.from('held'), key, Buffer.from(String(Signature), 'base64'))).toBe(true);
    },
  );
});

describe('an import is refused', () => {
  test('with a token that is none, of another key, or too old', async () => {
    const [one, two] = [await externalKey(), await externalKey()];
    const request = await importOf(one.KeyId, SECRET);
    const broken = Buffer.from(String(request['ImportToken']), 'base64');
    broken[40]! ^= 1;
    const invalid = 'InvalidImportTokenException';
    for (const ImportToken of [broken.toString('base64'), 'AAAA', PLAINTEXT]) {
      expect(await refusal('ImportKeyMaterial', { ...request, ImportToken })).toEqual([
        invalid,
        'The import token is invalid.',
      ]);
    }
    expect(await refusal('ImportKeyMaterial', { ...request, KeyId: two.KeyId })).toEqual([
      invalid,
      'The import token is associated with a different KMS key.',
    ]);
    kms.now += DAY_MS - 1;
    expect((await kms.call('ImportKeyMaterial', request)).code).toBe('OK');
    kms.now += 1;
    expect((await refusal('ImportKeyMaterial', request))[0]).toBe('ExpiredImportTokenException');
  });

  test('where the material does not unwrap, whatever the reason', async () => {
    const { KeyId } = await externalKey();
    const [mine, theirs] = [await importOf(KeyId, SECRET), await importOf(KeyId, SECRET)];
    const crossed = { ...mine, EncryptedKeyMaterial: theirs['EncryptedKeyMaterial'] };
    const otherHash = await importOf(KeyId, SECRET, FOR_EVER, 'RSAES_OAEP_SHA_1');
    const asked = { ...mine, EncryptedKeyMaterial: otherHash['EncryptedKeyMaterial'] };
    for (const request of [crossed, asked, { ...mine, EncryptedKeyMaterial: Buffer.alloc(256).toString('base64') }]) {
      expect(await refusal('ImportKeyMaterial', request)).toEqual(['InvalidCiphertextException', '']);
    }
    for (const length of [1, 255, 257, 512]) {
      const EncryptedKeyMaterial = Buffer.alloc(length, 1).toString('base64');
      expect(await refusal('ImportKeyMaterial', { ...mine, EncryptedKeyMaterial })).toEqual([
        'ValidationException',
        'Invalid encrypted key size.',
      ]);
    }
  });

  test('where the material is not what the key needs, or not what it had', async () => {
    const { KeyId, Arn } = await externalKey();
    const incorrect = 'IncorrectKeyMaterialException';
    const fits = `The key material is not valid for ${Arn}, whose key spec is SYMMETRIC_DEFAULT.`;
    for (const length of [1, 16, 31, 33, 64]) {
      const request = await importOf(KeyId, Buffer.alloc(length, 1));
      expect(await refusal('ImportKeyMaterial', request)).toEqual([incorrect, fits]);
    }
    const pair = await externalKey('ECC_NIST_P256', 'SIGN_VERIFY');
    const wrong = await importOf(pair.KeyId, newMaterial('ECC_NIST_P384').material);
    expect((await refusal('ImportKeyMaterial', wrong))[0]).toBe(incorrect);
    await imported(KeyId, SECRET);
    expect((await refusal('ImportKeyMaterial', await importOf(KeyId, OTHER)))[0]).toBe(incorrect);
    expect((await refusal('ImportKeyMaterial', await importOf(KeyId, SECRET, NEW)))[0]).toBe(incorrect);
    expect((await materialsOf(KeyId)).length).toBe(1);
  });

  test.each<[string, () => Request, string]>([
    ['no date', () => ({}), 'A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES'],
    [
      'a date for ever',
      () => ({ ...FOR_EVER, ...validTo(1) }),
      'The parameter ValidTo cannot be specified for a key with an expiration model of KEY_MATERIAL_DOES_NOT_EXPIRE',
    ],
    ['a date that is over', () => validTo(0), 'ValidTo must be in the future'],
    ['the first of all dates', () => ({ ValidTo: 0 }), 'ValidTo must be in the future'],
    ['a date too far', () => validTo(365.1), 'ValidTo must be within 365 days'],
    ['a date in the year 9999', () => ({ ValidTo: 253_402_300_799 }), 'ValidTo must be within 365 days'],
  ])('with %s', async (_what, more, said) => {
    const { KeyId } = await externalKey();
    const request = { KeyId, ImportToken: 'AAAA', EncryptedKeyMaterial: 'AAAA', ...more() };
    expect(await refusal('ImportKeyMaterial', request)).toEqual(['ValidationException', said]);
  });

  test('with what is out of bounds, all of it in one message', async () => {
    const [code, message] = await refusal('ImportKeyMaterial', {
      KeyId: 'é',
      ImportToken: '',
      EncryptedKeyMaterial: '',
      ExpirationModel: 'NEVER',
      ImportType: 'OLD',
      KeyMaterialDescription: '<b>',
      KeyMaterialId: 'A'.repeat(64),
    });
    expect(code).toBe('ValidationException');
    expect(message).toMatch(/^7 validation errors detected: /);
  });

  test.each([{ ImportType: 'NEW_KEY_MATERIAL' }, { KeyMaterialDescription: 'x' }, { KeyMaterialId: 'a'.repeat(64) }])(
    'of a key that is not symmetric with %j',
    async (more) => {
      const { KeyId } = await externalKey('HMAC_256', 'GENERATE_VERIFY_MAC');
      const request = await importOf(KeyId, newMaterial('HMAC_256').material, { ...FOR_EVER, ...more });
      expect((await refusal('ImportKeyMaterial', request))[0]).toBe('UnsupportedOperationException');
    },
  );

  test('and leaves no copy of what it brought', async () => {
    const { KeyId } = await externalKey();
    await imported(KeyId, SECRET);
    const before = kms.storedMaterial.length;
    expect((await refusal('ImportKeyMaterial', await importOf(KeyId, OTHER)))[0]).toBe('IncorrectKeyMaterialException');
    await ok('ScheduleKeyDeletion', { KeyId });
    const late = { KeyId, ImportToken: 'AAAA', EncryptedKeyMaterial: 'AAAA', ...FOR_EVER };
    expect((await refusal('ImportKeyMaterial', late))[0]).toBe('KMSInvalidStateException');
    expect(kms.storedMaterial).toHaveLength(before);
  });
});

test('whatever is changed of a token or of what is wrapped, nothing is imported, and the refusal says which it is', async () => {
  const { KeyId } = await externalKey();
  const request = await importOf(KeyId, SECRET);
  await fc.assert(
    fc.asyncProperty(fc.constantFrom('ImportToken', 'EncryptedKeyMaterial'), change, async (member, one) => {
      const original = Buffer.from(String(request[member]), 'base64');
      const bytes = changed(original, one);
      if (bytes.equals(original)) return;
      const refused = await refusal('ImportKeyMaterial', { ...request, [member]: bytes.toString('base64') });
      if (member === 'ImportToken') expect(refused[0]).toBe('InvalidImportTokenException');
      else if (bytes.length === original.length) expect(refused[0]).toBe('InvalidCiphertextException');
      else expect(refused.slice(0, 2)).toEqual(['ValidationException', 'Invalid encrypted key size.']);
    }),
    { numRuns: 2_000 },
  );
  expect(await materialsOf(KeyId)).toEqual([]);
});

describe('an import that somebody comes before', () => {
  const NOTHING = kms.imports.beforeAppend;
  afterEach(() => {
    kms.imports.beforeAppend = NOTHING;
  });

  test('is refused by what they made of the key, and its copy is erased', async () => {
    const { KeyId, Arn } = await externalKey();
    const request = await importOf(KeyId, SECRET);
    const before = kms.storedMaterial;
    kms.imports.beforeAppend = () => ok('ScheduleKeyDeletion', { KeyId });
    expect(await refusal('ImportKeyMaterial', request)).toEqual([
      'KMSInvalidStateException',
      `${Arn} is pending deletion.`,
    ]);
    expect(kms.storedMaterial).toEqual(before);
  });

  test('is refused so too where its copy cannot be erased now', async () => {
    const { KeyId, Arn } = await externalKey();
    const request = await importOf(KeyId, SECRET);
    kms.imports.beforeAppend = () => ok('ScheduleKeyDeletion', { KeyId });
    const erasing = jest
      .spyOn(kms.imports, 'erase')
      .mockRejectedValue(new KmsError('DependencyTimeoutException', 'no store'));
    try {
      expect((await refusal('ImportKeyMaterial', request))[1]).toBe(`${Arn} is pending deletion.`);
      expect(erasing).toHaveBeenCalledTimes(1);
    } finally {
      erasing.mockRestore();
    }
  });

  test('into a key without material brings the only one that the key will have', async () => {
    const { KeyId } = await externalKey();
    const [mine, theirs] = [await importOf(KeyId, SECRET), await importOf(KeyId, OTHER)];
    kms.imports.beforeAppend = async () => {
      kms.imports.beforeAppend = NOTHING;
      await ok('ImportKeyMaterial', theirs);
    };
    expect((await refusal('ImportKeyMaterial', mine))[0]).toBe('IncorrectKeyMaterialException');
    const [only, ...others] = await materialsOf(KeyId);
    expect(others).toEqual([]);
    expect(copiesOf(only!['KeyMaterialId'])).toHaveLength(1);
  });

  test('leaves its copy where nobody knows whether the append was made', async () => {
    const { KeyId } = await externalKey();
    const before = kms.storedMaterial.length;
    kms.imports.beforeAppend = () => Promise.reject(new KmsError('DependencyTimeoutException', 'no answer'));
    const request = await importOf(KeyId, SECRET);
    kms.toleratesFaults = true;
    try {
      expect((await refusal('ImportKeyMaterial', request))[0]).toBe('DependencyTimeoutException');
    } finally {
      kms.toleratesFaults = false;
    }
    expect(kms.storedMaterial).toHaveLength(before + 1);
  });
});

describe('several materials', () => {
  test('are rotated between on demand, and what any encrypted decrypts', async () => {
    const { KeyId, Arn } = await externalKey();
    const a = (await imported(KeyId, SECRET, { ...validTo(10), KeyMaterialDescription: 'safe 1' }))['KeyMaterialId'];
    const { CiphertextBlob } = await ok('Encrypt', { KeyId, Plaintext: PLAINTEXT });
    expect(await refusal('RotateKeyOnDemand', { KeyId })).toEqual([
      'KMSInvalidStateException',
      `No available key material pending rotation for the key: ${Arn}.`,
    ]);
    const b = (await imported(KeyId, OTHER, NEW))['KeyMaterialId'];
    expect(await materialsOf(KeyId)).toEqual([
      {
        ...{ KeyId: Arn, KeyMaterialId: a, KeyMaterialState: 'CURRENT', KeyMaterialDescription: 'safe 1' },
        ...{ ImportState: 'IMPORTED', ExpirationModel: 'KEY_MATERIAL_EXPIRES', ...validTo(10) },
      },
      {
        ...{ KeyId: Arn, KeyMaterialId: b, KeyMaterialState: 'PENDING_ROTATION' },
        ...{ ImportState: 'IMPORTED', ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' },
      },
    ]);
    expect((await refusal('ImportKeyMaterial', await importOf(KeyId, Buffer.alloc(32, 9), NEW)))[0]).toBe(
      'KMSInvalidStateException',
    );
    expect(await metadataOf(KeyId)).toMatchObject({ CurrentKeyMaterialId: a, ...validTo(10) });
    await ok('RotateKeyOnDemand', { KeyId });
    expect(await metadataOf(KeyId)).toMatchObject({ CurrentKeyMaterialId: b });
    expect(await ok('ListKeyRotations', { KeyId })).toMatchObject({
      Rotations: [
        { KeyMaterialId: b, KeyMaterialState: 'CURRENT', RotationType: 'ON_DEMAND', ImportState: 'IMPORTED' },
      ],
    });
    expect(await ok('Decrypt', { CiphertextBlob })).toMatchObject({ KeyMaterialId: a });
    const fresh = await ok('Encrypt', { KeyId, Plaintext: PLAINTEXT });
    expect(await ok('Decrypt', { CiphertextBlob: fresh['CiphertextBlob'] })).toMatchObject({ KeyMaterialId: b });
  });

  test('must all be there, and each comes back by its own', async () => {
    const { KeyId } = await externalKey();
    const a = (await imported(KeyId, SECRET))['KeyMaterialId'];
    const b = (await imported(KeyId, OTHER, NEW))['KeyMaterialId'];
    await ok('RotateKeyOnDemand', { KeyId });
    const { CiphertextBlob } = await ok('Encrypt', { KeyId, Plaintext: PLAINTEXT });
    await ok('DeleteImportedKeyMaterial', { KeyId, KeyMaterialId: a });
    expect(await materialsOf(KeyId)).toMatchObject([
      { KeyMaterialId: a, ImportState: 'PENDING_IMPORT', KeyMaterialState: 'NON_CURRENT' },
      { KeyMaterialId: b, ImportState: 'IMPORTED', KeyMaterialState: 'CURRENT' },
    ]);
    expect((await refusal('Decrypt', { CiphertextBlob }))[0]).toBe('KMSInvalidStateException');
    const wrong = await importOf(KeyId, SECRET, { ...FOR_EVER, KeyMaterialId: b });
    expect((await refusal('ImportKeyMaterial', wrong))[0]).toBe('IncorrectKeyMaterialException');
    expect(await imported(KeyId, SECRET, { ...FOR_EVER, KeyMaterialId: a })).toMatchObject({ KeyMaterialId: a });
    expect(await ok('Decrypt', { CiphertextBlob })).toMatchObject({ Plaintext: PLAINTEXT });
  });
});

describe('deleting imported material', () => {
  test('erases it at once, and only the same can be imported again', async () => {
    const { KeyId, Arn } = await externalKey();
    const { KeyMaterialId } = await imported(KeyId, SECRET);
    const { CiphertextBlob } = await ok('Encrypt', { KeyId, Plaintext: PLAINTEXT });
    expect(await ok('DeleteImportedKeyMaterial', { KeyId })).toEqual({ KeyId: Arn, KeyMaterialId });
    expect(copiesOf(KeyMaterialId)).toEqual([]);
    expect(await metadataOf(KeyId)).toMatchObject({ KeyState: 'PendingImport' });
    expect(await ok('DeleteImportedKeyMaterial', { KeyId })).toEqual({ KeyId: Arn, KeyMaterialId });
    expect((await refusal('ImportKeyMaterial', await importOf(KeyId, OTHER)))[0]).toBe('IncorrectKeyMaterialException');
    expect(await imported(KeyId, SECRET)).toMatchObject({ KeyMaterialId });
    expect(await ok('Decrypt', { CiphertextBlob })).toMatchObject({ Plaintext: PLAINTEXT });
  });

  test('of an id that is not the key’s is refused', async () => {
    const { KeyId } = await externalKey();
    const [code, message] = await refusal('DeleteImportedKeyMaterial', { KeyId, KeyMaterialId: 'a'.repeat(64) });
    expect(code).toBe('NotFoundException');
    expect(message).toContain('a'.repeat(64));
  });

  test('leaves the copy of a newer import, and erases the one that it replaced', async () => {
    const { KeyId } = await externalKey();
    const { KeyMaterialId } = await imported(KeyId, SECRET, validTo(1));
    await imported(KeyId, SECRET);
    expect(copiesOf(KeyMaterialId)).toHaveLength(2);
    await kms.fireDue();
    expect(copiesOf(KeyMaterialId)).toHaveLength(1);
    expect(await metadataOf(KeyId)).toMatchObject({ ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' });
    await ok('Encrypt', { KeyId, Plaintext: PLAINTEXT });
  });
});

describe('expiry', () => {
  test('makes the key useless at its moment, before the timer fires; the timer erases the material', async () => {
    const { KeyId, Arn } = await externalKey();
    const { KeyMaterialId } = await imported(KeyId, SECRET, validTo(1));
    const { CiphertextBlob } = await ok('Encrypt', { KeyId, Plaintext: PLAINTEXT });
    kms.now += DAY_MS - 1;
    await ok('Decrypt', { CiphertextBlob });
    kms.now += 1;
    expect(await refusal('Decrypt', { CiphertextBlob })).toEqual([
      'KMSInvalidStateException',
      `${Arn} is pending import.`,
    ]);
    expect(await metadataOf(KeyId)).toMatchObject({ KeyState: 'PendingImport' });
    expect(copiesOf(KeyMaterialId)).toHaveLength(1);
    await kms.fireDue();
    expect(copiesOf(KeyMaterialId)).toEqual([]);
    const [described] = await materialsOf(KeyId);
    expect(described).toMatchObject({ KeyMaterialId, ImportState: 'PENDING_IMPORT' });
    expect(described).not.toHaveProperty('ValidTo');
    await imported(KeyId, SECRET);
    await ok('Decrypt', { CiphertextBlob });
  });

  test('is the earlier of two, whichever was imported first', async () => {
    const { KeyId } = await externalKey();
    await imported(KeyId, SECRET, validTo(20));
    await imported(KeyId, OTHER, { ...validTo(10), ImportType: 'NEW_KEY_MATERIAL' });
    await ok('RotateKeyOnDemand', { KeyId });
    expect(await metadataOf(KeyId)).toMatchObject({ ExpirationModel: 'KEY_MATERIAL_EXPIRES', ...validTo(10) });
  });
});

describe('policies may make an import depend on', () => {
  const ANN = { principalId: 'AIDAANNANNANNANNANN1' };
  const ann = userRef(ACCOUNT, 'ann');

  const may = async (condition: object): Promise<void> => {
    const statement = { Effect: 'Allow', Action: 'kms:*', Resource: '*', Condition: condition };
    const policy = JSON.stringify({ Version: '2012-10-17', Statement: statement });
    await kms.runCommand(ann, { type: 'PutPolicy', policyName: 'own', policy });
  };

  beforeAll(async () => {
    await kms.runCommand(ann, { type: 'CreateUser', name: 'ann', path: '/', uniqueId: ANN.principalId, tags: [] });
    await kms.runCommand(ann, { type: 'PutPolicy', policyName: 'own', policy: allowing('kms:ListKeys') });
  });

  test('how the material is wrapped', async () => {
    const { KeyId } = await externalKey();
    const asked = (WrappingAlgorithm: string, WrappingKeySpec = 'RSA_2048') =>
      refusal('GetParametersForImport', { KeyId, WrappingAlgorithm, WrappingKeySpec }, ANN);
    await may({ StringEquals: { 'kms:WrappingAlgorithm': OAEP, 'kms:WrappingKeySpec': 'RSA_2048' } });
    expect((await asked(OAEP))[0]).toBe('OK');
    expect((await asked('RSAES_OAEP_SHA_1'))[0]).toBe('AccessDeniedException');
    expect((await asked(OAEP, 'RSA_3072'))[0]).toBe('AccessDeniedException');
  });

  test('whether and when it expires', async () => {
    const { KeyId } = await externalKey();
    const asked = async (more: Request) =>
      (await refusal('ImportKeyMaterial', await importOf(KeyId, SECRET, more), ANN))[0];
    await may({ StringEquals: { 'kms:ExpirationModel': 'KEY_MATERIAL_EXPIRES' } });
    expect(await asked(FOR_EVER)).toBe('AccessDeniedException');
    expect(await asked(validTo(5))).toBe('OK');
    await may({ DateLessThan: { 'kms:ValidTo': new Date(kms.now + 6 * DAY_MS).toISOString() } });
    expect(await asked(validTo(7))).toBe('AccessDeniedException');
    expect(await asked(FOR_EVER)).toBe('AccessDeniedException');
    expect(await asked(validTo(5))).toBe('OK');
  });

  test('where the material of the key comes from', async () => {
    await may({ StringEquals: { 'kms:KeyOrigin': 'EXTERNAL' } });
    expect((await refusal('CreateKey', {}, ANN))[0]).toBe('AccessDeniedException');
    expect((await refusal('CreateKey', { Origin: 'EXTERNAL' }, ANN))[0]).toBe('OK');
  });
});

test('records name materials and dates, never tokens or material', async () => {
  const records: { eventName: string; requestParameters: unknown; responseElements: unknown; readOnly: unknown }[] = [];
  kms.onRecord = (record) => records.push(record as never);
  try {
    const { KeyId, Arn } = await externalKey();
    const request = await importOf(KeyId, SECRET, { ...validTo(1), KeyMaterialDescription: 'safe 1' });
    const { KeyMaterialId } = await ok('ImportKeyMaterial', request);
    await ok('DeleteImportedKeyMaterial', { KeyId, KeyMaterialId });
    expect(records.slice(1)).toMatchObject([
      {
        eventName: 'GetParametersForImport',
        readOnly: true,
        requestParameters: { keyId: KeyId, wrappingAlgorithm: OAEP, wrappingKeySpec: 'RSA_2048' },
        responseElements: null,
      },
      {
        eventName: 'ImportKeyMaterial',
        readOnly: false,
        requestParameters: { keyId: KeyId, expirationModel: 'KEY_MATERIAL_EXPIRES', keyMaterialDescription: 'safe 1' },
        responseElements: { keyId: Arn, keyMaterialId: KeyMaterialId },
      },
      {
        eventName: 'DeleteImportedKeyMaterial',
        readOnly: false,
        requestParameters: { keyId: KeyId, keyMaterialId: KeyMaterialId },
        responseElements: { keyId: Arn, keyMaterialId: KeyMaterialId },
      },
    ]);
    const said = JSON.stringify(records);
    for (const name of ['ImportToken', 'EncryptedKeyMaterial']) {
      expect(said).not.toContain(String(request[name]));
      expect(said.toLowerCase()).not.toContain(name.toLowerCase());
    }
  } finally {
    kms.onRecord = undefined;
  }
});

test('that a first import may not name its material counts once the log says that it is the first', async () => {
  const { KeyId } = await externalKey();
  const request = await importOf(KeyId, SECRET, { ...FOR_EVER, KeyMaterialId: 'a'.repeat(64) });
  const before = kms.askedWhetherBehind;
  expect(await refusal('ImportKeyMaterial', request)).toEqual([
    'ValidationException',
    'KeyMaterialId cannot be specified when ImportType is NEW_KEY_MATERIAL.',
  ]);
  expect(kms.askedWhetherBehind).toBe(before + 1);
});
