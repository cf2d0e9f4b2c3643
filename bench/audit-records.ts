import type { AuditRecord } from '#audit-log/record';
import type { HistoryQuery } from '#operations/audit/event-history';

const KEYS = 1_000;
const USERS = 20;
const ACCOUNT = '000000000000';
const REGION = 'us-east-1';
/** One of so many changes something. */
const CHANGES = 97;

const hex = (n: number, length: number): string => n.toString(16).padStart(length, '0');
const keyArn = (nth: number): string => `arn:aws:kms:${REGION}:${ACCOUNT}:key/00000000-0000-4000-8000-${hex(nth, 12)}`;
const userName = (nth: number): string => `user-${nth}`;
const timeOf = (nth: number): number => 1_780_000_000 + Math.floor(nth / 1000);
const eventId = (nth: number): string =>
  `${hex((nth * 2_654_435_761) % 4_294_967_296, 8)}-0000-8000-8000-${hex(nth, 12)}`;

/** As one of an Encrypt by one of 20 users with one of 1,000 keys, a thousand a second. */
export function benchRecord(nth: number): AuditRecord {
  const user = nth % USERS;
  return {
    eventVersion: '1.11',
    userIdentity: {
      ...{ type: 'IAMUser', principalId: `AIDA${hex(user, 17)}`, arn: `arn:aws:iam::${ACCOUNT}:user/user-${user}` },
      ...{ accountId: ACCOUNT, accessKeyId: `AKIA${hex(user, 16)}`, userName: userName(user) },
    },
    eventTime: `${new Date(timeOf(nth) * 1000).toISOString().slice(0, 19)}Z`,
    eventSource: 'kms.amazonaws.com',
    eventName: nth % CHANGES === 0 ? 'UpdateKeyDescription' : nth % 3 === 0 ? 'Decrypt' : 'Encrypt',
    awsRegion: REGION,
    additionalEventData: { keyMaterialId: hex(nth % KEYS, 64), decidedBy: { kind: 'root' } },
    requestID: `00000000-0000-4000-9000-${hex(nth, 12)}`,
    eventID: eventId(nth),
    readOnly: nth % CHANGES !== 0,
    resources: [{ accountId: ACCOUNT, type: 'AWS::KMS::Key', ARN: keyArn(nth % KEYS) }],
    eventType: 'AwsApiCall',
    managementEvent: true,
    recipientAccountId: ACCOUNT,
    eventCategory: 'Management',
    sourceIPAddress: '192.0.2.1',
    userAgent: 'keytrail-bench',
    requestParameters: { keyId: keyArn(nth % KEYS), encryptionContext: { tenant: `t-${nth % 7}` } },
    responseElements: null,
  };
}

type Lookup = Omit<HistoryQuery, 'limit'>;
const scope = { account: ACCOUNT, region: REGION };

/** What is looked up, by what it is called; each for the so-manieth time, of that many records. */
export const LOOKUPS: Readonly<Record<string, (nth: number, records: number) => Lookup>> = {
  'a key': (nth) => ({ ...scope, attribute: { key: 'ResourceName', value: keyArn((nth * 617 + 27) % KEYS) } }),
  'an event name': (nth) => ({ ...scope, attribute: { key: 'EventName', value: nth % 2 ? 'Encrypt' : 'Decrypt' } }),
  'a user': (nth) => ({ ...scope, attribute: { key: 'Username', value: userName(nth % USERS) } }),
  'read-only or not': (nth) => ({ ...scope, attribute: { key: 'ReadOnly', value: String(nth % 2 === 0) } }),
  'an event id': (nth, records) => ({
    ...scope,
    attribute: { key: 'EventId', value: eventId((nth * 7_919 + 11) % records) },
  }),
  'ten minutes': (nth, records) => {
    const from = timeOf((nth * 7_919 + 11) % records);
    return { ...scope, from, to: from + 600 };
  },
};
