import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateAccessKeyCommand,
  CreateRoleCommand,
  CreateUserCommand,
  DeleteAccessKeyCommand,
  PutRolePolicyCommand,
  PutUserPolicyCommand,
  UpdateAccessKeyCommand,
} from '@aws-sdk/client-iam';
import { AssumeRoleCommand } from '@aws-sdk/client-sts';
import { type ConnectionOptions, connect, headers, jwtAuthenticator, type NatsConnection } from 'nats';
import { Algorithms, createAccount, createUser, encodeUser } from 'nats-jwt';
import { AGGREGATE_TYPES } from '#domain/aggregates';
import * as subjects from '#domain/subjects';
import { OPERATION_TABLE } from '#operations/table';
import { type NatsEndpoint, readEndpoint } from '#platform/embedded-nats';
import { inboxPrefix, NATS_USERS } from '#platform/nats-users';
import {
  allowing,
  type Clients,
  type Credentials,
  clientsOf,
  longTerm,
  temporary,
  trusting,
} from './support/identities';
import { connectAsRoot, ROOT_INBOX } from './support/nats-client';
import { until } from './support/nats-server';
import { Wire } from './support/nats-wire';
import { type KeytrailProcess, rootKeyOf, startProcess } from './support/processes';

const ACCOUNT = '000000000000';
const OTHER_ACCOUNT = '111111111111';
const USER = 'AIDAEXAMPLEEXAMPLE00';
const SESSION = 'AROAEXAMPLEEXAMPLE00:a session';
const REGION = 'us-east-1';
const { requestSubject, gatewaySubject, principalToken, clientInbox } = subjects;

let dataDir: string;
let server: KeytrailProcess;
let endpoint: NatsEndpoint;
let key: { accessKeyId: string; secretAccessKey: string };
let wire: Wire;

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-clients-'));
  server = await startProcess(dataDir);
  endpoint = readEndpoint(dataDir)!;
  key = rootKeyOf(dataDir);
  wire = await new Wire().open(Number(new URL(endpoint.url).port), key.accessKeyId, key.secretAccessKey);
});

afterAll(async () => {
  wire?.close();
  await server?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

const connectWith = (options: ConnectionOptions): Promise<NatsConnection> =>
  connect({ servers: endpoint.url, reconnect: false, ...options });

/** Every constant of the subjects file: a new one is tried without further ado. */
const constants = Object.values(subjects).flatMap((value) =>
  typeof value === 'string' && /^(kms\.|\$|_INBOX)/.test(value) ? [value] : [],
);
const internal = Object.values(subjects.INTERNAL);
const streams = Object.entries(subjects).flatMap(([name, value]) => (name.endsWith('_STREAM') ? [String(value)] : []));
const operations = [...OPERATION_TABLE.keys()];

const requestsOfOthers = operations.flatMap((operation) => [
  requestSubject(REGION, OTHER_ACCOUNT, 'root', operation),
  ...[USER, SESSION].map((id) => requestSubject(REGION, ACCOUNT, principalToken(id), operation)),
  ...['root', USER].map((id) => gatewaySubject(REGION, ACCOUNT, id, operation)),
]);
const events = AGGREGATE_TYPES.map((aggregate) =>
  subjects.eventSubject({ region: REGION, account: ACCOUNT, aggregate, id: 'forged' }),
);
const jetStream = streams.flatMap((stream) =>
  [
    ...['CREATE', 'UPDATE', 'DELETE', 'PURGE', 'INFO', 'SNAPSHOT', 'RESTORE', 'MSG.GET', 'MSG.DELETE', 'PEER.REMOVE'],
    'LEADER.STEPDOWN',
  ]
    .map((call) => `$JS.API.STREAM.${call}.${stream}`)
    .concat([
      `$JS.API.CONSUMER.CREATE.${stream}`,
      `$JS.API.CONSUMER.CREATE.${stream}.mine`,
      `$JS.API.CONSUMER.CREATE.${stream}.mine.kms.evt.>`,
      `$JS.API.CONSUMER.DURABLE.CREATE.${stream}.mine`,
      `$JS.API.CONSUMER.MSG.NEXT.${stream}.mine`,
      `$JS.API.CONSUMER.INFO.${stream}.mine`,
      `$JS.API.CONSUMER.DELETE.${stream}.mine`,
      `$JS.API.CONSUMER.LIST.${stream}`,
      `$JS.API.DIRECT.GET.${stream}`,
      `$JS.API.DIRECT.GET.${stream}.kms.evt.x`,
      `$JS.ACK.${stream}.mine.1.1.1.1.0`,
      `$JS.FC.${stream}.mine.x`,
    ]),
);
const system = [
  ...['$JS.API.INFO', '$JS.API.STREAM.LIST', '$JS.API.STREAM.NAMES', '$JS.API.STREAM.CREATE.MINE'],
  ...['$JS.API.ACCOUNT.PURGE.$G', '$JS.API.META.LEADER.STEPDOWN', '$JS.API.SERVER.REMOVE', '$JS.EVENT.ADVISORY.API'],
  ...['$SYS.REQ.SERVER.PING', '$SYS.REQ.ACCOUNT.$G.CONNZ', '$SYS.REQ.USER.INFO', '$SYS.ACCOUNT.$G.CONNECT'],
  ...[
    '$SYS._INBOX.server.reply',
    '$SRV.PING',
    '$KV.any.key',
    '$O.any.C.1',
    '$MQTT.any',
    '$NRG.V',
    '$GR.x',
    '_R_.x',
    'mine',
  ],
];
const inboxesOfOthers = [
  '_INBOX.x',
  ...NATS_USERS.map((user) => `${inboxPrefix(user)}.x`),
  `${clientInbox(ACCOUNT, USER)}.x`,
  `${clientInbox(ACCOUNT, principalToken(SESSION))}.x`,
  `${clientInbox(OTHER_ACCOUNT, 'root')}.x`,
];
const wildcards = [
  ...['>', '*', '*.>', 'kms.>', 'kms.*.>', 'kms.evt.>', 'kms.mat.>', 'kms.req.>', 'kms.gw.>', 'kms.int.>', 'kms.aud.>'],
  ...[
    '_INBOX.>',
    '_INBOX_c.>',
    `_INBOX_c.${ACCOUNT}.>`,
    `_INBOX_c.*.root.>`,
    '$JS.>',
    '$JS.API.>',
    '$SYS.>',
    '$SYS.REQ.>',
  ],
];
const material = subjects.materialSubject('forged');
const notTheirs = [
  ...new Set([...constants, ...internal, ...events, material, ...jetStream, ...system, ...wildcards]),
  ...requestsOfOthers,
];

describe('a NATS client with the credentials of a principal', () => {
  test.each([...notTheirs, ...inboxesOfOthers, `${ROOT_INBOX}.x`])('is refused to publish to %s', async (subject) => {
    expect(await wire.refusals(`PUB ${subject} 0\r\n`)).toEqual([
      expect.stringMatching(/^-ERR 'Permissions Violation for Publish/),
    ]);
  });

  test.each([
    ...[...notTheirs, ...inboxesOfOthers],
    ...operations.map((operation) => requestSubject('*', ACCOUNT, 'root', operation)),
    ...operations.map(subjects.requestSubscription),
    ...operations.map(subjects.gatewaySubscription),
  ])('is refused to subscribe to %s, alone or in a queue group', async (subject) => {
    for (const queue of ['', ' key-manager', ' crypto-worker']) {
      expect(await wire.refusals(`SUB ${subject}${queue} 7\r\nUNSUB 7`)).toEqual([
        expect.stringMatching(/^-ERR 'Permissions Violation for Subscription/),
      ]);
    }
  });

  test('may ask for every operation as itself, in every region, and listen to its own inbox', async () => {
    const asked = operations.flatMap((operation) =>
      [REGION, 'eu-west-1'].map((region) => `PUB ${requestSubject(region, ACCOUNT, 'root', operation)} 0\r\n`),
    );
    expect(await wire.refusals(`${asked.join('\r\n')}\r\nSUB ${ROOT_INBOX}.> 9\r\nUNSUB 9`)).toEqual([]);
  });

  test('is answered', async () => {
    const nats = await connectAsRoot(endpoint.url, dataDir);
    const reply = await nats.request(requestSubject(REGION, ACCOUNT, 'root', 'ListKeys'), '{}');
    expect(reply.json()).toHaveProperty('Keys');
    await nats.close();
  });

  test("has no reply put into another's inbox", async () => {
    const { user, password: pass } = endpoint.users.embedded;
    const witness = await connectWith({ user, pass });
    const heard: string[] = [];
    witness.subscribe('_INBOX_c.>', { callback: (_, message) => heard.push(message.subject) });
    await witness.flush();
    const nats = await connectAsRoot(endpoint.url, dataDir);
    for (const reply of inboxesOfOthers) {
      nats.publish(requestSubject(REGION, ACCOUNT, 'root', 'ListKeys'), '{}', { reply });
    }
    await nats.request(requestSubject(REGION, ACCOUNT, 'root', 'ListKeys'), '{}');
    await until(() => heard.length > 0, 'not even the right inbox was answered');
    expect(heard).toEqual([expect.stringContaining(`${ROOT_INBOX}.`)]);
    await nats.close();
    await witness.close();
  });
});

describe('nobody is let in', () => {
  const refused = (options: ConnectionOptions): Promise<void> =>
    expect(connectWith(options)).rejects.toMatchObject({ code: 'AUTHORIZATION_VIOLATION' });

  test.each<[string, (secret: string) => string]>([
    ['a wrong secret', () => 'x'.repeat(40)],
    ['a secret that is cut short', (secret) => secret.slice(0, -1)],
    ['a secret with something behind it', (secret) => `${secret}x`],
    ['a secret in another case', (secret) => secret.toUpperCase()],
    ['an empty secret', () => ''],
    ['a secret and a session token behind it', (secret) => `${secret}:token`],
  ])('with %s', (_what, change) => refused({ user: key.accessKeyId, pass: change(key.secretAccessKey) }));

  test.each(['AKIAUNKNOWNUNKNOWN00', 'ASIAUNKNOWNUNKNOWN00', '', 'root', 'client', `${ACCOUNT}/root`, ...NATS_USERS])(
    'with the secret, as %j',
    (user) => refused({ user, pass: key.secretAccessKey }),
  );

  test('with the access key id alone, or nothing at all', async () => {
    await refused({ user: key.accessKeyId });
    await refused({});
  });

  test('with a session token that is none', async () => {
    await refused({ user: key.accessKeyId, pass: key.secretAccessKey, token: 'not one' });
    await refused({ token: key.secretAccessKey });
  });

  test('with permissions that it signed itself', async () => {
    const user = createUser();
    const everything = { pub: { allow: ['>'], deny: [] }, sub: { allow: ['>'], deny: [] } };
    const jwt = await encodeUser('mallory', user, createAccount(), everything, { algorithm: Algorithms.v2 });
    await refused({ authenticator: jwtAuthenticator(jwt, user.getSeed()) });
  });
});

describe('who may log in', () => {
  let root: Clients;
  let ann: Credentials;
  let userId: string;

  beforeAll(async () => {
    root = clientsOf(server.endpoint, key);
    const { User } = await root.iam.send(new CreateUserCommand({ UserName: 'ann' }));
    userId = User!.UserId!;
    ann = longTerm(await root.iam.send(new CreateAccessKeyCommand({ UserName: 'ann' })));
    const PolicyDocument = allowing('kms:ListKeys');
    await root.iam.send(new PutUserPolicyCommand({ UserName: 'ann', PolicyName: 'own', PolicyDocument }));
  });

  const login = ({ accessKeyId, secretAccessKey, sessionToken }: Credentials, principalId: string) =>
    connectWith({
      user: accessKeyId,
      pass: secretAccessKey,
      ...(sessionToken !== undefined && { token: sessionToken }),
      inboxPrefix: clientInbox(ACCOUNT, principalToken(principalId)),
    });

  async function listKeys(nats: NatsConnection, principalId: string, sessionToken?: string): Promise<object> {
    const sent = headers();
    if (sessionToken !== undefined) sent.set(subjects.HEADER_SESSION_TOKEN, sessionToken);
    const subject = requestSubject(REGION, ACCOUNT, principalToken(principalId), 'ListKeys');
    return (await nats.request(subject, '{}', { headers: sent, timeout: 20_000 })).json<object>();
  }

  test('a user with an access key, as that user alone', async () => {
    const nats = await login(ann, userId);
    expect(await listKeys(nats, userId)).toHaveProperty('Keys');
    await expect(listKeys(nats, 'root')).rejects.toThrow();
    await nats.close();
    const { secretAccessKey } = key;
    await expect(login({ ...ann, secretAccessKey }, userId)).rejects.toMatchObject({ code: 'AUTHORIZATION_VIOLATION' });
  });

  test('a session of a role, with its token', async () => {
    const trust = trusting(`arn:aws:iam::${ACCOUNT}:root`);
    const { Role } = await root.iam.send(new CreateRoleCommand({ RoleName: 'job', AssumeRolePolicyDocument: trust }));
    const RolePolicy = { RoleName: 'job', PolicyName: 'own', PolicyDocument: allowing('kms:ListKeys') };
    await root.iam.send(new PutRolePolicyCommand(RolePolicy));
    await root.iam.send(
      new PutUserPolicyCommand({ UserName: 'ann', PolicyName: 'sts', PolicyDocument: allowing('sts:AssumeRole') }),
    );
    const assume = new AssumeRoleCommand({ RoleArn: Role!.Arn!, RoleSessionName: 'night.ly' });
    const assumed = await clientsOf(server.endpoint, ann).sts.send(assume);
    const session = temporary(assumed.Credentials);
    const principalId = assumed.AssumedRoleUser!.AssumedRoleId!;
    const nats = await login(session, principalId);
    expect(await listKeys(nats, principalId, session.sessionToken)).toHaveProperty('Keys');
    await nats.close();
    const { accessKeyId, secretAccessKey, sessionToken } = session;
    const behind = { accessKeyId, secretAccessKey: `${secretAccessKey}:${sessionToken}` };
    await (await login(behind, principalId)).close();
    for (const wrong of [
      { accessKeyId, secretAccessKey },
      { ...session, sessionToken: `${sessionToken!.slice(0, -4)}AAAA` },
      { ...session, secretAccessKey: ann.secretAccessKey },
      { ...session, accessKeyId: ann.accessKeyId },
    ]) {
      await expect(login(wrong, principalId)).rejects.toMatchObject({ code: 'AUTHORIZATION_VIOLATION' });
    }
  });

  test('not with a key that is inactive, nor with a deleted one', async () => {
    const AccessKeyId = ann.accessKeyId;
    await root.iam.send(new UpdateAccessKeyCommand({ UserName: 'ann', AccessKeyId, Status: 'Inactive' }));
    await expect(login(ann, userId)).rejects.toMatchObject({ code: 'AUTHORIZATION_VIOLATION' });
    await root.iam.send(new UpdateAccessKeyCommand({ UserName: 'ann', AccessKeyId, Status: 'Active' }));
    await (await login(ann, userId)).close();
    await root.iam.send(new DeleteAccessKeyCommand({ UserName: 'ann', AccessKeyId }));
    await expect(login(ann, userId)).rejects.toMatchObject({ code: 'AUTHORIZATION_VIOLATION' });
  });
});
