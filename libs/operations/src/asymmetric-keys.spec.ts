import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { AuditRecord } from '#audit-log/record';
import { accountRef, userRef } from '#domain/principal/principal-id';
import { endOffLoop } from '#hsm/off-loop';
import { ACCOUNT, MemoryOperations } from '../../../test/support/memory-operations';

const ann = { principalId: 'AIDAANN' };
const ANN = `arn:aws:iam::${ACCOUNT}:user/ann`;

let kms: MemoryOperations;

beforeEach(async () => {
  kms = new MemoryOperations();
  const ref = userRef(ACCOUNT, 'ann');
  await kms.runCommand(ref, { type: 'CreateUser', name: 'ann', path: '/', uniqueId: 'AIDAANN', tags: [] });
});

afterAll(() => endOffLoop());

async function newKey(KeySpec: string, KeyUsage: string): Promise<string> {
  const { code, message, body } = await kms.call('CreateKey', { KeySpec, KeyUsage });
  if (code !== 'OK') throw new Error(message);
  return String((body['KeyMetadata'] as { KeyId: string }).KeyId);
}

const allow = (policy: object) =>
  kms.runCommand(userRef(ACCOUNT, 'ann'), {
    type: 'PutPolicy',
    policyName: 'own',
    policy: JSON.stringify({ Version: '2012-10-17', Statement: { Effect: 'Allow', Resource: '*', ...policy } }),
  });

const grant = (KeyId: string, Operations: string[], more: object = {}) =>
  kms.call('CreateGrant', { KeyId, GranteePrincipal: ANN, Operations, ...more });

const codeOf = async (operation: string, input: object): Promise<string> =>
  (await kms.call(operation, input, ann)).code;

const Plaintext = Buffer.from('plain').toString('base64');
const OAEP_1 = 'RSAES_OAEP_SHA_1';
const OAEP_256 = 'RSAES_OAEP_SHA_256';
const publicKeyOf = (key: KeyObject): string => key.export({ type: 'spki', format: 'der' }).toString('base64');
const newPeer = (): string => publicKeyOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey);
const deriving = (KeyId: string) => ({ KeyId, KeyAgreementAlgorithm: 'ECDH', PublicKey: newPeer() });

describe('a policy with a condition', () => {
  test('on kms:EncryptionAlgorithm sees the algorithm that is asked for, on each side of a re-encryption', async () => {
    const KeyId = await newKey('RSA_2048', 'ENCRYPT_DECRYPT');
    const symmetric = await kms.newKey();
    await allow({
      Action: ['kms:Encrypt', 'kms:Decrypt', 'kms:ReEncryptFrom', 'kms:ReEncryptTo'],
      Condition: { StringEquals: { 'kms:EncryptionAlgorithm': OAEP_256 } },
    });
    expect(await codeOf('Encrypt', { KeyId, Plaintext, EncryptionAlgorithm: OAEP_256 })).toBe('OK');
    expect(await codeOf('Encrypt', { KeyId, Plaintext, EncryptionAlgorithm: OAEP_1 })).toBe('AccessDeniedException');
    expect(await codeOf('Encrypt', { KeyId, Plaintext })).toBe('AccessDeniedException');
    const { body } = await kms.call('Encrypt', { KeyId, Plaintext, EncryptionAlgorithm: OAEP_256 });
    const { CiphertextBlob } = body;
    expect(await codeOf('Decrypt', { KeyId, CiphertextBlob, EncryptionAlgorithm: OAEP_256 })).toBe('OK');
    expect(await codeOf('Decrypt', { KeyId, CiphertextBlob, EncryptionAlgorithm: OAEP_1 })).toBe(
      'AccessDeniedException',
    );
    const from = { CiphertextBlob, SourceKeyId: KeyId, SourceEncryptionAlgorithm: OAEP_256 };
    const toRsa = { DestinationKeyId: KeyId, DestinationEncryptionAlgorithm: OAEP_256 };
    expect(await codeOf('ReEncrypt', { ...from, ...toRsa })).toBe('OK');
    expect(await codeOf('ReEncrypt', { ...from, DestinationKeyId: symmetric.KeyId })).toBe('AccessDeniedException');
  });

  test('on kms:DataKeyPairSpec sees the kind of the pair', async () => {
    const { KeyId } = await kms.newKey();
    await allow({
      Action: 'kms:GenerateDataKeyPair*',
      Condition: { StringLike: { 'kms:DataKeyPairSpec': 'ECC_*', 'kms:EncryptionContext:team': 'red' } },
    });
    const EncryptionContext = { team: 'red' };
    for (const operation of ['GenerateDataKeyPair', 'GenerateDataKeyPairWithoutPlaintext']) {
      const ecc = { KeyId, KeyPairSpec: 'ECC_NIST_P256' };
      expect(await codeOf(operation, { ...ecc, EncryptionContext })).toBe('OK');
      expect(await codeOf(operation, ecc)).toBe('AccessDeniedException');
      expect(await codeOf(operation, { KeyId, KeyPairSpec: 'RSA_2048', EncryptionContext })).toBe(
        'AccessDeniedException',
      );
    }
  });

  test('on kms:KeyAgreementAlgorithm sees the algorithm', async () => {
    const KeyId = await newKey('ECC_NIST_P256', 'KEY_AGREEMENT');
    const only = (algorithm: string) =>
      allow({
        Action: 'kms:DeriveSharedSecret',
        Condition: { StringEquals: { 'kms:KeyAgreementAlgorithm': algorithm } },
      });
    await only('ECDH');
    expect(await codeOf('DeriveSharedSecret', deriving(KeyId))).toBe('OK');
    await only('another');
    expect(await codeOf('DeriveSharedSecret', deriving(KeyId))).toBe('AccessDeniedException');
  });

  test('on kms:KeySpec and kms:KeyUsage sees those of the key', async () => {
    const KeyId = await newKey('ML_KEM_512', 'ENCAPSULATE_DECAPSULATE');
    const other = await newKey('ML_KEM_768', 'ENCAPSULATE_DECAPSULATE');
    await allow({
      Action: 'kms:Encapsulate',
      Condition: { StringEquals: { 'kms:KeySpec': 'ML_KEM_512', 'kms:KeyUsage': 'ENCAPSULATE_DECAPSULATE' } },
    });
    const EncapsulationAlgorithm = 'ML_KEM';
    expect(await codeOf('Encapsulate', { KeyId, EncapsulationAlgorithm })).toBe('OK');
    expect(await codeOf('Encapsulate', { KeyId: other, EncapsulationAlgorithm })).toBe('AccessDeniedException');
  });
});

describe('a grant', () => {
  test('on an RSA key allows to encrypt and to re-encrypt, and takes no constraint', async () => {
    const KeyId = await newKey('RSA_2048', 'ENCRYPT_DECRYPT');
    const Constraints = { EncryptionContextSubset: { team: 'red' } };
    expect((await grant(KeyId, ['Encrypt'], { Constraints })).code).toBe('ValidationException');
    expect((await grant(KeyId, ['GenerateDataKey'])).code).toBe('ValidationException');
    expect((await grant(KeyId, ['Encrypt', 'Decrypt', 'ReEncryptFrom', 'ReEncryptTo'])).code).toBe('OK');
    const encrypted = await kms.call('Encrypt', { KeyId, Plaintext, EncryptionAlgorithm: OAEP_1 }, ann);
    expect(encrypted.code).toBe('OK');
    const { CiphertextBlob } = encrypted.body;
    expect(await codeOf('Decrypt', { KeyId, CiphertextBlob, EncryptionAlgorithm: OAEP_1 })).toBe('OK');
    expect(
      await codeOf('ReEncrypt', {
        ...{ CiphertextBlob, SourceKeyId: KeyId, SourceEncryptionAlgorithm: OAEP_1 },
        ...{ DestinationKeyId: KeyId, DestinationEncryptionAlgorithm: OAEP_256 },
      }),
    ).toBe('OK');
  });

  test('of data key pairs is held to its constraint', async () => {
    const { KeyId } = await kms.newKey();
    const Constraints = { EncryptionContextSubset: { team: 'red' } };
    await grant(KeyId, ['GenerateDataKeyPair'], { Constraints });
    const pair = { KeyId, KeyPairSpec: 'ECC_NIST_P256' };
    expect(await codeOf('GenerateDataKeyPair', { ...pair, EncryptionContext: { team: 'red' } })).toBe('OK');
    expect(await codeOf('GenerateDataKeyPair', pair)).toBe('AccessDeniedException');
    expect(await codeOf('GenerateDataKeyPairWithoutPlaintext', { ...pair, EncryptionContext: { team: 'red' } })).toBe(
      'AccessDeniedException',
    );
  });

  test('allows shared secrets of either kind, on the keys that have them', async () => {
    const agreement = await newKey('ECC_NIST_P256', 'KEY_AGREEMENT');
    const kem = await newKey('ML_KEM_512', 'ENCAPSULATE_DECAPSULATE');
    expect((await grant(agreement, ['Encapsulate'])).code).toBe('ValidationException');
    expect((await grant(kem, ['DeriveSharedSecret'])).code).toBe('ValidationException');
    expect(await codeOf('DeriveSharedSecret', deriving(agreement))).toBe('AccessDeniedException');
    const { body } = await grant(agreement, ['DeriveSharedSecret']);
    expect(await codeOf('DeriveSharedSecret', { ...deriving(agreement), GrantTokens: [body['GrantToken']] })).toBe(
      'OK',
    );
    await grant(kem, ['Encapsulate']);
    const EncapsulationAlgorithm = 'ML_KEM';
    const made = await kms.call('Encapsulate', { KeyId: kem, EncapsulationAlgorithm }, ann);
    const { SharedSecretCiphertextBlob } = made.body;
    const input = { KeyId: kem, EncapsulationAlgorithm, SharedSecretCiphertextBlob };
    expect([made.code, await codeOf('Decapsulate', input)]).toEqual(['OK', 'AccessDeniedException']);
    await grant(kem, ['Decapsulate']);
    expect(await codeOf('Decapsulate', input)).toBe('OK');
  });
});

describe('who may not use a key', () => {
  test('learns nothing of its kind or state', async () => {
    const KeyId = await newKey('RSA_2048', 'SIGN_VERIFY');
    await kms.call('DisableKey', { KeyId });
    const EncryptionContext = { a: 'b' };
    const asked: [string, object][] = [
      ['Encrypt', { KeyId, Plaintext, EncryptionAlgorithm: OAEP_256, EncryptionContext }],
      ['Decrypt', { KeyId, CiphertextBlob: Plaintext, EncryptionAlgorithm: OAEP_256, EncryptionContext }],
      ['ReEncrypt', { ...{ CiphertextBlob: Plaintext, SourceKeyId: KeyId }, DestinationKeyId: KeyId }],
      ['GenerateDataKeyPair', { KeyId, KeyPairSpec: 'RSA_2048' }],
      ['DeriveSharedSecret', { ...deriving(KeyId), PublicKey: Plaintext }],
      ['Encapsulate', { KeyId, EncapsulationAlgorithm: 'ML_KEM' }],
      ['Decapsulate', { KeyId, EncapsulationAlgorithm: 'ML_KEM', SharedSecretCiphertextBlob: Plaintext }],
    ];
    for (const [operation, input] of asked) expect(await codeOf(operation, input)).toBe('AccessDeniedException');
  });

  test('of another account names the key in its request, and is refused as AWS does', async () => {
    const KeyId = await newKey('ML_KEM_512', 'ENCAPSULATE_DECAPSULATE');
    const Arn = `arn:aws:kms:us-east-1:${ACCOUNT}:key/${KeyId}`;
    const other = { account: '111111111111' };
    await kms.runCommand(accountRef(other.account), { type: 'CreateAccount' });
    const input = { KeyId: Arn, EncapsulationAlgorithm: 'ML_KEM' };
    expect(await kms.call('Encapsulate', input, other)).toMatchObject({
      code: 'AccessDeniedException',
      message: expect.stringContaining('kms:Encapsulate on this resource because the resource does not exist'),
    });
  });
});

test('what is taken away while slow work goes on is refused', async () => {
  const KeyId = await newKey('RSA_2048', 'ENCRYPT_DECRYPT');
  const { body } = await kms.call('Encrypt', { KeyId, Plaintext, EncryptionAlgorithm: OAEP_256 });
  const input = { KeyId, CiphertextBlob: body['CiphertextBlob'], EncryptionAlgorithm: OAEP_256 };
  // Begun before the key is disabled, and not yet worked out then.
  const decrypting = kms.call('Decrypt', input);
  const disabling = kms.call('DisableKey', { KeyId });
  const [decrypted, disabled] = await Promise.all([decrypting, disabling]);
  expect(disabled.code).toBe('OK');
  expect(['OK', 'DisabledException']).toContain(decrypted.code);
  expect((await kms.call('Decrypt', input)).code).toBe('DisabledException');
});

describe('the record of a call', () => {
  let records: AuditRecord[];

  beforeEach(() => {
    records = [];
    kms.onRecord = (record) => records.push(record);
  });

  const recorded = async (operation: string, input: object): Promise<{ record: AuditRecord; reply: object }> => {
    const reply = await kms.call(operation, input);
    expect(reply.code).toBe('OK');
    return { record: records.at(-1)!, reply: reply.body };
  };

  test('names algorithms and kinds, and holds nothing that was encrypted, agreed or made', async () => {
    const [rsa, agreement, kem] = [
      await newKey('RSA_2048', 'ENCRYPT_DECRYPT'),
      await newKey('ECC_NIST_P256', 'KEY_AGREEMENT'),
      await newKey('ML_KEM_512', 'ENCAPSULATE_DECAPSULATE'),
    ];
    const { KeyId } = await kms.newKey();
    const EncryptionContext = { team: 'red' };
    const EncryptionAlgorithm = OAEP_256;
    const encrypted = await recorded('Encrypt', { KeyId: rsa, Plaintext, EncryptionAlgorithm });
    const { CiphertextBlob } = encrypted.reply as { CiphertextBlob: string };
    const encapsulated = await recorded('Encapsulate', { KeyId: kem, EncapsulationAlgorithm: 'ML_KEM' });
    const { SharedSecretCiphertextBlob } = encapsulated.reply as { SharedSecretCiphertextBlob: string };
    const cases: [string, object, object, boolean][] = [
      [
        'Decrypt',
        { KeyId: rsa, CiphertextBlob, EncryptionAlgorithm },
        { keyId: rsa, encryptionAlgorithm: OAEP_256 },
        false,
      ],
      ['DeriveSharedSecret', deriving(agreement), { keyId: agreement, keyAgreementAlgorithm: 'ECDH' }, false],
      [
        'Decapsulate',
        { KeyId: kem, EncapsulationAlgorithm: 'ML_KEM', SharedSecretCiphertextBlob },
        { keyId: kem, encapsulationAlgorithm: 'ML_KEM' },
        false,
      ],
      [
        'GenerateDataKeyPair',
        { KeyId, KeyPairSpec: 'ECC_NIST_P384', EncryptionContext },
        { keyId: KeyId, keyPairSpec: 'ECC_NIST_P384', encryptionContext: EncryptionContext },
        true,
      ],
    ];
    for (const [operation, input, requestParameters, hasMaterial] of cases) {
      const { record, reply } = await recorded(operation, input);
      expect(record).toMatchObject({ eventName: operation, readOnly: true, requestParameters });
      expect(record.responseElements ?? null).toBeNull();
      const material = record.additionalEventData?.keyMaterialId;
      expect(material === undefined).toBe(!hasMaterial);
      const text = JSON.stringify(record);
      for (const value of [...Object.values(input), ...Object.values(reply)]) {
        const isBlob =
          typeof value === 'string' && value.length > 40 && !value.startsWith('arn:') && value !== material;
        if (isBlob) expect(text).not.toContain(value);
      }
    }
    expect(encrypted.record).toMatchObject({ requestParameters: { keyId: rsa, encryptionAlgorithm: OAEP_256 } });
    expect(encapsulated.record).toMatchObject({
      requestParameters: { keyId: kem, encapsulationAlgorithm: 'ML_KEM' },
      resources: [{ type: 'AWS::KMS::Key', ARN: expect.stringContaining(kem) }],
    });
    expect(JSON.stringify(records)).not.toContain(Plaintext);
  });

  test('of a re-encryption names the material of the symmetric side alone', async () => {
    const rsa = await newKey('RSA_2048', 'ENCRYPT_DECRYPT');
    const { KeyId } = await kms.newKey();
    const symmetric = (await kms.call('Encrypt', { KeyId, Plaintext })).body['CiphertextBlob'];
    const toRsa = { DestinationKeyId: rsa, DestinationEncryptionAlgorithm: OAEP_1 };
    const there = await recorded('ReEncrypt', { CiphertextBlob: symmetric, ...toRsa });
    expect(there.record).toMatchObject({
      requestParameters: {
        sourceEncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
        destinationEncryptionAlgorithm: OAEP_1,
        destinationKeyId: rsa,
      },
      additionalEventData: { sourceKeyMaterialId: expect.any(String) },
    });
    expect(there.record.additionalEventData?.destinationKeyMaterialId).toBeUndefined();
    const { CiphertextBlob } = there.reply as { CiphertextBlob: string };
    const fromRsa = { CiphertextBlob, SourceKeyId: rsa, SourceEncryptionAlgorithm: OAEP_1 };
    const back = await recorded('ReEncrypt', { ...fromRsa, DestinationKeyId: KeyId });
    expect(back.record.additionalEventData?.destinationKeyMaterialId).toMatch(/^[0-9a-f]{64}$/);
    expect(back.record.additionalEventData?.sourceKeyMaterialId).toBeUndefined();
    expect(back.record.additionalEventData?.keyMaterialId).toBeUndefined();
  });
});

describe('what does not fit the key', () => {
  const SYMMETRIC_DATA = { KeySpec: 'AES_256' };
  const PAIR = { KeyPairSpec: 'ECC_NIST_P256' };

  /** The key is for `usage`, which is not that of the operation, and the algorithm is none that it would have. */
  test.each<[operation: string, keySpec: string, usage: string, input: object]>([
    ['Encrypt', 'RSA_2048', 'SIGN_VERIFY', { Plaintext }],
    ['Sign', 'RSA_2048', 'ENCRYPT_DECRYPT', { Message: Plaintext, SigningAlgorithm: 'ECDSA_SHA_256' }],
    ['GenerateMac', 'ECC_NIST_P256', 'SIGN_VERIFY', { Message: Plaintext, MacAlgorithm: 'HMAC_SHA_256' }],
    ['DeriveSharedSecret', 'ECC_NIST_P256', 'SIGN_VERIFY', { KeyAgreementAlgorithm: 'ECDH', PublicKey: newPeer() }],
    ['Encapsulate', 'RSA_2048', 'ENCRYPT_DECRYPT', { EncapsulationAlgorithm: 'ML_KEM' }],
    ['GenerateDataKey', 'HMAC_256', 'GENERATE_VERIFY_MAC', SYMMETRIC_DATA],
    ['GenerateDataKeyPair', 'ECC_NIST_P256', 'SIGN_VERIFY', PAIR],
  ])('of %s is its usage, whatever its state', async (operation, keySpec, usage, input) => {
    const KeyId = await newKey(keySpec, usage);
    const told = { code: 'InvalidKeyUsageException', message: expect.stringContaining(`key usage is ${usage}`) };
    expect(await kms.call(operation, { ...input, KeyId })).toMatchObject(told);
    expect((await kms.call('DisableKey', { KeyId })).code).toBe('OK');
    expect(await kms.call(operation, { ...input, KeyId })).toMatchObject(told);
  });

  test('of ReEncrypt is told with the side on which the key is', async () => {
    const keyIn = (DestinationKeyId: string) => ({ CiphertextBlob, DestinationKeyId });
    const symmetric = await newKey('SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT');
    const signs = await newKey('RSA_2048', 'SIGN_VERIFY');
    const CiphertextBlob = (await kms.call('Encrypt', { KeyId: symmetric, Plaintext })).body['CiphertextBlob'];
    const told = (side: string) => ({
      code: 'InvalidKeyUsageException',
      message: `arn:aws:kms:us-east-1:${ACCOUNT}:key/${signs} key usage is SIGN_VERIFY which is not valid for ${side}.`,
    });
    expect(await kms.call('ReEncrypt', keyIn(signs))).toMatchObject(told('ReEncryptTo'));
    const from = { ...keyIn(symmetric), SourceKeyId: signs, SourceEncryptionAlgorithm: OAEP_256 };
    expect(await kms.call('ReEncrypt', from)).toMatchObject(told('ReEncryptFrom'));
  });

  test.each<[operation: string, keySpec: string, usage: string, input: object]>([
    ['Encrypt', 'RSA_2048', 'ENCRYPT_DECRYPT', { Plaintext }],
    ['Sign', 'RSA_2048', 'SIGN_VERIFY', { Message: Plaintext, SigningAlgorithm: 'ECDSA_SHA_256' }],
    ['GenerateMac', 'HMAC_256', 'GENERATE_VERIFY_MAC', { Message: Plaintext, MacAlgorithm: 'HMAC_SHA_512' }],
    ['GenerateDataKey', 'RSA_2048', 'ENCRYPT_DECRYPT', SYMMETRIC_DATA],
    ['GenerateDataKeyPair', 'RSA_2048', 'ENCRYPT_DECRYPT', PAIR],
  ])('of %s is its algorithm, once its state allows it', async (operation, keySpec, usage, input) => {
    const KeyId = await newKey(keySpec, usage);
    expect((await kms.call(operation, { ...input, KeyId })).code).toBe('InvalidKeyUsageException');
    expect((await kms.call('DisableKey', { KeyId })).code).toBe('OK');
    expect((await kms.call(operation, { ...input, KeyId })).code).toBe('DisabledException');
  });

  test('is an encryption context with pairs', async () => {
    const KeyId = await newKey('RSA_2048', 'ENCRYPT_DECRYPT');
    const input = { KeyId, Plaintext, EncryptionAlgorithm: OAEP_256 };
    expect((await kms.call('Encrypt', { ...input, EncryptionContext: {} })).code).toBe('OK');
    expect(await kms.call('Encrypt', { ...input, EncryptionContext: { a: 'b' } })).toMatchObject({
      code: 'ValidationException',
      message: 'EncryptionContext is not supported when encrypting/decrypting with asymmetric CMKs.',
    });
  });
});
