import { MemoryOperations } from '../../../test/support/memory-operations';

const kms = new MemoryOperations();
const newKey = async (KeySpec: string, KeyUsage: string) =>
  (await kms.call('CreateKey', { KeySpec, KeyUsage })).body['KeyMetadata'] as { KeyId: string; Arn: string };

const SIGNING_RSA = ['RSA_2048', 'SIGN_VERIFY'] as const;

describe('an alias', () => {
  test.each([
    ['RSA_2048', 'ENCRYPT_DECRYPT'],
    ['SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT'],
    ['HMAC_256', 'GENERATE_VERIFY_MAC'],
    ['ECC_NIST_P256', 'KEY_AGREEMENT'],
  ])('of a key that signs is not moved to one of %s and %s', async (spec, usage) => {
    const [from, to] = [await newKey(...SIGNING_RSA), await newKey(spec, usage)];
    const AliasName = `alias/${from.KeyId}`;
    await kms.call('CreateAlias', { AliasName, TargetKeyId: from.KeyId });
    expect(await kms.call('UpdateAlias', { AliasName, TargetKeyId: to.KeyId })).toMatchObject({
      code: 'ValidationException',
      message: `The alias can be moved only to a key of the same type and usage as ${from.Arn}, which ${to.Arn} is not.`,
    });
    const { body } = await kms.call('DescribeKey', { KeyId: AliasName });
    expect(body).toMatchObject({ KeyMetadata: from });
  });

  test('is not moved between a symmetric key and an asymmetric one of the same usage', async () => {
    const [from, to] = [
      await newKey('SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT'),
      await newKey('RSA_2048', 'ENCRYPT_DECRYPT'),
    ];
    await kms.call('CreateAlias', { AliasName: 'alias/same-usage', TargetKeyId: from.KeyId });
    const moved = await kms.call('UpdateAlias', { AliasName: 'alias/same-usage', TargetKeyId: to.KeyId });
    expect(moved).toMatchObject({ code: 'ValidationException' });
  });

  test('is moved to a key of another spec', async () => {
    const [from, to] = [await newKey(...SIGNING_RSA), await newKey('ECC_NIST_P256', 'SIGN_VERIFY')];
    await kms.call('CreateAlias', { AliasName: 'alias/other-spec', TargetKeyId: from.KeyId });
    expect((await kms.call('UpdateAlias', { AliasName: 'alias/other-spec', TargetKeyId: to.KeyId })).code).toBe('OK');
    const { body } = await kms.call('DescribeKey', { KeyId: 'alias/other-spec' });
    expect(body).toMatchObject({ KeyMetadata: { Arn: to.Arn } });
  });
});
