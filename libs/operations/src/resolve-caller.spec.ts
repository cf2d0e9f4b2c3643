import { accountRef, roleRef, userRef } from '#domain/principal/principal-id';
import { ACCOUNT, allowing, MemoryOperations } from '../../../test/support/memory-operations';
import type { CallerClaim, SessionClaims } from './caller';

const OTHER = '111122223333';
const INVALID = {
  code: 'UnrecognizedClientException',
  message: 'The security token included in the request is invalid.',
};
const ANN = userRef(ACCOUNT, 'ann');
const BUILD = roleRef(ACCOUNT, 'build');
const ANN_ID = 'AIDAANNANNANNANNANN1';
const BUILD_ID = 'AROABUILDBUILDBUILD1';
const SESSION_ID = `${BUILD_ID}:job.42`;

let operations: MemoryOperations;

beforeEach(async () => {
  operations = new MemoryOperations();
  await operations.runCommand(ANN, { type: 'CreateUser', name: 'ann', path: '/', uniqueId: ANN_ID, tags: [] });
  await operations.runCommand(ANN, { type: 'CreateAccessKey', accessKeyId: 'AKIAANN' });
  await operations.runCommand(BUILD, {
    type: 'CreateRole',
    name: 'build',
    path: '/ci/',
    uniqueId: BUILD_ID,
    description: '',
    maxSessionDuration: 3600,
    trustPolicy: '{}',
    tags: [],
  });
});

const ann: Partial<CallerClaim> = { principalId: ANN_ID, accessKeyId: 'AKIAANN' };
const as = (claim: Partial<CallerClaim>) => operations.resolve(claim);

function session(claims: Partial<SessionClaims>): Partial<CallerClaim> {
  const token = `token ${operations.sessions.size}`;
  const made = {
    account: ACCOUNT,
    principalId: SESSION_ID,
    accessKeyId: 'ASIASESSION',
    issuedAt: operations.now / 1000,
    expiresAt: operations.now / 1000 + 3600,
    ...claims,
  };
  operations.sessions.set(token, made);
  return { principalId: made.principalId, accessKeyId: made.accessKeyId, sessionToken: token };
}

describe('a user', () => {
  test('is found with what the view has of it', async () => {
    await operations.runCommand(ANN, { type: 'PutPolicy', policyName: 'all', policy: allowing('kms:*') });
    await operations.runCommand(ANN, { type: 'TagPrincipal', tags: [{ key: 'team', value: 'a' }] });
    const caller = as(ann);
    expect(caller).toMatchObject({
      principalArn: `arn:aws:iam::${ACCOUNT}:user/ann`,
      principal: { kind: 'user', account: ACCOUNT, uniqueId: ANN_ID },
      userName: 'ann',
      tags: [{ key: 'team', value: 'a' }],
    });
    expect(caller.identityPolicies.map(({ name }) => name)).toEqual(['all']);
  });

  test('is not known without its access key, or after it was switched off or deleted', async () => {
    expect(() => as({ ...ann, accessKeyId: 'AKIAOTHER' })).toThrow(expect.objectContaining(INVALID));
    expect(() => as({ ...ann, principalId: 'AIDAOTHER' })).toThrow(expect.objectContaining(INVALID));
    expect(() => as({ ...ann, account: OTHER })).toThrow(expect.objectContaining(INVALID));
    await operations.runCommand(ANN, { type: 'UpdateAccessKey', accessKeyId: 'AKIAANN', status: 'Inactive' });
    expect(() => as(ann)).toThrow(expect.objectContaining(INVALID));
    await operations.runCommand(ANN, { type: 'DeleteAccessKey', accessKeyId: 'AKIAANN' });
    expect(() => as(ann)).toThrow(expect.objectContaining(INVALID));
    // By way of NATS there is none.
    expect(as({ principalId: ANN_ID }).userName).toBe('ann');
    await operations.runCommand(ANN, { type: 'DeleteUser' });
    expect(() => as({ principalId: ANN_ID })).toThrow(expect.objectContaining(INVALID));
  });

  test('has no session name', () => {
    expect(() => as({ principalId: `${ANN_ID}:x` })).toThrow(expect.objectContaining(INVALID));
  });

  test("'s session ends with the access key that it was made with", async () => {
    const claim = session({ principalId: ANN_ID, issuingAccessKeyId: 'AKIAANN' });
    expect(as(claim)).toMatchObject({ userName: 'ann', accessKeyId: 'ASIASESSION' });
    await operations.runCommand(ANN, { type: 'UpdateAccessKey', accessKeyId: 'AKIAANN', status: 'Inactive' });
    expect(() => as(claim)).toThrow(expect.objectContaining(INVALID));
  });
});

describe('a session of a role', () => {
  test('is found by its token, with the policies of the role and its own', () => {
    const caller = as(session({ policy: allowing('kms:Decrypt'), tags: [{ key: 'job', value: '42' }] }));
    expect(caller).toMatchObject({
      principalArn: `arn:aws:sts::${ACCOUNT}:assumed-role/build/job.42`,
      principal: { kind: 'role-session', roleArn: `arn:aws:iam::${ACCOUNT}:role/ci/build`, uniqueId: BUILD_ID },
      tags: [{ key: 'job', value: '42' }],
      sessionPolicy: { kind: 'session' },
    });
  });

  test('is nobody without its token, or with that of another', () => {
    const { sessionToken } = session({});
    expect(() => as({ principalId: SESSION_ID })).toThrow(expect.objectContaining(INVALID));
    expect(() => as({ principalId: SESSION_ID, sessionToken: 'forged' })).toThrow(expect.objectContaining(INVALID));
    for (const other of [
      { principalId: `${BUILD_ID}:other`, sessionToken },
      { principalId: SESSION_ID, sessionToken, account: OTHER },
      { principalId: SESSION_ID, sessionToken, accessKeyId: 'ASIAOTHER' },
      { principalId: 'root', sessionToken },
    ]) {
      expect(() => as(other)).toThrow(expect.objectContaining(INVALID));
    }
  });

  test('keeps one principal for as long as its role stays as it is, and has what the role has now', async () => {
    const claim = session({});
    const policies = () => as(claim).identityPolicies.map(({ name }) => name);
    const { principal } = as(claim);
    expect(as({ ...claim }).principal).toBe(principal);
    expect(policies()).toEqual([]);
    await operations.runCommand(BUILD, { type: 'PutPolicy', policyName: 'all', policy: allowing('kms:*') });
    expect(policies()).toEqual(['all']);
    expect(as(claim).principal).toEqual(principal);
    await operations.runCommand(BUILD, { type: 'TagPrincipal', tags: [{ key: 'team', value: 'a' }] });
    expect(as(claim).tags).toEqual([{ key: 'team', value: 'a' }]);
    await operations.runCommand(BUILD, { type: 'DeletePolicy', policyName: 'all' });
    expect(policies()).toEqual([]);
  });

  test('shares nothing of its own with another session of the role', () => {
    const one = as(session({}));
    const other = as(session({ principalId: `${BUILD_ID}:job.43`, accessKeyId: 'ASIAOTHER' }));
    expect(one.principalArn).toBe(`arn:aws:sts::${ACCOUNT}:assumed-role/build/job.42`);
    expect(other.principalArn).toBe(`arn:aws:sts::${ACCOUNT}:assumed-role/build/job.43`);
  });

  test('ends in the second it was given, and with its role', async () => {
    const claim = session({});
    operations.now += 3_599_999;
    expect(as(claim).principalId).toBe(SESSION_ID);
    operations.now += 1;
    expect(() => as(claim)).toThrow(
      expect.objectContaining({
        code: 'ExpiredTokenException',
        message: 'The security token included in the request is expired',
      }),
    );
    await operations.runCommand(BUILD, { type: 'DeleteRole' });
    expect(() => as(claim)).toThrow(expect.objectContaining(INVALID));
  });
});

describe('root', () => {
  test('of the account of the settings is there without an event, with its own access key alone', () => {
    expect(as({ principalId: 'root', accessKeyId: 'AKIAROOT' }).principalArn).toBe(`arn:aws:iam::${ACCOUNT}:root`);
    expect(as({ principalId: 'root' }).principal.kind).toBe('root');
    expect(() => as({ principalId: 'root', accessKeyId: 'AKIAANN' })).toThrow(expect.objectContaining(INVALID));
    expect(() => as({ principalId: 'root', accessKeyId: 'none' })).toThrow(expect.objectContaining(INVALID));
  });

  test('of another account is there once the log has the account', async () => {
    const claim = { principalId: 'root', account: OTHER };
    expect(() => as(claim)).toThrow(expect.objectContaining(INVALID));
    await operations.runCommand(accountRef(OTHER), { type: 'CreateAccount' });
    expect(as(claim).principalArn).toBe(`arn:aws:iam::${OTHER}:root`);
    expect(() => as({ ...claim, accessKeyId: 'AKIAROOT' })).toThrow(expect.objectContaining(INVALID));
  });
});
