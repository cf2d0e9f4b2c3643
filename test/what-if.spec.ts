import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateAccessKeyCommand,
  CreateRoleCommand,
  CreateUserCommand,
  DeleteRoleCommand,
  DeleteRolePolicyCommand,
  DeleteUserPolicyCommand,
  PutRolePolicyCommand,
  PutUserPolicyCommand,
  UpdateAccessKeyCommand,
  UpdateAssumeRolePolicyCommand,
} from '@aws-sdk/client-iam';
import {
  CancelKeyDeletionCommand,
  CreateAliasCommand,
  CreateGrantCommand,
  CreateKeyCommand,
  DecryptCommand,
  DescribeKeyCommand,
  DisableKeyCommand,
  EnableKeyCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  ListAliasesCommand,
  PutKeyPolicyCommand,
  ReEncryptCommand,
  RevokeGrantCommand,
  ScheduleKeyDeletionCommand,
  TagResourceCommand,
} from '@aws-sdk/client-kms';
import { AssumeRoleCommand, GetSessionTokenCommand } from '@aws-sdk/client-sts';
import { connect, type NatsConnection } from 'nats';
import {
  allowing,
  type Clients,
  type Credentials,
  clientsOf,
  longTerm,
  temporary,
  trusting,
} from './support/identities';
import { requestAs } from './support/nats-client';
import { type KeytrailProcess, MAIN, run, startProcess } from './support/processes';

const ACCOUNT = '000000000000';
const ROOT = `arn:aws:iam::${ACCOUNT}:root`;
const ROLE = `arn:aws:iam::${ACCOUNT}:role/payments`;
const userArn = (name: string): string => `arn:aws:iam::${ACCOUNT}:user/${name}`;
const Plaintext = Buffer.from('secret');

let dataDir: string;
let server: KeytrailProcess;
let root: Clients;
let nats: NatsConnection;
let since: string;
let KeyId: string;
let grantId: string;
let cidsKey: string;
/** Unique ids, by which NATS knows users. */
const ids = new Map<string, string>();
/** By what it is called here: what is done, and is done again. */
const calls = new Map<string, () => Promise<unknown>>();

const keytrail = (...args: string[]) => run([MAIN, ...args], { KEYTRAIL_DATA_DIR: dataDir }).done;

async function user(UserName: string, ...actions: string[]): Promise<Credentials> {
  ids.set(UserName, (await root.iam.send(new CreateUserCommand({ UserName }))).User!.UserId!);
  if (actions.length > 0) await allow(UserName, allowing(...actions));
  return longTerm(await root.iam.send(new CreateAccessKeyCommand({ UserName })));
}

const allow = (UserName: string, PolicyDocument: string) =>
  root.iam.send(new PutUserPolicyCommand({ UserName, PolicyName: 'own', PolicyDocument }));

/** The key policy that a key has by default, with more statements. */
const keyPolicy = (...statements: object[]): string =>
  JSON.stringify({
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Principal: { AWS: ROOT }, Action: 'kms:*', Resource: '*' }, ...statements],
  });

const denying = (Action: string | string[], Condition: object): string =>
  keyPolicy({ Sid: 'No', Effect: 'Deny', Principal: { AWS: '*' }, Action, Resource: '*', Condition });

const putKeyPolicy = (Policy: string) => root.kms.send(new PutKeyPolicyCommand({ KeyId, Policy }));

async function grantToBob(): Promise<void> {
  const Constraints = { EncryptionContextSubset: { dept: 'x' } };
  const asked = { KeyId, GranteePrincipal: userArn('bob'), Operations: ['Decrypt' as const], Constraints };
  grantId = (await root.kms.send(new CreateGrantCommand(asked))).GrantId!;
}

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-what-if-'));
  server = await startProcess(dataDir);
  since = new Date().toISOString();
  root = clientsOf(server.endpoint, (await server.kms.config.credentials()) as Credentials);
  KeyId = (await root.kms.send(new CreateKeyCommand({}))).KeyMetadata!.KeyId!;
  const other = (await root.kms.send(new CreateKeyCommand({}))).KeyMetadata!.KeyId!;
  await putKeyPolicy(keyPolicy());
  await root.kms.send(new CreateAliasCommand({ AliasName: 'alias/orders', TargetKeyId: KeyId }));
  await root.kms.send(new TagResourceCommand({ KeyId, Tags: [{ TagKey: 'team', TagValue: 'a' }] }));
  const ann = clientsOf(server.endpoint, await user('ann', 'kms:*'));
  const bob = clientsOf(server.endpoint, await user('bob'));
  const cidsOwn = await user('cid', 'sts:AssumeRole', 'sts:TagSession', 'sts:SetSourceIdentity', 'kms:Encrypt');
  cidsKey = cidsOwn.accessKeyId;
  const cid = clientsOf(server.endpoint, cidsOwn);
  const trust = { RoleName: 'payments', AssumeRolePolicyDocument: trusting(ROOT) };
  await root.iam.send(new CreateRoleCommand(trust));
  await mayAll();
  await grantToBob();
  const assume = async (RoleSessionName: string, more: object): Promise<Clients> => {
    const asked = { RoleArn: ROLE, RoleSessionName, ...more };
    return clientsOf(server.endpoint, temporary((await cid.sts.send(new AssumeRoleCommand(asked))).Credentials));
  };
  const tagged = await assume('tagged', { Tags: [{ Key: 'team', Value: 'a' }] });
  const narrow = await assume('narrow', { Policy: allowing('kms:Encrypt', 'kms:Decrypt'), SourceIdentity: 'dan' });
  const ofCid = clientsOf(server.endpoint, temporary((await cid.sts.send(new GetSessionTokenCommand({}))).Credentials));
  const { url, users } = JSON.parse(readFileSync(join(dataDir, 'nats/endpoint.json'), 'utf8'));
  const { user: login, password } = users['embedded'];
  nats = await connect({ servers: url, user: login, pass: password, inboxPrefix: '_INBOX_embedded' });
  const encrypt = (who: Clients, call: string, more: object = {}, key = KeyId) =>
    calls.set(call, () =>
      who.kms.send(new EncryptCommand({ KeyId: key, Plaintext, EncryptionContext: { call, ...more } })),
    );
  encrypt(ann, 'ann, team a', { team: 'a' });
  encrypt(ann, 'ann, team b', { team: 'b' });
  encrypt(ann, 'ann, by alias', {}, 'alias/orders');
  encrypt(ann, 'ann, other key', {}, other);
  encrypt(tagged, 'tagged session');
  encrypt(narrow, 'narrow session');
  encrypt(ofCid, 'session of cid');
  calls.set('data key of ann', () =>
    ann.kms.send(
      new GenerateDataKeyCommand({ KeyId, KeySpec: 'AES_256', EncryptionContext: { call: 'data key of ann' } }),
    ),
  );
  calls.set('ann over NATS', async () => {
    const EncryptionContext = { call: 'ann over NATS' };
    const body = JSON.stringify({ KeyId, Plaintext: Plaintext.toString('base64'), EncryptionContext });
    const reply = (await requestAs(nats, `kms.req.us-east-1.${ACCOUNT}.${ids.get('ann')}.Encrypt`, body)).json<{
      __type?: string;
    }>();
    if (reply.__type) throw new Error(reply.__type);
  });
  const secret = async (EncryptionContext: Record<string, string>) =>
    (await root.kms.send(new EncryptCommand({ KeyId, Plaintext, EncryptionContext }))).CiphertextBlob!;
  for (const [call, who, member] of [
    ['bob decrypts', bob, {}],
    ['narrow session decrypts', narrow, {}],
    ['tagged session decrypts', tagged, { KeyId: 'alias/orders' }],
  ] as const) {
    const EncryptionContext = { call, dept: 'x' };
    const CiphertextBlob = await secret(EncryptionContext);
    calls.set(call, () => who.kms.send(new DecryptCommand({ CiphertextBlob, EncryptionContext, ...member })));
  }
  const SourceEncryptionContext = { call: 'ann re-encrypts' };
  const CiphertextBlob = await secret(SourceEncryptionContext);
  calls.set('ann re-encrypts', () =>
    ann.kms.send(new ReEncryptCommand({ CiphertextBlob, SourceEncryptionContext, DestinationKeyId: other })),
  );
  calls.set(`${userArn('ann')} DescribeKey`, () => ann.kms.send(new DescribeKeyCommand({ KeyId })));
  calls.set(`${userArn('ann')} ListAliases`, () => ann.kms.send(new ListAliasesCommand({})));
  calls.set(`${userArn('cid')} AssumeRole`, () => assume('again', {}));
  calls.set(`${userArn('cid')} GetSessionToken`, () => cid.sts.send(new GetSessionTokenCommand({})));
  expect(await refusedCalls()).toEqual([]);
});

afterAll(async () => {
  await nats?.close();
  await server?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

const mayAll = () =>
  root.iam.send(
    new PutRolePolicyCommand({ RoleName: 'payments', PolicyName: 'all', PolicyDocument: allowing('kms:*') }),
  );

/** Makes each call, and says which were refused. */
async function refusedCalls(): Promise<string[]> {
  const refused: string[] = [];
  for (const [name, call] of calls) await call().catch(() => refused.push(name));
  return refused.sort();
}

interface Group {
  caller: string;
  operation: string;
  why: string;
  contexts: { encryptionContext: { call?: string } }[];
}

/** What ./keytrail what-if says of the calls, by their names; of what root did meanwhile nothing is asked. */
async function predicted(args: string[]): Promise<{ refused: string[]; code: number | null; whys: string[] }> {
  const { output, code } = await keytrail('what-if', ...args, '--since', since, '--json');
  const { refused, refusedToday, notJudged } = JSON.parse(output) as Record<string, Group[]>;
  const ofOthers = (groups: Group[] = []) => groups.filter(({ caller }) => caller !== ROOT);
  expect([...ofOthers(refusedToday), ...ofOthers(notJudged)]).toEqual([]);
  const names = ofOthers(refused).flatMap(({ caller, operation, contexts }) =>
    contexts.length === 0
      ? [`${caller} ${operation}`]
      : contexts.map(({ encryptionContext }) => encryptionContext.call!),
  );
  return { refused: [...new Set(names)].sort(), code, whys: ofOthers(refused).map(({ why }) => why) };
}

function fileOf(policy: string): string {
  const path = join(dataDir, 'proposed.json');
  writeFileSync(path, policy);
  return path;
}

const onKey = (policy: string) => () => ({
  args: ['put-key-policy', '--key', 'alias/orders', '--policy', fileOf(policy)],
  make: () => putKeyPolicy(policy),
  undo: () => putKeyPolicy(keyPolicy()),
});

const ofAnn = (policy: string) => () => ({
  args: ['put-user-policy', '--user', 'ann', '--policy-name', 'own', '--policy', fileOf(policy)],
  make: () => allow('ann', policy),
  undo: () => allow('ann', allowing('kms:*')),
});

interface Proposal {
  args: string[];
  make(): Promise<unknown>;
  undo?(): Promise<unknown>;
}

const PROPOSALS: [string, () => Proposal][] = [
  [
    'denies by encryption context',
    onKey(denying('kms:Encrypt', { StringEquals: { 'kms:EncryptionContext:team': 'b' } })),
  ],
  ['denies by alias', onKey(denying('kms:*', { StringEquals: { 'kms:RequestAlias': 'alias/orders' } }))],
  [
    'denies all but a source address',
    onKey(denying('kms:Encrypt', { NotIpAddress: { 'aws:SourceIp': '127.0.0.0/8' } })),
  ],
  ['denies plain HTTP', onKey(denying('kms:Encrypt', { Bool: { 'aws:SecureTransport': 'false' } }))],
  ['denies by session tag', onKey(denying('kms:*', { StringEquals: { 'aws:PrincipalTag/team': 'a' } }))],
  ['denies by source identity', onKey(denying('kms:*', { StringEquals: { 'aws:SourceIdentity': 'dan' } }))],
  ['denies by session name', onKey(denying('kms:*', { StringLike: { 'aws:userid': '*:narrow' } }))],
  [
    'denies by tag of the key',
    onKey(denying('kms:GenerateDataKey', { StringEquals: { 'aws:ResourceTag/team': 'a' } })),
  ],
  ['denies re-encryption', onKey(denying('kms:ReEncryptFrom', { Bool: { 'kms:ReEncryptOnSameKey': 'false' } }))],
  ['denies temporary credentials', onKey(denying('kms:*', { Null: { 'aws:TokenIssueTime': 'false' } }))],
  ['denies nothing', onKey(denying('kms:*', { StringEquals: { 'kms:EncryptionContext:team': 'c' } }))],
  ['leaves a user one key', ofAnn(allowing('kms:Encrypt', 'kms:ListAliases'))],
  [
    'leaves a user one context',
    ofAnn(
      JSON.stringify({
        Version: '2012-10-17',
        Statement: {
          ...{ Effect: 'Allow', Action: 'kms:*', Resource: '*' },
          Condition: { StringEquals: { 'kms:EncryptionContext:team': 'a' } },
        },
      }),
    ),
  ],
  [
    'takes a user policy away',
    () => ({
      args: ['delete-user-policy', '--user', 'ann', '--policy-name', 'own'],
      make: () => root.iam.send(new DeleteUserPolicyCommand({ UserName: 'ann', PolicyName: 'own' })),
      undo: () => allow('ann', allowing('kms:*')),
    }),
  ],
  [
    'disables the key',
    () => ({
      args: ['disable-key', '--key', KeyId],
      make: () => root.kms.send(new DisableKeyCommand({ KeyId })),
      undo: () => root.kms.send(new EnableKeyCommand({ KeyId })),
    }),
  ],
  [
    'schedules the deletion of the key',
    () => ({
      args: ['schedule-key-deletion', '--key', KeyId],
      make: () => root.kms.send(new ScheduleKeyDeletionCommand({ KeyId })),
      undo: async () => {
        await root.kms.send(new CancelKeyDeletionCommand({ KeyId }));
        await root.kms.send(new EnableKeyCommand({ KeyId }));
      },
    }),
  ],
  [
    'revokes a grant',
    () => ({
      args: ['revoke-grant', '--key', KeyId, '--grant', grantId],
      make: () => root.kms.send(new RevokeGrantCommand({ KeyId, GrantId: grantId })),
      undo: grantToBob,
    }),
  ],
  [
    'deactivates an access key, and so the sessions it began',
    () => ({
      args: ['deactivate-access-key', '--access-key', cidsKey],
      make: () => statusOfCids('Inactive'),
      undo: () => statusOfCids('Active'),
    }),
  ],
  [
    'takes a role policy away',
    () => ({
      args: ['delete-role-policy', '--role', 'payments', '--policy-name', 'all'],
      make: () => root.iam.send(new DeleteRolePolicyCommand({ RoleName: 'payments', PolicyName: 'all' })),
      undo: mayAll,
    }),
  ],
  [
    'trusts somebody else',
    () => ({
      args: ['update-assume-role-policy', '--role', 'payments', '--policy', fileOf(trusting(userArn('ann')))],
      make: () => trustOf(userArn('ann')),
      undo: () => trustOf(ROOT),
    }),
  ],
  [
    'deletes the role',
    () => ({
      args: ['delete-role', '--role', 'payments'],
      make: async () => {
        await root.iam.send(new DeleteRolePolicyCommand({ RoleName: 'payments', PolicyName: 'all' }));
        await root.iam.send(new DeleteRoleCommand({ RoleName: 'payments' }));
      },
    }),
  ],
];

const statusOfCids = (Status: 'Active' | 'Inactive') =>
  root.iam.send(new UpdateAccessKeyCommand({ UserName: 'cid', AccessKeyId: cidsKey, Status }));

const trustOf = (principal: string) =>
  root.iam.send(new UpdateAssumeRolePolicyCommand({ RoleName: 'payments', PolicyDocument: trusting(principal) }));

describe('what is predicted is what comes: a change that', () => {
  test.each(PROPOSALS)('%s', async (what, proposal) => {
    const { args, make, undo } = proposal();
    const { refused, code, whys } = await predicted(args);
    await make();
    const really = await refusedCalls();
    await undo?.();
    expect(refused).toEqual(really);
    expect(code).toBe(really.length === 0 ? 0 : 1);
    expect(really.length === 0).toBe(what === 'denies nothing');
    for (const why of whys)
      expect(why).toMatch(
        /^(key policy, statement 2 "No" \(Deny\)|nothing: no .+ allows it|.+Exception: .+|the caller, or the access key.+)$/,
      );
    if (undo) expect(await refusedCalls()).toEqual([]);
  });
});

describe('./keytrail what-if', () => {
  test('says who, what, how often and why', async () => {
    const policy = fileOf(denying('kms:Encrypt', { StringEquals: { 'kms:EncryptionContext:team': 'b' } }));
    const { code, output } = await keytrail('what-if', 'put-key-policy', '--key', KeyId, '--policy', policy);
    expect(code).toBe(1);
    expect(output).toMatch(/^after put-key-policy, of \d+ calls on record since .*Z \d+ would be refused:\n/);
    expect(output).toContain(`  ${userArn('ann')}  Encrypt  arn:aws:kms:us-east-1:${ACCOUNT}:key/${KeyId}\n`);
    expect(output).toMatch(
      /\d+ calls, \S+Z to \S+Z; event [0-9a-f-]{36}\n {6}why: key policy, statement 2 "No" \(Deny\)\n/,
    );
    expect(output).toMatch(/ {6}context \{"call":"ann, team b","team":"b"\}: \d+ calls\n/);
  });

  test('lists apart what is refused already, and counts only what was there since', async () => {
    await allow('ann', allowing('kms:Encrypt'));
    const now = JSON.parse(
      (await keytrail('what-if', 'disable-key', '--key', KeyId, '--since', since, '--json')).output,
    ) as { refusedToday: Group[] };
    expect(now.refusedToday).toContainEqual(
      expect.objectContaining({
        caller: userArn('ann'),
        operation: 'DescribeKey',
        why: 'nothing: no identity-based policy allows it',
      }),
    );
    await allow('ann', allowing('kms:*'));
    const later = new Date(Date.now() + 60_000).toISOString();
    expect(await keytrail('what-if', 'disable-key', '--key', KeyId, '--since', later)).toMatchObject({
      code: 0,
      output: expect.stringContaining(`of 0 calls on record since ${later} none would be refused`) as string,
    });
  });

  test('changes nothing', async () => {
    const all = async () => ({ ...JSON.parse((await keytrail('replay', '--json')).output), at: '' });
    const before = await all();
    await keytrail('what-if', 'schedule-key-deletion', '--key', KeyId);
    await keytrail('what-if', 'delete-user', '--user', 'ann');
    expect(await all()).toEqual(before);
  });

  test.each([
    [['disable-key', '--key', 'none'], 'the log has no key none'],
    [['put-key-policy', '--key', 'alias/orders', '--policy', '/nowhere'], '--policy /nowhere: ENOENT'],
    [['delete-user', '--user', 'nobody'], 'delete-user would itself be refused: NoSuchEntity'],
    [['delete-user', '--user', 'ann', '--account', '1'], '--account 1: expected 12 digits'],
    [
      ['revoke-grant', '--key', 'alias/orders', '--grant', 'ff'],
      'revoke-grant would itself be refused: NotFoundException',
    ],
    [
      ['disable-key', '--key', 'alias/orders', '--since', 'monday'],
      '--since monday: no moment; expected ISO 8601, a duration',
    ],
    [['deactivate-access-key', '--access-key', 'AKIANOBODYNOBODYNOBO'], 'NoSuchEntity'],
    [['disable-key'], "required option '--key <key>'"],
    [['sing'], "unknown command 'sing'"],
  ])('ends with 2 for %j', async (args, message) => {
    const { code, output } = await keytrail('what-if', ...args);
    expect(output).toContain(message);
    expect(code).toBe(2);
  });

  test('refuses a policy that the key could not be given', async () => {
    const { code, output } = await keytrail('what-if', 'put-key-policy', '--key', KeyId, '--policy', fileOf('{}'));
    expect(output).toContain('put-key-policy would itself be refused: MalformedPolicyDocumentException');
    expect(code).toBe(2);
  });

  test('has its help', async () => {
    expect(await keytrail('what-if', '--help')).toMatchObject({
      code: 0,
      output: expect.stringContaining('keytrail what-if revoke-grant --key <key id> --grant <grant id>') as string,
    });
  });
});
