import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CloudTrailClient, type LookupEventsCommandInput, paginateLookupEvents } from '@aws-sdk/client-cloudtrail';
import {
  CreateAccessKeyCommand,
  CreateRoleCommand,
  CreateUserCommand,
  GetUserCommand,
  PutRolePolicyCommand,
  PutUserPolicyCommand,
} from '@aws-sdk/client-iam';
import {
  CreateKeyCommand,
  DescribeKeyCommand,
  EnableKeyRotationCommand,
  EncryptCommand,
  PutKeyPolicyCommand,
} from '@aws-sdk/client-kms';
import { AssumeRoleCommand, GetSessionTokenCommand } from '@aws-sdk/client-sts';
import { headers } from 'nats';
import type { AuditRecord } from '#audit-log/record';
import { HEADER_SESSION_TOKEN, principalToken, requestSubject } from '#domain/subjects';
import { signRequest } from '#sigv4/sign';
import { auditRecords, connectAsUser } from './support/audit-records';
import {
  allowing,
  type Clients,
  type Credentials,
  clientsOf,
  longTerm,
  refusal,
  temporary,
  trusting,
} from './support/identities';
import { requestAs } from './support/nats-client';
import { type KeytrailProcess, MAIN, run, startProcess } from './support/processes';
import { expectPublishedForm } from './support/record-schema';
import { ending, issuerOf } from './support/session-tokens';

jest.setTimeout(180_000);

const ACCOUNT = '000000000000';
const OTHER = '111122223333';
const ROOT = `arn:aws:iam::${ACCOUNT}:root`;
const Plaintext = Buffer.from('on record');

let dataDir: string;
let server: KeytrailProcess;
let rootKey: Credentials;
let otherKey: Credentials;
let root: Clients;
let other: Clients;
let ann: Clients;
let session: Credentials;
let roleArn: string;
let keyArn: string;

const as = (credentials: Credentials): Clients => clientsOf(server.endpoint, credentials);
const encrypt = ({ kms }: Clients) => kms.send(new EncryptCommand({ KeyId: keyArn, Plaintext }));
const keytrail = async (...args: string[]): Promise<string> => {
  const { code, output } = await run([MAIN, ...args], { KEYTRAIL_DATA_DIR: dataDir }).done;
  if (code !== 0) throw new Error(output);
  return output;
};

/** What an account has in its event history, newest first. */
async function historyOf(credentials: Credentials, input: LookupEventsCommandInput = {}): Promise<AuditRecord[]> {
  const client = new CloudTrailClient({ endpoint: server.endpoint, region: 'us-east-1', credentials });
  const found: AuditRecord[] = [];
  for await (const { Events } of paginateLookupEvents({ client }, input)) {
    found.push(...Events!.map(({ CloudTrailEvent }) => JSON.parse(CloudTrailEvent!) as AuditRecord));
  }
  return found;
}

const byName = (AttributeValue: string, credentials = rootKey): Promise<AuditRecord[]> =>
  historyOf(credentials, { LookupAttributes: [{ AttributeKey: 'EventName', AttributeValue }] });

/** The one record of a call, whose caller may have no history to look into. */
async function recordOf(requestId: string | undefined): Promise<AuditRecord> {
  const reader = await connectAsUser(dataDir, 'audit-projector');
  const found = (await auditRecords(reader)).filter(({ requestID }) => requestID === requestId);
  await reader.close();
  expect(found).toHaveLength(1);
  expectPublishedForm(found[0]!);
  return found[0]!;
}

const requestIdOf = async (call: Promise<unknown>): Promise<string | undefined> =>
  call.then(
    () => {
      throw new Error('the call was not refused');
    },
    ({ $metadata }) => $metadata.requestId,
  );

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-identities-'));
  server = await startProcess(dataDir, { KEYTRAIL_CLOCK: 'virtual', KEYTRAIL_HISTORY_DAYS: '365' });
  rootKey = (await server.kms.config.credentials()) as Credentials;
  root = as(rootKey);
  const made = await keytrail('account', 'create', OTHER);
  const value = (name: string): string => new RegExp(`${name} = (\\S+)`).exec(made)![1]!;
  otherKey = { accessKeyId: value('aws_access_key_id'), secretAccessKey: value('aws_secret_access_key') };
  other = as(otherKey);
  keyArn = (await root.kms.send(new CreateKeyCommand({}))).KeyMetadata!.Arn!;
  await root.kms.send(new EnableKeyRotationCommand({ KeyId: keyArn, RotationPeriodInDays: 90 }));
  const statement = (AWS: string, Action: string) => ({ Effect: 'Allow', Principal: { AWS }, Action, Resource: '*' });
  const Statement = [statement(ROOT, 'kms:*'), statement(`arn:aws:iam::${OTHER}:root`, 'kms:Encrypt')];
  const Policy = JSON.stringify({ Version: '2012-10-17', Statement });
  await root.kms.send(new PutKeyPolicyCommand({ KeyId: keyArn, Policy }));
  await root.iam.send(new CreateUserCommand({ UserName: 'ann' }));
  const PolicyDocument = allowing('kms:*', 'iam:*', 'sts:*');
  await root.iam.send(new PutUserPolicyCommand({ UserName: 'ann', PolicyName: 'may', PolicyDocument }));
  ann = as(longTerm(await root.iam.send(new CreateAccessKeyCommand({ UserName: 'ann' }))));
  const trust = JSON.parse(trusting(ROOT));
  trust.Statement[0].Principal.AWS = [ROOT, `arn:aws:iam::${OTHER}:root`];
  const role = { RoleName: 'worker', Path: '/jobs/', AssumeRolePolicyDocument: JSON.stringify(trust) };
  roleArn = (await root.iam.send(new CreateRoleCommand(role))).Role!.Arn!;
  await root.iam.send(new PutRolePolicyCommand({ RoleName: 'worker', PolicyName: 'may', PolicyDocument }));
  const assumed = new AssumeRoleCommand({ RoleArn: roleArn, RoleSessionName: 'job', SourceIdentity: 'ann' });
  session = temporary((await ann.sts.send(assumed)).Credentials);
});

afterAll(async () => {
  await server?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

test('root, a user, a role and their sessions are each told from one another', async () => {
  const sessionOf = async ({ sts }: Clients): Promise<Clients> =>
    as(temporary((await sts.send(new GetSessionTokenCommand({}))).Credentials));
  const callers = {
    root,
    rootSession: await sessionOf(root),
    ann,
    annSession: await sessionOf(ann),
    role: as(session),
  };
  const identities: Record<string, unknown> = {};
  for (const [name, caller] of Object.entries(callers)) {
    identities[name] = (await recordOf((await encrypt(caller)).$metadata.requestId)).userIdentity;
  }
  const attributes = { creationDate: expect.any(String), mfaAuthenticated: 'false' };
  expect(identities).toMatchObject({
    root: { type: 'Root', accessKeyId: rootKey.accessKeyId },
    rootSession: { type: 'Root', accessKeyId: expect.stringMatching(/^ASIA/), sessionContext: { attributes } },
    ann: { type: 'IAMUser', userName: 'ann', accessKeyId: expect.stringMatching(/^AKIA/) },
    annSession: {
      ...{ type: 'IAMUser', userName: 'ann', accessKeyId: expect.stringMatching(/^ASIA/) },
      sessionContext: { attributes },
    },
    role: {
      type: 'AssumedRole',
      arn: `arn:aws:sts::${ACCOUNT}:assumed-role/worker/job`,
      accessKeyId: session.accessKeyId,
      sessionContext: { sessionIssuer: { arn: roleArn, userName: 'worker' }, attributes, sourceIdentity: 'ann' },
    },
  });
  for (const longTermOne of ['root', 'ann']) expect(identities[longTermOne]).not.toHaveProperty('sessionContext');
});

test('the call of a session that is over is on record, as are those before, over HTTP and over NATS', async () => {
  const tokens = await issuerOf(dataDir);
  const now = Math.floor(Date.now() / 1000);
  const over = ending(tokens, session, now - 1);
  expect((await refusal(encrypt(as(over))))[0]).toBe('ExpiredTokenException');
  const record = await recordOf(await requestIdOf(encrypt(as(over))));
  expect(record).toMatchObject({
    ...{ eventName: 'Encrypt', errorCode: 'ExpiredTokenException', requestParameters: null },
    userIdentity: { type: 'Unknown', accessKeyId: session.accessKeyId },
  });
  expect((await recordOf(await requestIdOf(as(over).iam.send(new GetUserCommand({}))))).errorCode).toBe('ExpiredToken');

  const nats = await connectAsUser(dataDir, 'embedded');
  const { principalId } = tokens.publicKey.claimsOf<{ principalId: string }>('session', session.sessionToken!)!;
  const ask = async ({ sessionToken }: Credentials) => {
    const sent = headers();
    sent.set(HEADER_SESSION_TOKEN, sessionToken!);
    const subject = requestSubject('us-east-1', ACCOUNT, principalToken(principalId), 'ListKeys');
    await requestAs(nats, subject, '{}', sent);
  };
  await ask(session);
  await ask(over);
  const reader = await connectAsUser(dataDir, 'audit-projector');
  const listed = (await auditRecords(reader)).filter(({ eventName }) => eventName === 'ListKeys');
  for (const one of listed) expectPublishedForm(one);
  await Promise.all([nats.close(), reader.close()]);
  expect(listed.map(({ userIdentity, errorCode }) => [userIdentity.type, userIdentity.principalId, errorCode])).toEqual(
    [
      ['AssumedRole', principalId, undefined],
      ['Unknown', principalId, 'ExpiredTokenException'],
    ],
  );
});

test('a call about a key of another account is in both trails under one shared id; the owner sees an account', async () => {
  const { $metadata } = await encrypt(other);
  const [theirs] = await byName('Encrypt', otherKey);
  const ours = (await byName('Encrypt')).find(({ requestID }) => requestID === $metadata.requestId)!;
  expect(theirs).toMatchObject({ requestID: $metadata.requestId, userIdentity: { type: 'Root', accountId: OTHER } });
  expect(theirs!.sharedEventID).toEqual(expect.any(String));
  expect(ours.sharedEventID).toBe(theirs!.sharedEventID);
  expect(ours.userIdentity).toEqual({ type: 'AWSAccount', principalId: OTHER, accountId: OTHER });
  expect([theirs!.recipientAccountId, ours.recipientAccountId]).toEqual([OTHER, ACCOUNT]);
});

test('whose call was refused for want of permissions is the caller’s own business', async () => {
  await requestIdOf(other.kms.send(new DescribeKeyCommand({ KeyId: keyArn })));
  const [theirs] = await byName('DescribeKey', otherKey);
  expect(theirs).toMatchObject({ errorCode: 'AccessDeniedException' });
  expect(await byName('DescribeKey')).toEqual([]);
});

test('a role that is assumed from another account is named in both trails', async () => {
  const assume = new AssumeRoleCommand({ RoleArn: roleArn, RoleSessionName: 'guest' });
  await other.iam.send(new CreateUserCommand({ UserName: 'bob' }));
  const may = { UserName: 'bob', PolicyName: 'may', PolicyDocument: allowing('sts:AssumeRole') };
  await other.iam.send(new PutUserPolicyCommand(may));
  const bob = as(longTerm(await other.iam.send(new CreateAccessKeyCommand({ UserName: 'bob' }))));
  const { Credentials: given, $metadata } = await bob.sts.send(assume);
  const [theirs] = await byName('AssumeRole', otherKey);
  expect(theirs).toMatchObject({
    ...{ requestID: $metadata.requestId, eventSource: 'sts.amazonaws.com', readOnly: true },
    resources: [{ accountId: ACCOUNT, type: 'AWS::IAM::Role', ARN: roleArn }],
    responseElements: { credentials: { accessKeyId: given!.AccessKeyId! } },
  });
  const [ours] = await byName('AssumeRole');
  expect(ours).toMatchObject({ sharedEventID: theirs!.sharedEventID, userIdentity: { type: 'AWSAccount' } });
});

test('of nobody known there is what was claimed, with the code that was told', async () => {
  const forged = as({ accessKeyId: rootKey.accessKeyId, secretAccessKey: 'not the secret' });
  const calls = [encrypt(forged), forged.iam.send(new GetUserCommand({}))];
  const [kms, iam] = await Promise.all(calls.map(async (call) => recordOf(await requestIdOf(call))));
  expect(kms).toMatchObject({ eventSource: 'kms.amazonaws.com', errorCode: 'InvalidSignatureException' });
  expect(iam).toMatchObject({ eventSource: 'iam.amazonaws.com', errorCode: 'SignatureDoesNotMatch' });
  expect(iam!.userIdentity).toEqual({ type: 'Unknown', accountId: ACCOUNT, accessKeyId: rootKey.accessKeyId });
});

test('of what is no operation there is the service that was asked', async () => {
  const body = 'Action=MakeCoffee&Version=2010-05-08';
  const sent = signRequest({
    ...{ ...rootKey, region: 'us-east-1', service: 'iam', timeMs: Date.now(), method: 'POST', path: '/' },
    headers: {
      host: new URL(server.endpoint).host,
      'content-type': 'application/x-www-form-urlencoded; charset=utf-8',
    },
    body: Buffer.from(body),
  });
  const response = await fetch(server.endpoint, { method: 'POST', headers: sent, body });
  const record = await recordOf(response.headers.get('x-amzn-requestid')!);
  expect(record).toMatchObject({
    eventSource: 'iam.amazonaws.com',
    eventName: 'Unknown',
    errorCode: 'InvalidAction',
  });
});

test('all that either account has in its history is in the published form, what a service did included', async () => {
  await keytrail('clock', 'advance', '91d');
  const [rotated] = await byName('RotateKey');
  expect(rotated).toMatchObject({ userIdentity: { type: 'AWSService' }, eventType: 'AwsServiceEvent' });
  const histories = await Promise.all([historyOf(rootKey), historyOf(otherKey)]);
  for (const history of histories) {
    expect(history.length).toBeGreaterThan(3);
    for (const record of history.filter(({ eventSource }) => eventSource !== 'keytrail.local')) {
      expectPublishedForm(record);
    }
  }
});
