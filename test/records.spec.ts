import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as cloudTrailModule from '@aws-sdk/client-cloudtrail';
import * as iamClient from '@aws-sdk/client-iam';
import * as kmsModule from '@aws-sdk/client-kms';
import * as stsModule from '@aws-sdk/client-sts';
import { headers, type NatsConnection } from 'nats';
import type { AuditRecord } from '#audit-log/record';
import { HEADER_AFTER, HEADER_ERROR, HEADER_REQUEST_ID, requestSubject } from '#domain/subjects';
import { awsNameOf } from '#operations/operation';
import { OPERATION_TABLE } from '#operations/table';
import { signRequest } from '#sigv4/sign';
import { auditRecords, connectAsUser } from './support/audit-records';
import { askCloudHsm } from './support/cloudhsm-client';
import { everyOperation, type Held, type Reply, type Step } from './support/every-operation';
import { allowing, type Clients, type Credentials, clientsOf, longTerm } from './support/identities';
import { MisbehavingProxy } from './support/misbehaving-proxy';
import { requestAs } from './support/nats-client';
import { until } from './support/nats-server';
import { type KeytrailProcess, MAIN, run, startProcess } from './support/processes';
import { expectPublishedForm } from './support/record-schema';
import { filesHolding } from './support/stored-material';

const ACCOUNT = '000000000000';
const REGION = 'us-east-1';
const BLOBS = [
  ...['Plaintext', 'CiphertextBlob', 'PublicKey', 'SharedSecretCiphertextBlob'],
  ...['Message', 'Signature', 'Mac', 'ImportToken', 'EncryptedKeyMaterial'],
];
const TOKENS = ['GrantToken', 'GrantTokens'];
const MATERIAL = expect.stringMatching(/^[0-9a-f]{64}$/);
const NO_MATERIAL = { keyMaterialId: undefined, sourceKeyMaterialId: undefined, destinationKeyMaterialId: undefined };
const ONE_MATERIAL = { ...NO_MATERIAL, keyMaterialId: MATERIAL };
const WITH_MATERIAL: Readonly<Record<string, object>> = {
  Encrypt: ONE_MATERIAL,
  Decrypt: ONE_MATERIAL,
  ReEncrypt: { ...NO_MATERIAL, sourceKeyMaterialId: MATERIAL, destinationKeyMaterialId: MATERIAL },
  GenerateDataKey: ONE_MATERIAL,
  GenerateDataKeyWithoutPlaintext: ONE_MATERIAL,
  GenerateDataKeyPair: ONE_MATERIAL,
  GenerateDataKeyPairWithoutPlaintext: ONE_MATERIAL,
};

const EVERY_OPERATION = [...OPERATION_TABLE.keys()].sort();

/** Who asks: one who may do everything, one who may do nothing, and one who is not there. */
type Who = 'able' | 'idle' | 'nobody';

/** A call as its client saw it. */
interface Seen {
  operation: string;
  who: Who;
  input: Record<string, unknown>;
  requestId: string;
  /** OK, or the code of the error. */
  code: string;
  message?: string;
  reply: Reply;
  overNats: boolean;
}

type Ask = (who: Who, operation: string, input: Record<string, unknown>) => Promise<Seen>;

let dataDir: string;
let server: KeytrailProcess;
let proxy: MisbehavingProxy;
let everybody: NatsConnection;
let projector: NatsConnection;
const ids: Record<Who, string> = { able: '', idle: '', nobody: 'AIDANOBODYNOBODYNOBO' };
const keys: Record<Who, Credentials> = {
  able: { accessKeyId: '', secretAccessKey: '' },
  idle: { accessKeyId: '', secretAccessKey: '' },
  nobody: { accessKeyId: 'AKIANOBODYNOBODYNOBO', secretAccessKey: 'no secret of anybody' },
};
type AllClients = Clients & { cloudtrail: cloudTrailModule.CloudTrailClient };
const clients: Partial<Record<Who, AllClients>> = {};
const secrets: Record<'http' | 'nats', Buffer> = { http: randomBytes(24), nats: randomBytes(24) };
const held: Record<'http' | 'nats', Held> = { http: {}, nats: {} };
const seen: Seen[] = [];
let records: AuditRecord[];

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-records-'));
  // An HSM without users loads no module.
  proxy = await MisbehavingProxy.start();
  server = await startProcess(dataDir, {
    ...{ KEYTRAIL_QUOTAS: 'off', KEYTRAIL_CLOUDHSM_MODULE: process.execPath },
    KEYTRAIL_XKS_STORE_LOOPBACK: 'true',
  });
  const root = clientsOf(server.endpoint, (await server.kms.config.credentials()) as Credentials);
  for (const who of ['able', 'idle'] as const) {
    const { User } = await root.iam.send(new iamClient.CreateUserCommand({ UserName: who }));
    ids[who] = User!.UserId!;
    keys[who] = longTerm(await root.iam.send(new iamClient.CreateAccessKeyCommand({ UserName: who })));
  }
  const own = {
    UserName: 'able',
    PolicyName: 'own',
    PolicyDocument: allowing('kms:*', 'iam:*', 'sts:*', 'cloudtrail:*', 'cloudhsm:*'),
  };
  await root.iam.send(new iamClient.PutUserPolicyCommand(own));
  for (const who of ['able', 'idle', 'nobody'] as const) {
    const settings = { endpoint: server.endpoint, region: REGION, credentials: keys[who], maxAttempts: 1 };
    const cloudtrail = new cloudTrailModule.CloudTrailClient(settings);
    clients[who] = { ...clientsOf(server.endpoint, keys[who]), cloudtrail };
  }
  everybody = await connectAsUser(dataDir, 'embedded');
  projector = await connectAsUser(dataDir, 'audit-projector');
  await walk(overHttp, 'http');
  await walk(overNats, 'nats');
  records = await auditRecords(projector);
}, 120_000);

afterAll(async () => {
  await everybody?.close();
  await projector?.close();
  await server?.stop();
  await proxy?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

/** Each operation refused once, then allowed once. */
async function walk(ask: Ask, tag: 'http' | 'nats'): Promise<void> {
  for (const step of everyOperation(ACCOUNT, tag, secrets[tag], proxy.endpoint)) {
    const input = step.input(held[tag]);
    seen.push(await ask(refusedTo(step), step.operation, step.refused ?? input));
    const { until: hasIt = () => true } = step;
    let allowed: Seen | undefined;
    await until(async () => {
      allowed = await ask('able', step.operation, input);
      if (allowed.code !== 'OK') throw new Error(`${step.operation}: ${JSON.stringify(allowed)}`);
      seen.push(allowed);
      return hasIt(allowed.reply);
    }, `${step.operation} did not have it`);
    step.keep?.(allowed!.reply, held[tag]);
  }
}

const refusedTo = ({ openToAll }: Step): Who => (openToAll ? 'nobody' : 'idle');

type Command = new (input: object) => never;
const MODULES = {
  kms: kmsModule,
  iam: iamClient,
  sts: stsModule,
  cloudtrail: cloudTrailModule,
} as unknown as Record<string, Record<string, Command>>;

const overHttp: Ask = async (who, operation, input) => {
  const found = OPERATION_TABLE.get(operation)!;
  const { service } = found;
  const bytes = Object.entries(input).map(([name, value]) => [
    name,
    BLOBS.includes(name) ? Buffer.from(String(value), 'base64') : value,
  ]);
  const send = (): Promise<unknown> => {
    if (service === 'cloudhsm') return askCloudHsm(server.endpoint, keys[who], awsNameOf(found), input);
    const command = new MODULES[service]![`${operation}Command`]!(Object.fromEntries(bytes));
    return (clients[who]![service] as { send(command: never): Promise<unknown> }).send(command);
  };
  const call = { operation, who, input, overNats: false };
  try {
    const { $metadata, ...reply } = (await send()) as Reply & { $metadata: { requestId: string } };
    return { ...call, reply: inBase64(reply), requestId: $metadata.requestId, code: 'OK' };
  } catch (error) {
    const { name, message, $metadata } = error as Error & { $metadata: { requestId: string } };
    return { ...call, reply: {}, requestId: $metadata.requestId, code: name, message };
  }
};

const inBase64 = (reply: Reply): Reply =>
  Object.fromEntries(
    Object.entries(reply).map(([name, value]) => [
      name,
      value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value,
    ]),
  );

const overNats: Ask = async (who, operation, input) => {
  const requestId = randomUUID();
  const sent = headers();
  sent.set(HEADER_REQUEST_ID, requestId);
  const subject = requestSubject(REGION, ACCOUNT, ids[who], operation);
  const answer = await requestAs(everybody, subject, JSON.stringify(input), sent);
  const reply = answer.json<Reply>();
  const code = answer.headers?.get(HEADER_ERROR) || 'OK';
  const message = code === 'OK' ? {} : { message: String(reply['message']) };
  return { operation, who, input, requestId, code, reply, ...message, overNats: true };
};

const recordOf = ({ requestId }: Pick<Seen, 'requestId'>, from = records): AuditRecord => {
  const found = from.filter(({ requestID }) => requestID === requestId);
  expect(found).toHaveLength(1);
  return found[0]!;
};

const small = (name: string): string => name.charAt(0).toLowerCase() + name.slice(1);

test('every operation has been allowed once and refused once, over HTTP and over NATS', () => {
  for (const overNats of [false, true]) {
    for (const refused of [false, true]) {
      const done = seen.filter((call) => call.overNats === overNats && (call.code !== 'OK') === refused);
      expect([...new Set(done.map(({ operation }) => operation))].sort()).toEqual(EVERY_OPERATION);
    }
  }
});

test('no call but these has a record', () => {
  const asked = new Set(seen.map(({ requestId }) => requestId));
  const others = records.filter(({ requestID }) => !asked.has(requestID!));
  expect(others.map(({ userIdentity, eventName }) => [userIdentity.type, eventName])).toEqual([
    ['Root', 'CreateUser'],
    ['Root', 'CreateAccessKey'],
    ['Root', 'CreateUser'],
    ['Root', 'CreateAccessKey'],
    ['Root', 'PutUserPolicy'],
  ]);
  expect(asked.size).toBe(seen.length);
});

test('every record is in the form of CloudTrail, and no two are of one event', () => {
  for (const record of records) expectPublishedForm(record);
  expect(new Set(records.map(({ eventID }) => eventID)).size).toBe(records.length);
});

test('each call has one record, of who asked for what, from where, and what came of it', () => {
  for (const call of seen) {
    const { operation, who, code, message, overNats } = call;
    const record = recordOf(call);
    const found = OPERATION_TABLE.get(operation)!;
    const { service } = found;
    expect(record).toMatchObject({
      eventName: awsNameOf(found),
      eventSource: `${service}.amazonaws.com`,
      sourceIPAddress: overNats ? 'nats' : '127.0.0.1',
      userIdentity:
        who === 'nobody'
          ? { type: 'Unknown', ...(overNats ? {} : { accessKeyId: keys.nobody.accessKeyId }) }
          : { type: 'IAMUser', principalId: ids[who], userName: who, arn: `arn:aws:iam::${ACCOUNT}:user/${who}` },
    });
    if (!overNats) expect(record.userAgent).toMatch(/^aws-sdk-js\//);
    if (!overNats && who !== 'nobody') expect(record.userIdentity.accessKeyId).toBe(keys[who].accessKeyId);
    if (!overNats) expect([operation, record.errorCode ?? 'OK']).toEqual([operation, code]);
    if (message !== undefined) expect(record.errorMessage).toBe(message);
  }
});

test('what changed a key says which, whatever it was called; what changed nothing says nothing', () => {
  for (const call of seen.filter(({ code }) => code === 'OK')) {
    const { readOnly, eventSource, responseElements } = recordOf(call);
    if (call.operation === 'AssumeRole' || call.operation === 'GetSessionToken') {
      expect(responseElements).toHaveProperty('credentials.accessKeyId', expect.stringMatching(/^ASIA/));
    } else if (readOnly) expect([call.operation, responseElements]).toEqual([call.operation, null]);
    else if (call.operation.endsWith('CustomKeyStore')) {
      const { CustomKeyStoreId } = call.reply;
      expect(responseElements).toEqual(CustomKeyStoreId ? { customKeyStoreId: CustomKeyStoreId } : null);
    } else if (eventSource === 'kms.amazonaws.com') {
      const KeyId = call.input['KeyId'] ?? held[call.overNats ? 'nats' : 'http']['KeyId'];
      const metadata = ['KeyMetadata', 'ReplicaKeyMetadata'].find((name) => call.reply[name] !== undefined);
      const named = metadata ? `${small(metadata)}.arn` : 'keyId';
      const arn = metadata ? (call.reply[metadata] as Reply)['Arn'] : `arn:aws:kms:${REGION}:${ACCOUNT}:key/${KeyId}`;
      expect(responseElements).toHaveProperty(named, arn);
    }
  }
});

test('a refusal has the same code on record over NATS as over HTTP', () => {
  const codes = (overNats: boolean) =>
    seen.filter((call) => call.overNats === overNats).map((call) => [call.operation, recordOf(call).errorCode]);
  // What is made meanwhile is asked for as often as it takes.
  const once = (all: ReturnType<typeof codes>) => all.filter((one, nth) => String(one) !== String(all[nth - 1]));
  expect(once(codes(true))).toEqual(once(codes(false)));
  expect(new Set(codes(true).map(([, code]) => code))).toEqual(
    new Set([
      ...[undefined, 'AccessDenied', 'AccessDeniedException', 'CloudHsmAccessDeniedException'],
      ...['ValidationError', 'InvalidClientTokenId'],
    ]),
  );
});

test('request parameters are those of the request, but for blobs and tokens', () => {
  for (const call of seen.filter(({ who, code }) => who !== 'nobody' && !code.startsWith('Validation'))) {
    const names = Object.keys(call.input).filter((name) => !BLOBS.includes(name) && !TOKENS.includes(name));
    const { requestParameters } = recordOf(call);
    const given = new Set([
      ...names.map(small),
      ...Object.keys(OPERATION_TABLE.get(call.operation)!.recordedDefaults ?? {}).map(small),
    ]);
    expect([call.operation, Object.keys(requestParameters ?? {}).sort()]).toEqual([call.operation, [...given].sort()]);
    for (const name of names.filter((one) =>
      /EncryptionContext|Description|AliasName|(?<!Retention)Policy/.test(one),
    )) {
      expect((requestParameters as Reply)[small(name)]).toEqual(call.input[name]);
    }
  }
});

test('a call about a key names it, the material that it used and the statement that decided', () => {
  for (const call of seen.filter(({ who }) => who !== 'nobody')) {
    const record = recordOf(call);
    const { KeyId } = call.input;
    // A list of aliases is no access to the key that it is of.
    if (KeyId !== undefined && call.operation !== 'ListAliases') {
      expect([call.operation, record.resources]).toEqual([
        call.operation,
        expect.arrayContaining([expect.objectContaining({ ARN: `arn:aws:kms:${REGION}:${ACCOUNT}:key/${KeyId}` })]),
      ]);
    }
    const { keyMaterialId, sourceKeyMaterialId, destinationKeyMaterialId } = record.additionalEventData ?? {};
    const material = call.code === 'OK' ? (WITH_MATERIAL[call.operation] ?? NO_MATERIAL) : NO_MATERIAL;
    expect([call.operation, { keyMaterialId, sourceKeyMaterialId, destinationKeyMaterialId }]).toEqual([
      call.operation,
      material,
    ]);
    if (['GetCallerIdentity', 'GetSessionToken'].includes(call.operation)) continue;
    const { decidedBy } = record.additionalEventData ?? {};
    expect([call.operation, decidedBy]).toEqual([
      call.operation,
      call.who === 'idle'
        ? expect.objectContaining({ kind: 'nothing' })
        : expect.objectContaining({ kind: expect.stringMatching(/^(statement|grant)$/) }),
    ]);
  }
});

describe('over HTTP, of what reached no operation', () => {
  interface Answer {
    requestId: string;
    status: number;
  }

  async function post(target: string, body: string, change: (headers: Record<string, string>) => void = () => {}) {
    const headers: Record<string, string> = signRequest({
      ...keys.able,
      region: REGION,
      service: 'kms',
      timeMs: Date.now(),
      method: 'POST',
      path: '/',
      headers: {
        host: new URL(server.endpoint).host,
        'content-type': 'application/x-amz-json-1.1',
        'x-amz-target': `TrentService.${target}`,
        'user-agent': 'a plain client',
      },
      body: Buffer.from(body),
    });
    change(headers);
    const response = await fetch(server.endpoint, { method: 'POST', headers, body });
    return { requestId: response.headers.get('x-amzn-requestid')!, status: response.status };
  }

  const recorded = async ({ requestId }: Answer): Promise<AuditRecord> =>
    recordOf({ requestId }, await auditRecords(projector));

  test('a bad signature is on record, of nobody, with the access key that it claimed', async () => {
    const answer = await post('ListKeys', '{}', (sent) => {
      sent['authorization'] = sent['authorization']!.replace(/Signature=.{8}/, 'Signature=00000000');
    });
    expect(answer.status).toBe(400);
    const record = await recorded(answer);
    expectPublishedForm(record);
    expect(record).toMatchObject({
      eventName: 'ListKeys',
      errorCode: 'InvalidSignatureException',
      userAgent: 'a plain client',
      userIdentity: { type: 'Unknown', accountId: ACCOUNT, accessKeyId: keys.able.accessKeyId },
    });
    expect(record.userIdentity).not.toHaveProperty('principalId');
  });

  test('no signature at all', async () => {
    const answer = await post('ListKeys', '{}', (sent) => {
      delete sent['authorization'];
    });
    expect(await recorded(answer)).toMatchObject({
      eventName: 'ListKeys',
      errorCode: 'MissingAuthenticationTokenException',
    });
  });

  test('an unknown operation, of a caller who is known', async () => {
    expect(await recorded(await post('Sing', '{}'))).toMatchObject({
      eventName: 'Unknown',
      errorCode: 'UnknownOperationException',
      userIdentity: { type: 'Unknown', principalId: ids.able, accountId: ACCOUNT },
    });
  });

  test('a body that is no JSON, without any of it', async () => {
    const record = await recorded(await post('ListKeys', '{"Marker": "torn'));
    expect(record).toMatchObject({
      eventName: 'ListKeys',
      errorCode: 'SerializationException',
      requestParameters: null,
      userIdentity: { type: 'IAMUser', userName: 'able' },
    });
  });

  test('a session token that is none', async () => {
    const answer = await post('ListKeys', '{}', (sent) => {
      sent['x-amz-security-token'] = 'AAAA';
    });
    expect((await recorded(answer)).errorCode).toBeDefined();
  });
});

test('over NATS a request id that somebody used before does not make one event of two', async () => {
  const sent = headers();
  sent.set(HEADER_REQUEST_ID, seen[0]!.requestId);
  for (const after of ['', 'not a position']) {
    if (after) sent.set(HEADER_AFTER, after);
    const subject = requestSubject(REGION, ACCOUNT, ids.able, 'ListKeys');
    await requestAs(everybody, subject, '{}', sent);
  }
  const all = await auditRecords(projector);
  const same = all.filter(({ requestID }) => requestID === seen[0]!.requestId);
  expect(same.length).toBeGreaterThanOrEqual(3);
  expect(new Set(same.map(({ eventID }) => eventID)).size).toBe(same.length);
});

test('what the operator does with ./keytrail is on record before it is done', async () => {
  const keytrail = (...args: string[]) => run([MAIN, ...args], { KEYTRAIL_DATA_DIR: dataDir }).done;
  const KeyId = held.http['KeyId']!;
  const explained = ['explain', '--principal', 'able', '--action', 'kms:Encrypt', '--key', KeyId];
  const exported = mkdtempSync(join(tmpdir(), 'keytrail-exported-'));
  for (const args of [
    ['account', 'create', '111122223333'],
    ['account', 'list'],
    ['replay', '--key', KeyId],
    explained,
    ['verify'],
    ['export', '--to', exported],
  ]) {
    expect(await keytrail(...args)).toMatchObject({ code: 0 });
  }
  // Of what is on record nowhere there is no proof: that it was asked for is on record.
  const event = randomUUID();
  expect((await keytrail('prove', '--event', event)).code).toBe(1);
  // Real time cannot be moved: that it was tried is on record.
  expect((await keytrail('clock', 'advance', '8d')).code).toBe(1);
  const acts = (await auditRecords(projector)).filter(({ eventSource }) => eventSource === 'keytrail.local');
  const by = { type: 'AWSAccount', principalId: 'operator', accountId: ACCOUNT, invokedBy: 'keytrail.local' };
  expect(acts).toMatchObject([
    { eventName: 'CreateAccount', readOnly: false, requestParameters: { argument: '111122223333' } },
    { eventName: 'ListAccounts', readOnly: true, requestParameters: null },
    { eventName: 'ReplayLog', readOnly: true, requestParameters: { key: KeyId } },
    { eventName: 'ExplainAccess', readOnly: true, requestParameters: { principal: 'able', action: 'kms:Encrypt' } },
    { eventName: 'VerifyLog', readOnly: true, requestParameters: null },
    { eventName: 'ExportLogs', readOnly: true, requestParameters: { to: exported } },
    { eventName: 'ProveRecord', readOnly: true, requestParameters: { event } },
    { eventName: 'AdvanceClock', readOnly: false, requestParameters: { argument: '8d' } },
  ]);
  for (const { userIdentity } of acts) expect(userIdentity).toEqual(by);
  // What an export holds says last that it was made.
  const leaves = readFileSync(join(exported, 'records/000000000000.jsonl'), 'utf8').trimEnd().split('\n');
  expect(JSON.parse(leaves.at(-1)!)).toMatchObject({ eventName: 'ExportLogs' });
  rmSync(exported, { recursive: true });
});

test('nothing secret, and no encryption context, is in the data folder or the log in any plain form', async () => {
  const names = ['DataKey', 'Random', 'PrivateKey', 'DerivedSecret', 'SharedSecret', 'Signature', 'Mac'];
  const texts = ['SecretAccessKey', 'AssumedSecret', 'AssumedToken', 'OwnSecret', 'OwnToken', 'GrantToken'];
  const needles: [string, Buffer][] = [];
  for (const way of ['http', 'nats'] as const) {
    const bytes = [secrets[way], ...names.map((name) => Buffer.from(held[way][name]!, 'base64'))];
    const plain = texts.map((name) => held[way][name]!);
    for (const text of plain) expect(text.length).toBeGreaterThan(30);
    for (const one of bytes) {
      expect(one.length).toBeGreaterThanOrEqual(24);
      for (const shape of [
        one,
        ...(['base64', 'base64url', 'hex'] as const).map((as) => Buffer.from(one.toString(as))),
      ]) {
        needles.push([`${way} bytes`, shape]);
      }
    }
    for (const text of [...plain, `context-${secrets[way].toString('hex')}`]) needles.push([text, Buffer.from(text)]);
    for (const text of plain) needles.push([text, Buffer.from(Buffer.from(text).toString('base64'))]);
  }
  const contexts = (['http', 'nats'] as const).map((way) => `context-${secrets[way].toString('hex')}`).join(' ');
  for (const [what, needle] of needles) {
    // The read model is for reading: it has the records in clear, contexts included, which here say the plaintext in hex.
    const inContext = contexts.includes(needle.toString('latin1'));
    const files = filesHolding(dataDir, needle).filter((file) => !inContext || !file.includes('/history/'));
    expect([what, files]).toEqual([what, []]);
    expect(server.log().includes(needle.toString('latin1'))).toBe(false);
  }
  // What is known to be there is found.
  expect(filesHolding(dataDir, Buffer.from('"eventName":"GenerateDataKey"')).length).toBeGreaterThan(0);
});
