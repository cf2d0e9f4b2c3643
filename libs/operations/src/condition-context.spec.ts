import { roleRef, userRef } from '#domain/principal/principal-id';
import { ACCOUNT, MemoryOperations } from '../../../test/support/memory-operations';

const ANN = `arn:aws:iam::${ACCOUNT}:user/ann`;
const ann = { principalId: 'AIDAANNANNANNANNANN1' };

let operations: MemoryOperations;
let KeyId: string;
let CiphertextBlob: unknown;

beforeEach(async () => {
  operations = new MemoryOperations();
  const user = { type: 'CreateUser' as const, path: '/', tags: [] };
  await operations.runCommand(userRef(ACCOUNT, 'ann'), { ...user, name: 'ann', uniqueId: ann.principalId });
  ({ KeyId } = await operations.newKey());
  await operations.call('CreateAlias', { AliasName: 'alias/orders', TargetKeyId: KeyId });
  ({ CiphertextBlob } = (await operations.call('Encrypt', { KeyId, Plaintext: 'AAAA' })).body);
});

const annMay = (policy: string) =>
  operations.runCommand(userRef(ACCOUNT, 'ann'), { type: 'PutPolicy', policyName: 'own', policy });

describe('a condition', () => {
  const when = (condition: object, action = 'kms:*') =>
    annMay(
      JSON.stringify({
        Version: '2012-10-17',
        Statement: { Effect: 'Allow', Action: action, Resource: '*', Condition: condition },
      }),
    );
  const code = async (operation: string, request: object, claim: object = {}) =>
    (await operations.call(operation, request, { ...ann, ...claim })).code;
  const KMS_KEYS: [string, string, () => object, object][] = [
    ['aws:PrincipalArn', 'DescribeKey', () => ({ KeyId }), { StringEquals: { 'aws:PrincipalArn': ANN } }],
    ['aws:username', 'DescribeKey', () => ({ KeyId }), { StringEquals: { 'aws:username': 'ann' } }],
    ['aws:userid', 'DescribeKey', () => ({ KeyId }), { StringEquals: { 'aws:userid': ann.principalId } }],
    ['aws:CurrentTime', 'ListKeys', () => ({}), { DateLessThan: { 'aws:CurrentTime': '2026-01-02T00:00:00Z' } }],
    ['aws:EpochTime', 'ListKeys', () => ({}), { NumericEquals: { 'aws:EpochTime': '1767225600' } }],
    ['aws:RequestedRegion', 'ListKeys', () => ({}), { StringEquals: { 'aws:RequestedRegion': 'us-east-1' } }],
    ['kms:CallerAccount', 'ListKeys', () => ({}), { StringEquals: { 'kms:CallerAccount': ACCOUNT } }],
    ['kms:KeySpec', 'DescribeKey', () => ({ KeyId }), { StringEquals: { 'kms:KeySpec': 'SYMMETRIC_DEFAULT' } }],
    ['kms:KeySpec of a new key', 'CreateKey', () => ({}), { StringEquals: { 'kms:KeySpec': 'SYMMETRIC_DEFAULT' } }],
    ['kms:KeyOrigin', 'DescribeKey', () => ({ KeyId }), { StringEquals: { 'kms:KeyOrigin': 'AWS_KMS' } }],
    ['kms:MultiRegion', 'DescribeKey', () => ({ KeyId }), { Bool: { 'kms:MultiRegion': 'false' } }],
    [
      'kms:ResourceAliases',
      'DescribeKey',
      () => ({ KeyId }),
      { 'ForAnyValue:StringEquals': { 'kms:ResourceAliases': 'alias/orders' } },
    ],
    [
      'kms:RequestAlias',
      'DescribeKey',
      () => ({ KeyId: 'alias/orders' }),
      { StringEquals: { 'kms:RequestAlias': 'alias/orders' } },
    ],
    [
      'kms:EncryptionAlgorithm',
      'Encrypt',
      () => ({ KeyId, Plaintext: 'AAAA' }),
      { StringEquals: { 'kms:EncryptionAlgorithm': 'SYMMETRIC_DEFAULT' } },
    ],
    [
      'kms:EncryptionContext:',
      'Encrypt',
      () => ({ KeyId, Plaintext: 'AAAA', EncryptionContext: { Team: 'a' } }),
      { StringEquals: { 'kms:EncryptionContext:team': 'a' } },
    ],
    [
      'kms:EncryptionContextKeys',
      'Encrypt',
      () => ({ KeyId, Plaintext: 'AAAA', EncryptionContext: { Team: 'a' } }),
      {
        'ForAllValues:StringEquals': { 'kms:EncryptionContextKeys': 'Team' },
        Null: { 'kms:EncryptionContextKeys': 'false' },
      },
    ],
    [
      'kms:ReEncryptOnSameKey',
      'ReEncrypt',
      () => ({ CiphertextBlob, DestinationKeyId: KeyId }),
      { Bool: { 'kms:ReEncryptOnSameKey': 'true' } },
    ],
    [
      'kms:ScheduleKeyDeletionPendingWindowInDays',
      'ScheduleKeyDeletion',
      () => ({ KeyId }),
      { NumericEquals: { 'kms:ScheduleKeyDeletionPendingWindowInDays': '30' } },
    ],
    [
      'kms:RotationPeriodInDays',
      'EnableKeyRotation',
      () => ({ KeyId }),
      { NumericEquals: { 'kms:RotationPeriodInDays': '365' } },
    ],
    [
      'kms:BypassPolicyLockoutSafetyCheck',
      'CreateKey',
      () => ({}),
      { Bool: { 'kms:BypassPolicyLockoutSafetyCheck': 'false' } },
    ],
    [
      'aws:RequestTag/',
      'TagResource',
      () => ({ KeyId, Tags: [{ TagKey: 'Team', TagValue: 'a' }] }),
      { StringEquals: { 'aws:RequestTag/team': 'a' }, 'ForAllValues:StringEquals': { 'aws:TagKeys': 'Team' } },
    ],
    [
      'aws:TagKeys',
      'UntagResource',
      () => ({ KeyId, TagKeys: ['a'] }),
      { 'ForAnyValue:StringEquals': { 'aws:TagKeys': 'a' } },
    ],
  ];

  test.each(KMS_KEYS)(
    'on %s holds for what the request has, and not for the opposite',
    async (_, operation, request, condition) => {
      await when(condition);
      expect(await code(operation, request())).toBe('OK');
      // Each of its values made another: a condition that always held would allow this too.
      const other = JSON.stringify(condition).replace(/"(true|false|[^"]*)"(?=})/g, (_all, value: string) =>
        value === 'true'
          ? '"false"'
          : value === 'false'
            ? '"true"'
            : `"${/^\d+$/.test(value) ? '7' : /^\d{4}-/.test(value) ? '2020-01-01T00:00:00Z' : 'arn:aws:x:::y'}"`,
      );
      await when(JSON.parse(other));
      expect(await code(operation, request())).toBe('AccessDeniedException');
    },
  );

  test('on tags of the caller and of the key', async () => {
    await operations.runCommand(userRef(ACCOUNT, 'ann'), { type: 'TagPrincipal', tags: [{ key: 'Team', value: 'a' }] });
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a policy variable.
    await when({ StringEquals: { 'aws:ResourceTag/team': '${aws:PrincipalTag/team}' } });
    expect(await code('DescribeKey', { KeyId })).toBe('AccessDeniedException');
    await operations.call('TagResource', { KeyId, Tags: [{ TagKey: 'team', TagValue: 'a' }] });
    expect(await code('DescribeKey', { KeyId })).toBe('OK');
  });

  test('on the connection holds for what a gateway saw of it, and for nothing where there was none', async () => {
    await when({ IpAddress: { 'aws:SourceIp': '192.0.2.0/24' }, Bool: { 'aws:SecureTransport': 'true' } });
    const sourceIp = '192.0.2.7';
    expect(await code('ListKeys', {}, { sourceIp, secureTransport: true })).toBe('OK');
    expect(await code('ListKeys', {}, { sourceIp, secureTransport: false })).toBe('AccessDeniedException');
    expect(await code('ListKeys', {}, { sourceIp: '198.51.100.1', secureTransport: true })).toBe(
      'AccessDeniedException',
    );
    expect(await code('ListKeys', {})).toBe('AccessDeniedException');
  });

  test('on a session knows its role, when it was issued, and that there was no second factor', async () => {
    const build = roleRef(ACCOUNT, 'build');
    await operations.runCommand(build, {
      ...{ type: 'CreateRole', name: 'build', path: '/ci/', uniqueId: 'AROABUILDBUILDBUILD1' },
      ...{ description: '', maxSessionDuration: 3600, trustPolicy: '{}', tags: [] },
    });
    const principalId = 'AROABUILDBUILDBUILD1:job';
    const issuedAt = operations.now / 1000;
    operations.sessions.set('token', {
      ...{ account: ACCOUNT, principalId, accessKeyId: 'ASIA', issuedAt, expiresAt: issuedAt + 60 },
    });
    await operations.runCommand(build, {
      type: 'PutPolicy',
      policyName: 'own',
      policy: JSON.stringify({
        Version: '2012-10-17',
        Statement: {
          Effect: 'Allow',
          Action: 'kms:ListKeys',
          Resource: '*',
          Condition: {
            ArnEquals: { 'aws:PrincipalArn': `arn:aws:iam::${ACCOUNT}:role/ci/build` },
            StringEquals: { 'aws:userid': principalId },
            Bool: { 'aws:MultiFactorAuthPresent': 'false' },
            DateEquals: { 'aws:TokenIssueTime': '2026-01-01T00:00:00Z' },
          },
        },
      }),
    });
    expect(await operations.call('ListKeys', {}, { principalId, sessionToken: 'token' })).toMatchObject({ code: 'OK' });
  });
});
