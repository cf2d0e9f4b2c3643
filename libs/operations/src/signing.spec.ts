import { userRef } from '#domain/principal/principal-id';
import { ACCOUNT, MemoryOperations } from '../../../test/support/memory-operations';

const MESSAGE = Buffer.from('the quick brown fox').toString('base64');
const bytes = (length: number): string => Buffer.alloc(length, 7).toString('base64');

const operations = new MemoryOperations();
const keys = new Map<string, { KeyId: string; Arn: string }>();

/** A key of the spec and usage, the same at each call. */
async function keyOf(KeySpec: string, KeyUsage?: string): Promise<{ KeyId: string; Arn: string }> {
  const name = `${KeySpec} ${KeyUsage}`;
  const known = keys.get(name);
  if (known) return known;
  const { body, message } = await operations.call('CreateKey', { KeySpec, KeyUsage });
  expect(message).toBe('');
  const key = body['KeyMetadata'] as { KeyId: string; Arn: string };
  keys.set(name, key);
  return key;
}

const p256 = (): Promise<{ KeyId: string; Arn: string }> => keyOf('ECC_NIST_P256', 'SIGN_VERIFY');

/** What a call was refused with. */
async function refusal(operation: string, input: object): Promise<string> {
  const { code, message } = await operations.call(operation, input);
  return `${code}: ${message}`;
}

const signing = (KeyId: string, more: object = {}) => ({
  KeyId,
  Message: MESSAGE,
  SigningAlgorithm: 'ECDSA_SHA_256',
  ...more,
});
const verifying = (KeyId: string, more: object = {}) => ({ ...signing(KeyId), Signature: bytes(64), ...more });

describe.each([
  ['Sign', signing],
  ['Verify', verifying],
])('%s', (operation, request) => {
  test.each([
    ['SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT'],
    ['RSA_2048', 'ENCRYPT_DECRYPT'],
    ['HMAC_256', 'GENERATE_VERIFY_MAC'],
    ['ECC_NIST_P256', 'KEY_AGREEMENT'],
    ['ML_KEM_768', 'ENCAPSULATE_DECAPSULATE'],
  ])('is refused on a key of spec %s for %s', async (spec, usage) => {
    const { KeyId, Arn } = await keyOf(spec, usage);
    expect(await refusal(operation, request(KeyId))).toBe(
      `InvalidKeyUsageException: ${Arn} key usage is ${usage} which is not valid for ${operation}.`,
    );
  });

  test.each([
    ['ECC_NIST_P256', 'ECDSA_SHA_384'],
    ['ECC_NIST_P384', 'ECDSA_SHA_256'],
    ['ECC_NIST_P521', 'ECDSA_SHA_384'],
    ['ECC_SECG_P256K1', 'ECDSA_SHA_512'],
    ['ECC_NIST_EDWARDS25519', 'ECDSA_SHA_512'],
    ['RSA_2048', 'ECDSA_SHA_256'],
    ['ECC_NIST_P256', 'RSASSA_PSS_SHA_256'],
    ['SM2', 'ECDSA_SHA_256'],
    ['ML_DSA_44', 'ED25519_SHA_512'],
  ])('is refused on a key of spec %s by %s', async (spec, SigningAlgorithm) => {
    const { KeyId } = await keyOf(spec, 'SIGN_VERIFY');
    expect(await refusal(operation, request(KeyId, { SigningAlgorithm }))).toBe(
      `InvalidKeyUsageException: Algorithm ${SigningAlgorithm} is incompatible with key spec ${spec}.`,
    );
  });

  test.each([
    [
      'ECC_NIST_P256',
      { MessageType: 'DIGEST', Message: bytes(48) },
      'Digest is invalid length for algorithm ECDSA_SHA_256.',
    ],
    [
      'ECC_NIST_P256',
      { MessageType: 'EXTERNAL_MU' },
      'Message type EXTERNAL_MU is incompatible with key spec ECC_NIST_P256.',
    ],
    [
      'ECC_NIST_EDWARDS25519',
      { SigningAlgorithm: 'ED25519_PH_SHA_512' },
      'Message type RAW is incompatible with algorithm ED25519_PH_SHA_512.',
    ],
    [
      'ML_DSA_44',
      { SigningAlgorithm: 'ML_DSA_SHAKE_256', MessageType: 'DIGEST', Message: bytes(64) },
      'Message type DIGEST is incompatible with key spec ML_DSA_44.',
    ],
  ])('refuses on a key of spec %s the message of %j', async (spec, more, message) => {
    const { KeyId } = await keyOf(spec, 'SIGN_VERIFY');
    expect(await refusal(operation, request(KeyId, more))).toBe(`ValidationException: ${message}`);
  });

  test.each([
    [
      { Message: '' },
      "Value at 'message' failed to satisfy constraint: Member must have length greater than or equal to 1",
    ],
    [
      { Message: bytes(4097) },
      "Value at 'message' failed to satisfy constraint: Member must have length less than or equal to 4096",
    ],
    [{ Message: undefined }, "Value at 'message' failed to satisfy constraint: Member must not be null"],
    [{ KeyId: undefined }, "Value null at 'keyId' failed to satisfy constraint: Member must not be null"],
    [
      { MessageType: 'TEXT' },
      "Value 'TEXT' at 'messageType' failed to satisfy constraint: Member must satisfy enum value set: [RAW, DIGEST, EXTERNAL_MU]",
    ],
    [
      { SigningAlgorithm: 'RSA' },
      "Value 'RSA' at 'signingAlgorithm' failed to satisfy constraint: Member must satisfy enum value set: [RSASSA_PSS_SHA_256, RSASSA_PSS_SHA_384, RSASSA_PSS_SHA_512, RSASSA_PKCS1_V1_5_SHA_256, RSASSA_PKCS1_V1_5_SHA_384, RSASSA_PKCS1_V1_5_SHA_512, ECDSA_SHA_256, ECDSA_SHA_384, ECDSA_SHA_512, ED25519_SHA_512, ED25519_PH_SHA_512, SM2DSA, ML_DSA_SHAKE_256]",
    ],
  ])('refuses %j', async (more, sentence) => {
    const { KeyId } = await p256();
    expect(await refusal(operation, request(KeyId, more))).toBe(
      `ValidationException: 1 validation error detected: ${sentence}`,
    );
  });

  test('is refused while the key is disabled or pending deletion', async () => {
    const { body } = await operations.call('CreateKey', { KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' });
    const { KeyId, Arn } = body['KeyMetadata'] as { KeyId: string; Arn: string };
    await operations.call('DisableKey', { KeyId });
    // Whoever may use the key learns of its state before anything is said of algorithm or message.
    const misfit = { SigningAlgorithm: 'SM2DSA', MessageType: 'DIGEST' };
    expect(await refusal(operation, request(KeyId, misfit))).toBe(`DisabledException: ${Arn} is disabled.`);
    await operations.call('ScheduleKeyDeletion', { KeyId });
    expect(await refusal(operation, request(KeyId))).toBe(`KMSInvalidStateException: ${Arn} is pending deletion.`);
  });
});

test('a dry run signs nothing, and ends after every check', async () => {
  const { KeyId } = await p256();
  const ended = 'DryRunOperationException: The request would have succeeded, but the DryRun option is set.';
  const { Signature } = (await operations.call('Sign', signing(KeyId))).body;
  expect(await refusal('Sign', signing(KeyId, { DryRun: true }))).toBe(ended);
  expect(await refusal('Verify', verifying(KeyId, { DryRun: true, Signature }))).toBe(ended);
  expect(await refusal('Sign', signing(KeyId, { DryRun: true, MessageType: 'DIGEST' }))).toBe(
    'ValidationException: Digest is invalid length for algorithm ECDSA_SHA_256.',
  );
  expect(await refusal('Verify', verifying(KeyId, { DryRun: true }))).toBe('KMSInvalidSignatureException: ');
});

test('the record of a signature says how it was made, not of what, nor the signature', async () => {
  const { KeyId } = await p256();
  const records: string[] = [];
  operations.onRecord = (record) => records.push(JSON.stringify(record));
  const { Signature } = (await operations.call('Sign', signing(KeyId))).body;
  await operations.call('Verify', verifying(KeyId, { Signature, MessageType: 'RAW' }));
  await operations.call('Verify', verifying(KeyId));
  operations.onRecord = undefined;
  const [signed, ...others] = records.map((record) => JSON.parse(record));
  const requestParameters = { keyId: KeyId, messageType: 'RAW', signingAlgorithm: 'ECDSA_SHA_256' };
  expect(signed).toMatchObject({ eventName: 'Sign', readOnly: true, requestParameters, responseElements: null });
  expect(others).toMatchObject([
    { eventName: 'Verify', requestParameters },
    { eventName: 'Verify', requestParameters, errorCode: 'KMSInvalidSignatureException' },
  ]);
  for (const secret of [MESSAGE, Signature as string]) expect(records.join()).not.toContain(secret);
});

describe('who may sign', () => {
  const ANN = `arn:aws:iam::${ACCOUNT}:user/ann`;
  const ann = { principalId: 'AIDAANN' };
  const code = async (operation: string, input: object) => (await operations.call(operation, input, ann)).code;

  beforeAll(async () => {
    const user = { type: 'CreateUser' as const, name: 'ann', path: '/', tags: [] };
    await operations.runCommand(userRef(ACCOUNT, 'ann'), { ...user, uniqueId: ann.principalId });
  });

  const annMay = (Condition: object) =>
    operations.runCommand(userRef(ACCOUNT, 'ann'), {
      type: 'PutPolicy',
      policyName: 'own',
      policy: JSON.stringify({
        Version: '2012-10-17',
        Statement: { Effect: 'Allow', Action: 'kms:*', Resource: '*', Condition },
      }),
    });

  test('a policy can say by algorithm and by type of message', async () => {
    const { KeyId } = await p256();
    await annMay({ StringEquals: { 'kms:SigningAlgorithm': 'ECDSA_SHA_256', 'kms:MessageType': 'RAW' } });
    expect(await code('Sign', signing(KeyId))).toBe('OK');
    expect(await code('Sign', signing(KeyId, { MessageType: 'RAW' }))).toBe('OK');
    expect(await code('Sign', signing(KeyId, { MessageType: 'DIGEST', Message: bytes(32) }))).toBe(
      'AccessDeniedException',
    );
    const { KeyId: other } = await keyOf('ECC_NIST_P384', 'SIGN_VERIFY');
    expect(await code('Verify', verifying(other, { SigningAlgorithm: 'ECDSA_SHA_384' }))).toBe('AccessDeniedException');
    await annMay({ StringEquals: { 'kms:SigningAlgorithm': 'SM2DSA' } });
    expect(await code('Sign', signing(KeyId))).toBe('AccessDeniedException');
  });

  test('a grant can say, by operation, and by its token before any worker knows of it', async () => {
    await annMay({ StringEquals: { 'kms:KeySpec': 'none' } });
    const { KeyId } = await keyOf('ECC_NIST_P256', 'SIGN_VERIFY');
    const { Signature } = (await operations.call('Sign', signing(KeyId))).body;
    const grant = async (...Operations: string[]) =>
      (await operations.call('CreateGrant', { KeyId, GranteePrincipal: ANN, Operations })).body as {
        GrantId: string;
        GrantToken: string;
      };
    const { GrantId, GrantToken } = await grant('Verify', 'GetPublicKey');
    expect(await code('Verify', verifying(KeyId, { Signature, GrantTokens: [GrantToken] }))).toBe('OK');
    expect(await code('GetPublicKey', { KeyId, GrantTokens: [GrantToken] })).toBe('OK');
    expect(await code('Sign', signing(KeyId))).toBe('AccessDeniedException');
    await operations.call('RevokeGrant', { KeyId, GrantId });
    expect(await code('Verify', verifying(KeyId, { Signature }))).toBe('AccessDeniedException');
    const { GrantId: signer } = await grant('Sign');
    expect(await code('Sign', signing(KeyId))).toBe('OK');
    await operations.call('RevokeGrant', { KeyId, GrantId: signer });
  });
});
