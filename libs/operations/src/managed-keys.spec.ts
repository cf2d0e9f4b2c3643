import { isLiving } from '#domain/key/state';
import { ACCOUNT, MemoryOperations } from '../../../test/support/memory-operations';

const REGION = 'us-east-1';
const ALIAS = 'alias/aws/s3';
const Plaintext = Buffer.from('kept by a service').toString('base64');

let operations: MemoryOperations;
beforeEach(() => {
  operations = new MemoryOperations();
});

const describeKey = async (KeyId: string): Promise<Record<string, unknown>> =>
  (await operations.call('DescribeKey', { KeyId })).body['KeyMetadata'] as Record<string, unknown>;

describe('an AWS managed key', () => {
  test('is minted at its first use, whichever that is, and is then the same', async () => {
    const encrypted = await operations.call('Encrypt', { KeyId: ALIAS, Plaintext });
    expect(encrypted).toMatchObject({ code: 'OK' });
    const metadata = await describeKey(ALIAS);
    expect(metadata).toMatchObject({ KeyManager: 'AWS', KeyState: 'Enabled', Arn: encrypted.body['KeyId'] });
    const { CiphertextBlob } = encrypted.body;
    expect((await operations.call('Decrypt', { CiphertextBlob })).body['Plaintext']).toBe(Plaintext);
    const { body } = await operations.call('ListAliases', { KeyId: metadata['KeyId'] });
    expect(body['Aliases']).toMatchObject([{ AliasName: ALIAS, TargetKeyId: metadata['KeyId'] }]);
  });

  test('is one, however many use it first at once', async () => {
    const replies = await Promise.all(
      Array.from({ length: 10 }, (_, at) =>
        at % 2 === 0
          ? operations.call('DescribeKey', { KeyId: ALIAS })
          : operations.call('GenerateDataKey', { KeyId: ALIAS, KeySpec: 'AES_256' }),
      ),
    );
    expect(replies.map(({ code }) => code)).toEqual(Array(10).fill('OK'));
    expect((await operations.call('ListKeys', {})).body['Keys']).toHaveLength(1);
  });

  test('is rotated every year', async () => {
    const { KeyId, CurrentKeyMaterialId } = await describeKey(ALIAS);
    expect((await operations.call('GetKeyRotationStatus', { KeyId })).body).toMatchObject({
      KeyRotationEnabled: true,
      RotationPeriodInDays: 365,
    });
    operations.now += 366 * 86_400_000;
    await operations.fireDue();
    expect((await describeKey(ALIAS))['CurrentKeyMaterialId']).not.toBe(CurrentKeyMaterialId);
  });

  test.each<[string, object]>([
    ['DisableKey', {}],
    ['EnableKey', {}],
    ['ScheduleKeyDeletion', { PendingWindowInDays: 7 }],
    ['CancelKeyDeletion', {}],
    ['PutKeyPolicy', { Policy: '{}' }],
    ['EnableKeyRotation', {}],
    ['DisableKeyRotation', {}],
    ['RotateKeyOnDemand', {}],
    ['TagResource', { Tags: [{ TagKey: 'a', TagValue: 'b' }] }],
    ['UntagResource', { TagKeys: ['a'] }],
    ['UpdateKeyDescription', { Description: 'mine' }],
    ['CreateGrant', { GranteePrincipal: `arn:aws:iam::${ACCOUNT}:root`, Operations: ['Decrypt'] }],
  ])('does not take %s, not even from root', async (operation, input) => {
    const { KeyId } = await describeKey(ALIAS);
    const before = operations.projection.key(REGION, ACCOUNT, KeyId as string)?.state;
    expect(await operations.call(operation, { KeyId, ...input })).toMatchObject({ code: 'AccessDeniedException' });
    expect(operations.projection.key(REGION, ACCOUNT, KeyId as string)?.state).toBe(before);
  });

  test.each(['DisableKey', 'CancelKeyDeletion', 'EnableKeyRotation', 'RotateKeyOnDemand'] as const)(
    'is not changed by %s, whatever lets it through to the key',
    async (type) => {
      const { KeyId } = await describeKey(ALIAS);
      const ref = { region: REGION, account: ACCOUNT, aggregate: 'key', id: KeyId as string } as const;
      const command =
        type === 'EnableKeyRotation' ? ({ type, rotationPeriodInDays: 90 } as const) : ({ type } as const);
      await expect(operations.runCommand(ref, command)).rejects.toMatchObject({
        code: 'UnsupportedOperationException',
      });
    },
  );

  test('is not minted for whom its policy does not let use it', async () => {
    const { body } = await operations.call('CreateUser', { UserName: 'ann' });
    const principalId = (body['User'] as { UserId: string }).UserId;
    expect(await operations.call('DescribeKey', { KeyId: ALIAS }, { principalId })).toMatchObject({
      code: 'AccessDeniedException',
    });
    expect((await operations.call('ListKeys', {})).body['Keys']).toEqual([]);
  });

  test('is there for the services of AWS alone', async () => {
    expect(await operations.call('DescribeKey', { KeyId: 'alias/aws/mine' })).toMatchObject({
      code: 'NotFoundException',
      message: `Alias arn:aws:kms:${REGION}:${ACCOUNT}:alias/aws/mine is not found.`,
    });
  });

  test.each(['CreateAlias', 'UpdateAlias', 'DeleteAlias'])('keeps its alias: %s', async (operation) => {
    const { KeyId } = await describeKey(ALIAS);
    const input = operation === 'DeleteAlias' ? {} : { TargetKeyId: KeyId };
    expect(await operations.call(operation, { AliasName: ALIAS, ...input })).toMatchObject({
      code: 'NotAuthorizedException',
    });
  });

  test('whose minting was cut off after the key gets its alias at the next use', async () => {
    const { KeyId } = await describeKey(ALIAS);
    const key = operations.projection.key(REGION, ACCOUNT, KeyId as string)?.state;
    expect(key && isLiving(key) && key.manager).toBe('AWS');
    const alias = { region: REGION, account: ACCOUNT, aggregate: 'alias', id: 'aws/s3' } as const;
    await operations.runCommand(alias, { type: 'DeleteAlias' });
    expect(await describeKey(ALIAS)).toMatchObject({ KeyId });
    expect(operations.projection.key(REGION, ACCOUNT, KeyId as string)?.state).toBe(key);
  });
});
