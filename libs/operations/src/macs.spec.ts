import { userRef } from '#domain/principal/principal-id';
import { ACCOUNT, MemoryOperations } from '../../../test/support/memory-operations';

const Message = Buffer.from('the quick brown fox').toString('base64');
const LENGTHS = { 224: 28, 256: 32, 384: 48, 512: 64 };
const SIZES = Object.keys(LENGTHS) as unknown as (keyof typeof LENGTHS)[];

const operations = new MemoryOperations();

async function newKey(KeySpec: string, KeyUsage = 'GENERATE_VERIFY_MAC'): Promise<{ KeyId: string; Arn: string }> {
  const { body } = await operations.call('CreateKey', { KeySpec, KeyUsage });
  return body['KeyMetadata'] as { KeyId: string; Arn: string };
}

async function refusal(operation: string, input: object): Promise<string> {
  const { code, message } = await operations.call(operation, input);
  return `${code}: ${message}`;
}

describe.each(SIZES)('a key of spec HMAC_%s', (size) => {
  const MacAlgorithm = `HMAC_SHA_${size}`;

  test('makes a MAC of its length, and verifies that alone', async () => {
    const { KeyId, Arn } = await newKey(`HMAC_${size}`);
    const made = await operations.call('GenerateMac', { KeyId, Message, MacAlgorithm });
    expect(made.body).toEqual({ KeyId: Arn, Mac: expect.any(String), MacAlgorithm });
    const { Mac } = made.body;
    const mac = Buffer.from(Mac as string, 'base64');
    expect(mac).toHaveLength(LENGTHS[size]);
    const verify = { KeyId, Message, MacAlgorithm, Mac };
    expect((await operations.call('VerifyMac', verify)).body).toEqual({ KeyId: Arn, MacValid: true, MacAlgorithm });
    const changed = Buffer.from(mac);
    changed[mac.length - 1]! ^= 0x80;
    for (const other of [changed, mac.subarray(1), Buffer.concat([mac, mac])]) {
      expect(await refusal('VerifyMac', { ...verify, Mac: other.toString('base64') })).toBe('KMSInvalidMacException: ');
    }
    expect(await refusal('VerifyMac', { ...verify, Message: 'AAAA' })).toBe('KMSInvalidMacException: ');
    const { KeyId: other } = await newKey(`HMAC_${size}`);
    expect(await refusal('VerifyMac', { ...verify, KeyId: other })).toBe('KMSInvalidMacException: ');
  });

  test.each(SIZES.filter((other) => other !== size))('has no HMAC_SHA_%s', async (other) => {
    const { KeyId } = await newKey(`HMAC_${size}`);
    const request = { KeyId, Message, MacAlgorithm: `HMAC_SHA_${other}`, Mac: 'AAAA' };
    const refused = `InvalidKeyUsageException: Algorithm HMAC_SHA_${other} is incompatible with key spec HMAC_${size}.`;
    expect(await refusal('GenerateMac', request)).toBe(refused);
    expect(await refusal('VerifyMac', request)).toBe(refused);
  });
});

describe.each(['GenerateMac', 'VerifyMac'])('%s', (operation) => {
  const request = (KeyId: string, more: object = {}) => ({
    KeyId,
    Message,
    MacAlgorithm: 'HMAC_SHA_256',
    ...(operation === 'VerifyMac' && { Mac: 'AAAA' }),
    ...more,
  });

  test.each([
    ['SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT'],
    ['RSA_2048', 'SIGN_VERIFY'],
  ])('is refused on a key of spec %s for %s', async (spec, usage) => {
    const { KeyId, Arn } = await newKey(spec, usage);
    expect(await refusal(operation, request(KeyId))).toBe(
      `InvalidKeyUsageException: ${Arn} key usage is ${usage} which is not valid for ${operation}.`,
    );
  });

  test('is refused while the key is disabled or pending deletion', async () => {
    const { KeyId, Arn } = await newKey('HMAC_256');
    await operations.call('DisableKey', { KeyId });
    expect(await refusal(operation, request(KeyId))).toBe(`DisabledException: ${Arn} is disabled.`);
    await operations.call('ScheduleKeyDeletion', { KeyId });
    expect(await refusal(operation, request(KeyId))).toBe(`KMSInvalidStateException: ${Arn} is pending deletion.`);
  });

  test.each([
    [
      { Message: '' },
      "Value at 'message' failed to satisfy constraint: Member must have length greater than or equal to 1",
    ],
    [
      { Message: Buffer.alloc(4097).toString('base64') },
      "Value at 'message' failed to satisfy constraint: Member must have length less than or equal to 4096",
    ],
    [
      { MacAlgorithm: 'HMAC_256' },
      "Value 'HMAC_256' at 'macAlgorithm' failed to satisfy constraint: Member must satisfy enum value set: [HMAC_SHA_384, HMAC_SHA_256, HMAC_SHA_224, HMAC_SHA_512]",
    ],
  ])('refuses %j', async (more, sentence) => {
    const { KeyId } = await newKey('HMAC_256');
    expect(await refusal(operation, request(KeyId, more))).toBe(
      `ValidationException: 1 validation error detected: ${sentence}`,
    );
  });

  test('can be allowed by algorithm, and by a grant', async () => {
    const ref = userRef(ACCOUNT, operation);
    const caller = { principalId: `AIDA${operation.toUpperCase()}` };
    await operations.runCommand(ref, {
      type: 'CreateUser',
      name: operation,
      path: '/',
      tags: [],
      uniqueId: caller.principalId,
    });
    const allow = (algorithm: string) =>
      operations.runCommand(ref, {
        type: 'PutPolicy',
        policyName: 'own',
        policy: JSON.stringify({
          Version: '2012-10-17',
          Statement: {
            Effect: 'Allow',
            Action: `kms:${operation}`,
            Resource: '*',
            Condition: { StringEquals: { 'kms:MacAlgorithm': algorithm } },
          },
        }),
      });
    const { KeyId } = await newKey('HMAC_256');
    const done = operation === 'VerifyMac' ? 'KMSInvalidMacException' : 'OK';
    const code = async () => (await operations.call(operation, request(KeyId), caller)).code;
    await allow('HMAC_SHA_256');
    expect(await code()).toBe(done);
    await allow('HMAC_SHA_512');
    expect(await code()).toBe('AccessDeniedException');
    const GranteePrincipal = `arn:aws:iam::${ACCOUNT}:user/${operation}`;
    await operations.call('CreateGrant', { KeyId, GranteePrincipal, Operations: [operation] });
    expect(await code()).toBe(done);
  });
});

test('a dry run makes no MAC, and ends after every check', async () => {
  const { KeyId } = await newKey('HMAC_384');
  const request = { KeyId, Message, MacAlgorithm: 'HMAC_SHA_384' };
  const ended = 'DryRunOperationException: The request would have succeeded, but the DryRun option is set.';
  const { Mac } = (await operations.call('GenerateMac', request)).body;
  expect(await refusal('GenerateMac', { ...request, DryRun: true })).toBe(ended);
  expect(await refusal('VerifyMac', { ...request, Mac, DryRun: true })).toBe(ended);
  expect(await refusal('VerifyMac', { ...request, Mac: 'AAAA', DryRun: true })).toBe('KMSInvalidMacException: ');
});

test('the record of a MAC says how it was made, not of what, nor the MAC', async () => {
  const { KeyId } = await newKey('HMAC_512');
  const request = { KeyId, Message, MacAlgorithm: 'HMAC_SHA_512' };
  const records: string[] = [];
  operations.onRecord = (record) => records.push(JSON.stringify(record));
  const { Mac } = (await operations.call('GenerateMac', request)).body;
  await operations.call('VerifyMac', { ...request, Mac });
  operations.onRecord = undefined;
  const requestParameters = { keyId: KeyId, macAlgorithm: 'HMAC_SHA_512' };
  expect(records.map((record) => JSON.parse(record))).toMatchObject([
    { eventName: 'GenerateMac', readOnly: true, requestParameters, responseElements: null },
    { eventName: 'VerifyMac', readOnly: true, requestParameters, responseElements: null },
  ]);
  for (const secret of [Message, Mac as string]) expect(records.join()).not.toContain(secret);
});
