import { algorithmsOf, isAsymmetric, KEY_SPECS, KEY_USAGES } from '#domain/key/key-kinds';
import { isLiving } from '#domain/key/state';
import { endOffLoop } from '#hsm/off-loop';
import { ACCOUNT, MemoryOperations } from '../../../test/support/memory-operations';

const operations = new MemoryOperations();
afterAll(endOffLoop);

describe('a new key', () => {
  test.each([
    ['SYMMETRIC_DEFAULT', 'SIGN_VERIFY'],
    ['RSA_2048', 'KEY_AGREEMENT'],
    ['ECC_SECG_P256K1', 'KEY_AGREEMENT'],
    ['ECC_NIST_P256', 'ENCRYPT_DECRYPT'],
    ['HMAC_256', 'SIGN_VERIFY'],
    ['ML_DSA_44', 'ENCAPSULATE_DECAPSULATE'],
  ])('of spec %s cannot be for %s', async (KeySpec, KeyUsage) => {
    expect(await operations.call('CreateKey', { KeySpec, KeyUsage })).toMatchObject({
      code: 'ValidationException',
      message: `KeyUsage ${KeyUsage} is not compatible with KeySpec ${KeySpec}`,
    });
  });

  test('needs a usage unless it is symmetric', async () => {
    expect(await operations.call('CreateKey', { KeySpec: 'HMAC_256' })).toMatchObject({
      code: 'ValidationException',
      message: 'You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.',
    });
    expect(await operations.call('CreateKey', { KeySpec: 'SYMMETRIC_DEFAULT' })).toMatchObject({ code: 'OK' });
  });
});

describe('a key of every kind', () => {
  const kinds = KEY_SPECS.flatMap((KeySpec) =>
    KEY_USAGES.flatMap((KeyUsage) => {
      const algorithms = algorithmsOf(KeySpec, KeyUsage);
      return algorithms.length === 0 ? [] : [[KeySpec, KeyUsage, algorithms] as const];
    }),
  );

  test.each(kinds)('%s for %s is created and described', async (KeySpec, KeyUsage, algorithms) => {
    const { body } = await operations.call('CreateKey', { KeySpec, KeyUsage });
    const metadata = body['KeyMetadata'] as Record<string, unknown>;
    expect(metadata).toMatchObject({ KeySpec, CustomerMasterKeySpec: KeySpec, KeyUsage, KeyState: 'Enabled' });
    const listed = Object.entries(metadata).filter(([name]) => name.endsWith('Algorithms'));
    expect(listed).toEqual([[expect.any(String), algorithms]]);
    expect('CurrentKeyMaterialId' in metadata).toBe(KeySpec === 'SYMMETRIC_DEFAULT');
    const described = await operations.call('DescribeKey', { KeyId: metadata['KeyId'] });
    expect(described.body['KeyMetadata']).toEqual(metadata);
  });

  test('that is asymmetric has its public key in the log', async () => {
    for (const [KeySpec, KeyUsage] of kinds) {
      const { body } = await operations.call('CreateKey', { KeySpec, KeyUsage });
      const { KeyId } = body['KeyMetadata'] as { KeyId: string };
      const key = operations.projection.key('us-east-1', ACCOUNT, KeyId)?.state;
      const publicKey = key && isLiving(key) ? key.publicKey : undefined;
      if (isAsymmetric(KeySpec)) expect(Buffer.from(publicKey!, 'base64')[0]).toBe(0x30);
      else expect(publicKey).toBeUndefined();
    }
  });
});
