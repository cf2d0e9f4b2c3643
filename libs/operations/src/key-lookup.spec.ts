import { MemoryOperations } from '../../../test/support/memory-operations';

const operations = new MemoryOperations();
const ELSEWHERE = 'arn:aws:kms:us-east-1:999988887777';
const CALLER = 'User: arn:aws:iam::000000000000:root';
const NOWHERE =
  'because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access';

describe('a KeyId', () => {
  test.each([
    ['fake-key-id', "Invalid keyId 'fake-key-id'"],
    ['alias/none', 'Alias arn:aws:kms:us-east-1:000000000000:alias/none is not found.'],
    ['arn:aws:kms:eu-west-1:000000000000:alias/none', 'Invalid arn eu-west-1'],
  ])('%s is not found', async (KeyId, message) => {
    expect(await operations.call('DescribeKey', { KeyId })).toMatchObject({ code: 'NotFoundException', message });
  });

  test.each(['key/11111111-2222-4333-8444-555555555555', 'alias/none'])(
    'of another account, %s, is refused without telling whether there is one',
    async (resource) => {
      const KeyId = `${ELSEWHERE}:${resource}`;
      expect(await operations.call('DescribeKey', { KeyId })).toMatchObject({
        code: 'AccessDeniedException',
        message: `${CALLER} is not authorized to perform: kms:DescribeKey on this resource ${NOWHERE}`,
      });
    },
  );

  test.each(['GetKeyRotationStatus', 'EnableKeyRotation', 'GetKeyPolicy', 'DisableKey'])(
    'cannot be an alias for %s, existing or not',
    async (operation) => {
      const refused = {
        code: 'InvalidArnException',
        message: 'Key Aliases are not supported for this operation.',
      };
      for (const KeyId of ['alias/none', 'arn:aws:kms:us-east-1:000000000000:alias/none']) {
        expect(await operations.call(operation, { KeyId })).toMatchObject(refused);
      }
    },
  );
});

test.each(['alias/db-primary-encryption-key-prod', 'alias/ab-', 'alias/11-2222-3333-4444-555555555555'])(
  'an alias is one whatever its length and hyphens: %s',
  async (start) => {
    const AliasName = start.padEnd(36, 'x');
    const { KeyId, Arn } = await operations.newKey();
    await operations.call('CreateAlias', { AliasName, TargetKeyId: KeyId });
    const { body } = await operations.call('DescribeKey', { KeyId: AliasName });
    expect(body).toMatchObject({ KeyMetadata: { Arn } });
    expect(await operations.call('ScheduleKeyDeletion', { KeyId: AliasName })).toMatchObject({
      code: 'InvalidArnException',
    });
  },
);

describe('a ciphertext', () => {
  const encrypted = async (): Promise<{ Arn: string; CiphertextBlob: unknown }> => {
    const { KeyId, Arn } = await operations.newKey();
    const { body } = await operations.call('Encrypt', { KeyId, Plaintext: 'AAAA' });
    return { Arn, CiphertextBlob: body['CiphertextBlob'] };
  };

  test('of another region is refused as a resource that this one has not', async () => {
    const { CiphertextBlob } = await encrypted();
    const { KeyId } = await operations.newKey('eu-west-1');
    const refused = (action: string) => ({
      code: 'AccessDeniedException',
      message: `${CALLER} is not authorized to perform: kms:${action} on the resource associated with this ciphertext ${NOWHERE}`,
    });
    expect(await operations.call('Decrypt', { CiphertextBlob }, { region: 'eu-west-1' })).toMatchObject(
      refused('Decrypt'),
    );
    const reEncrypt = await operations.call(
      'ReEncrypt',
      { CiphertextBlob, DestinationKeyId: KeyId },
      { region: 'eu-west-1' },
    );
    expect(reEncrypt).toMatchObject(refused('ReEncryptFrom'));
  });

  test('is not under a key of another region', async () => {
    const { Arn, CiphertextBlob } = await encrypted();
    const KeyId = Arn.replace('us-east-1', 'eu-west-1');
    const refused = {
      code: 'IncorrectKeyException',
      message: 'The key ID in the request does not identify a CMK that can perform this operation.',
    };
    expect(await operations.call('Decrypt', { CiphertextBlob, KeyId })).toMatchObject(refused);
    const reEncrypt = { CiphertextBlob, SourceKeyId: KeyId, DestinationKeyId: Arn };
    expect(await operations.call('ReEncrypt', reEncrypt)).toMatchObject(refused);
  });
});
