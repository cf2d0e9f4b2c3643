import { ACCOUNT, MemoryOperations } from '../../../../test/support/memory-operations';
import type { Caller, CallerClaim } from '../caller';
import { OPERATION_TABLE } from '../table';
import { type AnsweredCall, callRecord } from './call-record';
import { Trail } from './trail';

const REQUEST_ID = 'c1a7f6f3-7f5d-4a38-8ee3-4e1e5f0c0a01';
const EVENT_ID = '0d6b9c0e-96a4-4a6c-8e0b-0c1b5b0e5b11';
const claim: CallerClaim = {
  region: 'us-east-1',
  account: ACCOUNT,
  principalId: 'root',
  accessKeyId: 'AKIAROOT',
  sourceIp: '192.0.2.7',
  userAgent: 'aws-cli/2.0',
};

const call = (changes: Partial<AnsweredCall> = {}): AnsweredCall => ({
  operation: OPERATION_TABLE.get('Encrypt')!,
  requestId: REQUEST_ID,
  eventId: EVENT_ID,
  now: '2026-11-25T02:00:00.987Z',
  claim,
  reply: { body: '{}', status: 200 },
  ...changes,
});

function trailOf(caller: Partial<Caller>): Trail {
  const trail = new Trail();
  const root = { ...new MemoryOperations().resolve(claim), accessKeyId: 'AKIAROOT' };
  trail.begin({ ...root, ...caller });
  return trail;
}

const identityOf = (caller: Partial<Caller>) => callRecord(call({ trail: trailOf(caller) })).userIdentity;
const session = {
  ...{ account: ACCOUNT, principalId: 'AROAROLE:job', accessKeyId: 'ASIAJOB' },
  ...{ issuedAt: 1_764_000_000, expiresAt: 1_764_003_600 },
};

test('a call with nothing special about it has every field of CloudTrail that it must have, and no other', () => {
  expect(callRecord(call({ trail: trailOf({}) }))).toEqual({
    eventVersion: '1.11',
    userIdentity: {
      type: 'Root',
      principalId: ACCOUNT,
      arn: `arn:aws:iam::${ACCOUNT}:root`,
      accountId: ACCOUNT,
      accessKeyId: 'AKIAROOT',
    },
    eventTime: '2026-11-25T02:00:00Z',
    eventSource: 'kms.amazonaws.com',
    eventName: 'Encrypt',
    awsRegion: 'us-east-1',
    requestID: REQUEST_ID,
    eventID: EVENT_ID,
    readOnly: true,
    eventType: 'AwsApiCall',
    managementEvent: true,
    recipientAccountId: ACCOUNT,
    eventCategory: 'Management',
    sourceIPAddress: '192.0.2.7',
    userAgent: 'aws-cli/2.0',
    requestParameters: null,
    responseElements: null,
  });
});

describe('userIdentity', () => {
  test('of a user names it', () => {
    const identity = identityOf({
      principalId: 'AIDAANN',
      principal: {
        kind: 'user',
        account: ACCOUNT,
        uniqueId: 'AIDAANN',
        arn: `arn:aws:iam::${ACCOUNT}:user/ann`,
      },
      principalArn: `arn:aws:iam::${ACCOUNT}:user/ann`,
      userName: 'ann',
      accessKeyId: 'AKIAANN',
    });
    expect(identity).toEqual({
      type: 'IAMUser',
      principalId: 'AIDAANN',
      arn: `arn:aws:iam::${ACCOUNT}:user/ann`,
      accountId: ACCOUNT,
      accessKeyId: 'AKIAANN',
      userName: 'ann',
    });
  });

  test('of GetSessionToken says when the session began, of a user and of root', () => {
    const attributes = { creationDate: '2025-11-24T16:00:00Z', mfaAuthenticated: 'false' };
    expect(identityOf({ session })).toMatchObject({ type: 'Root', sessionContext: { attributes } });
    expect(identityOf({ session })).not.toHaveProperty('sessionContext.sessionIssuer');
  });

  test('of a role’s session names the role that issued it', () => {
    const arn = `arn:aws:sts::${ACCOUNT}:assumed-role/worker/job`;
    const roleArn = `arn:aws:iam::${ACCOUNT}:role/worker`;
    const identity = identityOf({
      principalId: 'AROAROLE:job',
      principal: { kind: 'role-session', account: ACCOUNT, uniqueId: 'AROAROLE', arn, roleArn },
      principalArn: arn,
      accessKeyId: 'ASIAJOB',
      session: { ...session, roleName: 'worker', sessionName: 'job', sourceIdentity: 'ann' },
    });
    expect(identity).toEqual({
      type: 'AssumedRole',
      principalId: 'AROAROLE:job',
      arn,
      accountId: ACCOUNT,
      accessKeyId: 'ASIAJOB',
      sessionContext: {
        sessionIssuer: { type: 'Role', principalId: 'AROAROLE', arn: roleArn, accountId: ACCOUNT, userName: 'worker' },
        attributes: { creationDate: '2025-11-24T16:00:00Z', mfaAuthenticated: 'false' },
        sourceIdentity: 'ann',
      },
    });
  });

  test('of somebody unknown holds what was claimed, and nothing of whoever it may be', () => {
    expect(
      callRecord(call({ claim: { account: ACCOUNT, region: 'us-east-1', accessKeyId: 'AKIANOBODY' } })),
    ).toMatchObject({
      userIdentity: { type: 'Unknown', accountId: ACCOUNT, accessKeyId: 'AKIANOBODY' },
      recipientAccountId: ACCOUNT,
      sourceIPAddress: 'nats',
    });
  });
});

test('a refusal has its code and message, and no response elements', () => {
  const body = JSON.stringify({ __type: 'NotFoundException', message: `no ${'x'.repeat(5_000)}` });
  const operation = OPERATION_TABLE.get('CreateAlias')!;
  const record = callRecord(call({ operation, reply: { body, error: 'NotFoundException', status: 400 } }));
  expect(record).toMatchObject({ errorCode: 'NotFoundException', readOnly: false, responseElements: null });
  expect(record.errorMessage).toHaveLength(1_024);
});

test('a change has what came of it; a body of bytes, as of NATS, too', () => {
  const operation = OPERATION_TABLE.get('CreateKey')!;
  const body = Buffer.from('{"KeyMetadata":{"KeyId":"k"}}');
  expect(callRecord(call({ operation, reply: { body, status: 200 } }))).toMatchObject({
    readOnly: false,
    responseElements: { keyMetadata: { keyId: 'k' } },
  });
});

test('material, statement and keys are what the newest try of the call noted', () => {
  const trail = trailOf({});
  const caller = trail.caller!;
  trail.about('arn:old', ACCOUNT);
  trail.used('old');
  trail.reEncrypted('older', 'old');
  trail.begin(caller);
  trail.about('arn:new', ACCOUNT);
  trail.about('arn:new', ACCOUNT);
  trail.about('arn:alias', ACCOUNT, 'AWS::KMS::Alias');
  trail.reEncrypted('source', 'destination');
  const decidedBy = { kind: 'grant', grantId: 'g' } as never;
  trail.decided({ decidedBy } as never);
  expect(callRecord(call({ trail }))).toMatchObject({
    resources: [
      { accountId: ACCOUNT, type: 'AWS::KMS::Key', ARN: 'arn:new' },
      { accountId: ACCOUNT, type: 'AWS::KMS::Alias', ARN: 'arn:alias' },
    ],
  });
  expect(callRecord(call({ trail })).additionalEventData).toEqual({
    sourceKeyMaterialId: 'source',
    destinationKeyMaterialId: 'destination',
    decidedBy,
  });
  trail.begin(caller);
  trail.used('only');
  trail.decided({ decidedBy } as never);
  expect(callRecord(call({ trail })).additionalEventData).toEqual({ keyMaterialId: 'only', decidedBy });
  trail.begin(caller);
  expect(callRecord(call({ trail }))).not.toHaveProperty('additionalEventData');
});

describe('as AWS publishes its entries', () => {
  const keyArn = `arn:aws:kms:us-east-1:${ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab`;
  const of = (name: string, reply: object, note: (trail: Trail) => void = () => {}) => {
    const trail = trailOf({});
    trail.about(keyArn, ACCOUNT);
    note(trail);
    const operation = OPERATION_TABLE.get(name)!;
    return callRecord(call({ operation, trail, reply: { body: JSON.stringify(reply), status: 200 } }));
  };

  test('a change of a key has the ARN of the key in its response elements, which the reply has not', () => {
    expect(of('EnableKey', {}).responseElements).toEqual({ keyId: keyArn });
    expect(of('CreateGrant', { GrantId: 'g', GrantToken: 'secret' }).responseElements).toEqual({
      keyId: keyArn,
      grantId: 'g',
    });
    expect(of('DescribeKey', {}).responseElements).toBeNull();
    const { responseElements } = of('CreateKey', { KeyMetadata: { AWSAccountId: ACCOUNT, CreationDate: 1593484447 } });
    expect(responseElements).toEqual({
      keyMetadata: { aWSAccountId: ACCOUNT, creationDate: 'Jun 30, 2020, 2:34:07 AM' },
    });
  });

  test('an alias that goes from one key to another has the one that it goes to', () => {
    const other = keyArn.replace('1234abcd', '0987dcba');
    expect(of('UpdateAlias', {}, (trail) => trail.about(other, ACCOUNT)).responseElements).toEqual({ keyId: other });
  });

  test('the algorithm is there although it was not asked for', () => {
    const trail = trailOf({});
    const { request } = OPERATION_TABLE.get('ReEncrypt')!;
    trail.request = Object.assign(new request(), { SourceEncryptionAlgorithm: 'SM2PKE' });
    expect(callRecord(call({ operation: OPERATION_TABLE.get('ReEncrypt')!, trail })).requestParameters).toEqual({
      sourceEncryptionAlgorithm: 'SM2PKE',
      destinationEncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
    });
  });

  test('a session that was given out is named by its access key, although that changes nothing', () => {
    const Credentials = { AccessKeyId: 'ASIAJOB', SecretAccessKey: 's', SessionToken: 't', Expiration: 1405699659 };
    const operation = OPERATION_TABLE.get('AssumeRole')!;
    expect(
      callRecord(call({ operation, reply: { body: JSON.stringify({ Credentials }), status: 200 } })),
    ).toMatchObject({
      readOnly: true,
      responseElements: { credentials: { accessKeyId: 'ASIAJOB', expiration: 'Jul 18, 2014, 4:07:39 PM' } },
    });
  });

  test('a retired grant is named, whatever named it to Keytrail', () => {
    const decided = (trail: Trail) => trail.decided({ decidedBy: { kind: 'nothing' } } as never);
    const retired = (trail: Trail) => {
      trail.retired('g');
      decided(trail);
    };
    expect(of('RetireGrant', {}, retired).additionalEventData).toMatchObject({ grantId: 'g' });
    expect(of('RetireGrant', {}, decided).additionalEventData).not.toHaveProperty('grantId');
  });

  test('what is of another account has an id that both see, unless permissions were wanting', () => {
    const foreign = (trail: Trail) => trail.about(keyArn.replace(ACCOUNT, '111122223333'), '111122223333');
    const shared = of('Encrypt', {}, foreign).sharedEventID;
    expect(shared).toMatch(/^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/);
    expect(shared).not.toBe(EVENT_ID);
    expect(of('Encrypt', {})).not.toHaveProperty('sharedEventID');
    const refused = (error: 'AccessDeniedException' | 'DisabledException') => {
      const trail = trailOf({});
      foreign(trail);
      return callRecord(call({ trail, reply: { body: '{}', error, status: 400 } })).sharedEventID;
    };
    expect(refused('AccessDeniedException')).toBeUndefined();
    expect(refused('DisabledException')).toBe(shared);
  });

  test('TLS is told where the client used it', () => {
    const tls = { tlsVersion: 'TLSv1.3', cipherSuite: 'TLS_AES_128_GCM_SHA256', clientProvidedHostHeader: 'kms:443' };
    expect(callRecord(call({ claim: { ...claim, tls } })).tlsDetails).toEqual(tls);
    expect(callRecord(call())).not.toHaveProperty('tlsDetails');
  });

  test.each([
    ['GetUser', 'NoSuchEntity', 'NoSuchEntityException'],
    ['CreateUser', 'AccessDeniedException', 'AccessDenied'],
    ['CreateUser', 'LimitExceededException', 'LimitExceededException'],
    ['PutUserPolicy', 'MalformedPolicyDocumentException', 'MalformedPolicyDocumentException'],
    ['AssumeRole', 'ExpiredTokenException', 'ExpiredToken'],
    ['AssumeRole', 'ValidationException', 'ValidationError'],
    ['ListKeys', 'AccessDeniedException', 'AccessDeniedException'],
    ['ListKeys', 'ThrottlingException', 'ThrottlingException'],
  ] as const)('%s refused with %s is on record with %s', (name, error, code) => {
    const operation = OPERATION_TABLE.get(name)!;
    expect(callRecord(call({ operation, reply: { body: '{}', error, status: 400 } })).errorCode).toBe(code);
  });
});

test('what changes nothing is read-only, for every operation', () => {
  const changes = [...OPERATION_TABLE.values()]
    .filter((operation) => !callRecord(call({ operation })).readOnly)
    .map(({ name }) => name);
  const verbs = [...new Set(changes.map((name) => /^[A-Z][a-z]+/.exec(name)![0]))].sort();
  expect(verbs).toEqual([
    'Cancel',
    'Connect',
    'Create',
    'Delete',
    'Disable',
    'Disconnect',
    'Enable',
    'Import',
    'Initialize',
    'Modify',
    'Put',
    'Replicate',
    'Restore',
    'Retire',
    'Revoke',
    'Rotate',
    'Schedule',
    'Tag',
    'Untag',
    'Update',
  ]);
});
