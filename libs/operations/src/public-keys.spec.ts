import { createPublicKey } from 'node:crypto';
import { isAsymmetric, KEY_SPECS, type KeySpec } from '#domain/key/key-kinds';
import { MemoryOperations } from '../../../test/support/memory-operations';

const operations = new MemoryOperations();

async function newKey(KeySpec: KeySpec, KeyUsage: string) {
  const { body } = await operations.call('CreateKey', { KeySpec, KeyUsage });
  return body['KeyMetadata'] as { KeyId: string; Arn: string };
}

describe('GetPublicKey', () => {
  test.each([
    ['RSA_2048', 'ENCRYPT_DECRYPT', { EncryptionAlgorithms: ['RSAES_OAEP_SHA_1', 'RSAES_OAEP_SHA_256'] }],
    ['ECC_NIST_P384', 'KEY_AGREEMENT', { KeyAgreementAlgorithms: ['ECDH'] }],
    ['ECC_NIST_P384', 'SIGN_VERIFY', { SigningAlgorithms: ['ECDSA_SHA_384'] }],
    ['SM2', 'ENCRYPT_DECRYPT', { EncryptionAlgorithms: ['SM2PKE'] }],
    ['ML_KEM_512', 'ENCAPSULATE_DECAPSULATE', { EncapsulationAlgorithms: ['ML_KEM'] }],
  ] as const)('tells of a key of spec %s for %s what that is for', async (spec, usage, algorithms) => {
    const { KeyId, Arn } = await newKey(spec, usage);
    const { code, body } = await operations.call('GetPublicKey', { KeyId });
    expect(code).toBe('OK');
    const { PublicKey, ...told } = body;
    expect(told).toEqual({
      KeyId: Arn,
      CustomerMasterKeySpec: spec,
      KeySpec: spec,
      KeyUsage: usage,
      ...algorithms,
    });
    expect(PublicKey).toMatch(/^MI|^MF|^MH/);
  });

  test('gives a key that OpenSSL reads, of the curve or size that the spec has', async () => {
    const { KeyId } = await newKey('RSA_2048', 'SIGN_VERIFY');
    const { PublicKey } = (await operations.call('GetPublicKey', { KeyId })).body;
    const key = createPublicKey({ key: Buffer.from(PublicKey as string, 'base64'), format: 'der', type: 'spki' });
    expect(key.asymmetricKeyDetails).toMatchObject({ modulusLength: 2048, publicExponent: 65537n });
  });

  test.each(KEY_SPECS.filter((spec) => !isAsymmetric(spec)))(
    'is not for a key of spec %s, which AWS says without a message once its state is told',
    async (spec) => {
      const usage = spec === 'SYMMETRIC_DEFAULT' ? 'ENCRYPT_DECRYPT' : 'GENERATE_VERIFY_MAC';
      const { KeyId, Arn } = await newKey(spec, usage);
      const refused = { code: 'UnsupportedOperationException', message: '' };
      expect(await operations.call('GetPublicKey', { KeyId })).toMatchObject(refused);
      await operations.call('DisableKey', { KeyId });
      expect(await operations.call('GetPublicKey', { KeyId })).toMatchObject(refused);
      await operations.call('ScheduleKeyDeletion', { KeyId });
      expect(await operations.call('GetPublicKey', { KeyId })).toMatchObject({
        code: 'KMSInvalidStateException',
        message: `${Arn} is pending deletion.`,
      });
    },
  );

  test('is refused while the key is disabled or pending deletion', async () => {
    const { KeyId, Arn } = await newKey('ECC_NIST_P256', 'SIGN_VERIFY');
    await operations.call('DisableKey', { KeyId });
    expect(await operations.call('GetPublicKey', { KeyId })).toMatchObject({
      code: 'DisabledException',
      message: `${Arn} is disabled.`,
    });
    await operations.call('ScheduleKeyDeletion', { KeyId });
    expect(await operations.call('GetPublicKey', { KeyId })).toMatchObject({
      code: 'KMSInvalidStateException',
      message: `${Arn} is pending deletion.`,
    });
  });
});
