import type { AuditRecord, UserIdentity } from '#audit-log/record';

/**
 * THE form of a record, strict: all that must be there, and nothing that is not known. Sources: AWS CloudTrail User Guide,
 * "CloudTrail record contents" and "CloudTrail userIdentity element"; AWS KMS Developer Guide, "CloudTrail log entries".
 */
export function expectPublishedForm(record: AuditRecord): void {
  const { errorCode, errorMessage, additionalEventData, resources, userAgent, tlsDetails, ...rest } = record;
  const { sharedEventID, serviceEventDetails, requestID, decisionInput: _, ...always } = rest;
  const ofService = record.eventType === 'AwsServiceEvent';
  expect(always).toEqual({
    eventVersion: '1.11',
    userIdentity: IDENTITIES[record.userIdentity.type](record.userIdentity),
    eventTime: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
    eventSource: expect.stringMatching(/^(kms|iam|sts|cloudtrail|cloudhsm)\.amazonaws\.com$/),
    eventName: expect.stringMatching(/^[A-Z]\w+$/),
    awsRegion: expect.stringMatching(/^[a-z]{2}(-[a-z]+)+-\d$/),
    eventID: expect.stringMatching(UUID),
    readOnly: expect.any(Boolean),
    eventType: expect.stringMatching(/^(AwsApiCall|AwsServiceEvent)$/),
    managementEvent: true,
    recipientAccountId: expect.stringMatching(ACCOUNT),
    eventCategory: 'Management',
    sourceIPAddress: ofService ? 'AWS Internal' : expect.stringMatching(/^(\d+\.\d+\.\d+\.\d+|[0-9a-f:]+|nats)$/),
    requestParameters: record.requestParameters === null ? null : expect.any(Object),
    responseElements: record.responseElements === null ? null : expect.any(Object),
  });
  expect(requestID).toEqual(ofService ? undefined : expect.stringMatching(UUID));
  expect([errorCode, errorMessage]).toEqual(
    errorCode === undefined ? [undefined, undefined] : [expect.stringMatching(/^[A-Z][A-Za-z]+$/), errorMessage],
  );
  if (errorMessage !== undefined) expect(errorMessage).toMatch(/^.{1,1024}$/s);
  if (errorCode !== undefined) expect(record.responseElements).toBeNull();
  for (const side of [record.requestParameters, record.responseElements]) expectSmallNames(side);
  expect(resources).not.toEqual([]);
  for (const { accountId, type, ARN, ...more } of resources ?? []) {
    expect(more).toEqual({});
    expect(RESOURCES[type as keyof typeof RESOURCES](accountId).test(ARN) ? ARN : [type, accountId]).toBe(ARN);
  }
  if (userAgent !== undefined) expect(userAgent).toMatch(/^.{1,1024}$/);
  expect(Object.keys(additionalEventData ?? {}).filter((name) => !ADDITIONAL.includes(name))).toEqual([]);
  if (tlsDetails !== undefined) {
    expect(tlsDetails).toEqual({
      tlsVersion: expect.stringMatching(/^TLSv1\.[23]$/),
      cipherSuite: expect.stringMatching(/^[A-Z0-9_-]+$/),
      clientProvidedHostHeader: expect.stringMatching(/^[!-~]+$/),
    });
  }
  const shared = (resources ?? []).some(({ accountId }) => accountId !== record.userIdentity.accountId);
  const told = shared && errorCode === undefined;
  expect(sharedEventID).toEqual(told ? expect.stringMatching(UUID) : undefined);
  expect(serviceEventDetails).toEqual(ofService ? expect.objectContaining({ keyId: expect.any(String) }) : undefined);
}

const UUID = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/;
const ACCOUNT = /^\d{12}$/;
const ADDITIONAL = [
  ...['keyMaterialId', 'sourceKeyMaterialId', 'destinationKeyMaterialId'],
  ...['grantId', 'recipient', 'decidedBy'],
];

const RESOURCES = {
  'AWS::KMS::Key': (account: string) =>
    new RegExp(`^arn:aws:kms:[a-z0-9-]+:${account}:key/(?:[0-9a-f-]{36}|mrk-[0-9a-f]{32})$`),
  'AWS::KMS::Alias': (account: string) => new RegExp(`^arn:aws:kms:[a-z0-9-]+:${account}:alias/[\\w/-]+$`),
  'AWS::IAM::Role': (account: string) => new RegExp(`^arn:aws:iam::${account}:role/[\\w+=,.@/-]+$`),
};

/** What a user identity of the type must be, key by key; `accessKeyId` is absent over NATS. */
const IDENTITIES: Record<UserIdentity['type'], (found: UserIdentity) => unknown> = {
  Root: ({ accountId, accessKeyId, sessionContext }) => ({
    type: 'Root',
    principalId: accountId,
    arn: `arn:aws:iam::${accountId}:root`,
    accountId: expect.stringMatching(ACCOUNT),
    ...(accessKeyId !== undefined && { accessKeyId: expect.stringMatching(/^[A-Z0-9]{4,128}$/) }),
    ...(sessionContext && { sessionContext: { attributes: ATTRIBUTES } }),
  }),
  IAMUser: ({ accountId, userName, accessKeyId, sessionContext }) => ({
    type: 'IAMUser',
    principalId: expect.stringMatching(/^AIDA[A-Z0-9]{16,17}$/),
    arn: expect.stringMatching(new RegExp(`^arn:aws:iam::${accountId}:user/(.+/)?${userName}$`)),
    accountId: expect.stringMatching(ACCOUNT),
    userName: expect.any(String),
    ...(accessKeyId !== undefined && { accessKeyId: expect.stringMatching(/^A[KS]IA[A-Z0-9]{16}$/) }),
    ...(sessionContext && { sessionContext: { attributes: ATTRIBUTES } }),
  }),
  AssumedRole: ({ accountId, principalId, accessKeyId, sessionContext }) => {
    const [roleId, session] = principalId!.split(':');
    const { userName } = sessionContext?.sessionIssuer ?? {};
    return {
      type: 'AssumedRole',
      principalId: expect.stringMatching(/^AROA[A-Z0-9]{16,17}:[\w+=,.@-]+$/),
      arn: `arn:aws:sts::${accountId}:assumed-role/${userName}/${session}`,
      accountId: expect.stringMatching(ACCOUNT),
      ...(accessKeyId !== undefined && { accessKeyId: expect.stringMatching(/^ASIA[A-Z0-9]{16}$/) }),
      sessionContext: {
        sessionIssuer: {
          type: 'Role',
          principalId: roleId,
          arn: expect.stringMatching(new RegExp(`^arn:aws:iam::${accountId}:role/(.+/)?${userName}$`)),
          accountId,
          userName: expect.any(String),
        },
        attributes: ATTRIBUTES,
        ...(sessionContext?.sourceIdentity !== undefined && { sourceIdentity: expect.any(String) }),
      },
    };
  },
  AWSAccount: () => ({
    type: 'AWSAccount',
    principalId: expect.any(String),
    accountId: expect.stringMatching(ACCOUNT),
  }),
  AWSService: () => ({
    type: 'AWSService',
    accountId: expect.stringMatching(ACCOUNT),
    invokedBy: 'AWS Internal',
  }),
  Unknown: ({ principalId, accessKeyId }) => ({
    type: 'Unknown',
    accountId: expect.stringMatching(ACCOUNT),
    ...(principalId !== undefined && { principalId: expect.any(String) }),
    ...(accessKeyId !== undefined && { accessKeyId: expect.stringMatching(/^\w{4,128}$/) }),
  }),
};

const ATTRIBUTES = {
  creationDate: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
  mfaAuthenticated: 'false',
};

/** Names that callers chose are in these alone. */
const CHOSEN = /ncryptionContext/;

function expectSmallNames(value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  if (Array.isArray(value)) {
    for (const item of value) expectSmallNames(item);
    return;
  }
  for (const [name, member] of Object.entries(value)) {
    expect(name).toMatch(/^[a-z]/);
    if (!CHOSEN.test(name)) expectSmallNames(member);
  }
}
