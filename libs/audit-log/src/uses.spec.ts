import { KeyLastUsageTrackingOperation } from '@aws-sdk/client-kms';
import type { OpenPart, UserIdentity } from './record';
import { TRACKED_OPERATIONS, usedIn } from './uses';

const KEY = 'arn:aws:kms:us-east-1:000000000000:key/8c0c3863-e6c5-4f5a-99f1-27e414aafb91';
const OTHER = 'arn:aws:kms:us-east-1:111122223333:key/1f0d6f5e-2a67-4c1f-9d1a-0b6f6f0f9a11';
const ALIAS = 'arn:aws:kms:us-east-1:000000000000:alias/orders';
const resource = (ARN: string, type = 'AWS::KMS::Key') => ({ accountId: '000000000000', type, ARN });

const record = (changes: Partial<OpenPart> = {}): OpenPart => ({
  eventVersion: '1.11',
  userIdentity: { type: 'IAMUser', principalId: 'AIDAANN', accountId: '000000000000', accessKeyId: 'AKIAANN' },
  eventTime: '2026-11-25T12:00:00Z',
  eventSource: 'kms.amazonaws.com',
  eventName: 'Encrypt',
  awsRegion: 'us-east-1',
  eventID: 'e',
  readOnly: true,
  resources: [resource(KEY)],
  eventType: 'AwsApiCall',
  managementEvent: true,
  recipientAccountId: '000000000000',
  eventCategory: 'Management',
  ...changes,
});
const keysIn = (of: OpenPart): string[] => usedIn(of).flatMap(({ kind, id }) => (kind === 'key' ? [id] : []));
const othersIn = (userIdentity: UserIdentity, more: Partial<OpenPart> = {}): string[] =>
  usedIn(record({ userIdentity, ...more })).flatMap(({ kind, id }) => (kind === 'key' ? [] : [`${kind} ${id}`]));

describe('a use of a key', () => {
  test('is what the API model calls one', () => {
    expect([...TRACKED_OPERATIONS].sort()).toEqual(Object.values(KeyLastUsageTrackingOperation).sort());
  });

  test.each(TRACKED_OPERATIONS)('is %s', (eventName) => {
    expect(keysIn(record({ eventName }))).toEqual([KEY]);
  });

  test.each(['DescribeKey', 'GetKeyLastUsage', 'RotateKey', 'GenerateRandom', 'GetPublicKey', 'DisableKey'])(
    'is not %s',
    (eventName) => expect(keysIn(record({ eventName }))).toEqual([]),
  );

  test.each(['AccessDeniedException', 'DisabledException', 'DryRunOperationException'])(
    'is not a call that ended with %s',
    (errorCode) => expect(keysIn(record({ errorCode }))).toEqual([]),
  );

  test('is one of each key of a re-encryption, whosever they are', () => {
    const resources = [resource(KEY), resource(OTHER)];
    expect(keysIn(record({ eventName: 'ReEncrypt', resources }))).toEqual([KEY, OTHER]);
  });

  test('is none of an alias, nor of what another service calls so', () => {
    expect(keysIn(record({ resources: [resource(ALIAS, 'AWS::KMS::Alias')] }))).toEqual([]);
    expect(keysIn(record({ eventSource: 'keytrail.local' }))).toEqual([]);
    expect(keysIn(record({ resources: undefined as never }))).toEqual([]);
  });
});

describe('a use of an access key', () => {
  const user = { principalId: 'AIDAANN', accountId: '000000000000', accessKeyId: 'AKIAANN' };

  test('is every call of whoever it belongs to, refused ones too', () => {
    expect(othersIn({ type: 'IAMUser', ...user })).toEqual(['access-key AKIAANN']);
    expect(othersIn({ type: 'Root', ...user }, { errorCode: 'AccessDeniedException' })).toEqual(['access-key AKIAANN']);
    expect(othersIn({ type: 'IAMUser', ...user }, { eventSource: 'iam.amazonaws.com' })).toHaveLength(1);
  });

  test('is none that only claims it, none of a session, none over NATS', () => {
    expect(othersIn({ type: 'Unknown', ...user })).toEqual([]);
    expect(othersIn({ type: 'IAMUser', ...user, accessKeyId: 'ASIAANN' })).toEqual([]);
    expect(othersIn({ type: 'IAMUser', principalId: 'AIDAANN' })).toEqual([]);
  });
});
