import { MemoryOperations } from '../../../test/support/memory-operations';

const operations = new MemoryOperations();

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

  test('of a kind not served yet is refused plainly', async () => {
    expect(await operations.call('CreateKey', { KeySpec: 'RSA_2048', KeyUsage: 'SIGN_VERIFY' })).toMatchObject({
      code: 'UnsupportedOperationException',
      message: 'KeySpec RSA_2048 is not supported by this version of Keytrail.',
    });
  });
});
