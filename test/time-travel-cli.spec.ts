import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateUserCommand,
  DeleteUserCommand,
  DeleteUserPolicyCommand,
  PutUserPolicyCommand,
} from '@aws-sdk/client-iam';
import {
  CreateAliasCommand,
  CreateGrantCommand,
  CreateKeyCommand,
  EnableKeyRotationCommand,
  PutKeyPolicyCommand,
  RevokeGrantCommand,
  ScheduleKeyDeletionCommand,
  TagResourceCommand,
  UpdateAliasCommand,
} from '@aws-sdk/client-kms';
import { allowing, type Clients, type Credentials, clientsOf } from './support/identities';
import { type KeytrailProcess, MAIN, run, startProcess } from './support/processes';

const ACCOUNT = '000000000000';
const ANN = `arn:aws:iam::${ACCOUNT}:user/ann`;

let dataDir: string;
let server: KeytrailProcess;
let root: Clients;
let KeyId: string;
let Arn: string;
let GrantId: string;
/** A moment after each day's changes. */
const days: string[] = [];

/** Without KEYTRAIL_CLOCK, as in another terminal than the server's. */
const keytrail = (...args: string[]) => run([MAIN, ...args], { KEYTRAIL_DATA_DIR: dataDir }).done;
const json = async (...args: string[]) => JSON.parse((await keytrail(...args, '--json')).output);

async function dayEnds(duration = '1d'): Promise<void> {
  days.push((await keytrail('clock', 'now')).output.split(' ')[0]!);
  await keytrail('clock', 'advance', duration);
}

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-travel-'));
  server = await startProcess(dataDir, { KEYTRAIL_CLOCK: 'virtual' });
  root = clientsOf(server.endpoint, (await server.kms.config.credentials()) as Credentials);
  const { kms, iam } = root;
  await dayEnds();
  ({ KeyId, Arn } = (await kms.send(new CreateKeyCommand({}))).KeyMetadata as { KeyId: string; Arn: string });
  await kms.send(new CreateAliasCommand({ AliasName: 'alias/orders', TargetKeyId: KeyId }));
  await iam.send(new CreateUserCommand({ UserName: 'ann' }));
  await iam.send(
    new PutUserPolicyCommand({ UserName: 'ann', PolicyName: 'own', PolicyDocument: allowing('kms:Encrypt') }),
  );
  await dayEnds();
  await iam.send(new DeleteUserPolicyCommand({ UserName: 'ann', PolicyName: 'own' }));
  const asked = { KeyId, GranteePrincipal: ANN, Operations: ['Decrypt' as const] };
  GrantId = (await kms.send(new CreateGrantCommand(asked))).GrantId!;
  await kms.send(new TagResourceCommand({ KeyId, Tags: [{ TagKey: 'team', TagValue: 'a' }] }));
  await kms.send(new EnableKeyRotationCommand({ KeyId }));
  await dayEnds();
  const other = (await kms.send(new CreateKeyCommand({}))).KeyMetadata!.KeyId!;
  await kms.send(new UpdateAliasCommand({ AliasName: 'alias/orders', TargetKeyId: other }));
  await kms.send(new RevokeGrantCommand({ KeyId, GrantId }));
  await iam.send(new DeleteUserCommand({ UserName: 'ann' }));
  const Policy = JSON.stringify({
    Version: '2012-10-17',
    Id: 'key-default-1',
    Statement: [
      { Sid: 'No listing', Effect: 'Deny', Principal: '*', Action: 'kms:ListGrants', Resource: '*' },
      {
        Sid: 'Enable IAM User Permissions',
        Effect: 'Allow',
        Principal: { AWS: `arn:aws:iam::${ACCOUNT}:root` },
        Action: 'kms:*',
        Resource: '*',
      },
    ],
  });
  await kms.send(new PutKeyPolicyCommand({ KeyId, Policy }));
  await dayEnds();
  await kms.send(new ScheduleKeyDeletionCommand({ KeyId, PendingWindowInDays: 7 }));
  await dayEnds('7d');
});

afterAll(async () => {
  await server?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

describe('./keytrail explain --at', () => {
  const asked = (action: string, key: string, day: number) =>
    keytrail('explain', '--principal', ANN, '--action', action, '--key', key, '--at', days[day]!);

  test('answers by the IAM policies, grants and aliases of then', async () => {
    expect(await asked('Encrypt', 'alias/orders', 1)).toMatchObject({
      code: 0,
      output: expect.stringMatching(
        new RegExp(
          `^allowed: ${ANN} could kms:Encrypt on ${Arn}, at .*Z\ndecided by: identity policy own, statement 1`,
        ),
      ) as string,
    });
    expect(await asked('Decrypt', KeyId, 1)).toMatchObject({ code: 1 });
    expect(await asked('Encrypt', KeyId, 2)).toMatchObject({ code: 1 });
    expect(await asked('Decrypt', 'alias/orders', 2)).toMatchObject({
      code: 0,
      output: expect.stringContaining(`decided by: grant ${GrantId}`) as string,
    });
    expect(
      await json('explain', '--principal', 'root', '--action', 'Encrypt', '--key', KeyId, '--at', days[4]!),
    ).toMatchObject({ at: days[4], allowed: true, keyState: 'PendingDeletion' });
  });

  test('says of a principal or key that was not there then that it was not, with exit code 2', async () => {
    expect(await asked('Encrypt', KeyId, 0)).toMatchObject({
      code: 2,
      output: expect.stringContaining(`the log has no key ${KeyId} at ${days[0]}`) as string,
    });
    expect((await asked('Encrypt', KeyId, 3)).output).toContain('the log has no such principal');
    const gone = new Date(Date.parse(days[4]!) + 7 * 86_400_000).toISOString();
    const late = await keytrail('explain', '--principal', 'root', '--action', 'Encrypt', '--key', KeyId, '--at', gone);
    expect(late).toMatchObject({ code: 2, output: expect.stringContaining('had been deleted by') as string });
  });
});

describe('./keytrail replay --at', () => {
  test('shows a key with its policy, aliases, grants, versions and timer of then', async () => {
    const { output, code } = await keytrail('replay', '--key', 'alias/orders', '--at', days[2]!);
    expect(code).toBe(0);
    for (const shown of [
      Arn,
      'state: Enabled',
      'rotation: every 365 days',
      'alias: alias/orders',
      `grant ${GrantId}: Decrypt for ${ANN}`,
      'next timer: Rotation at ',
      '"Sid": "Enable IAM User Permissions"',
    ]) {
      expect(output).toContain(shown);
    }
    const then = await json('replay', '--key', KeyId, '--at', days[2]!);
    expect(then).toMatchObject({
      at: days[2],
      position: expect.any(Number) as number,
      keys: [{ arn: Arn, exists: true, aliases: ['alias/orders'], grants: [GrantId], nextTimer: { overdue: false } }],
      aliases: [{ exists: true }],
      principals: [],
      grants: [{ grantId: GrantId, exists: true }],
    });
  });

  test('has the same members whatever there was', async () => {
    const before = await json('replay', '--at', days[0]!);
    expect(before).toEqual({
      at: days[0],
      position: expect.any(Number) as number,
      keys: [],
      aliases: [],
      principals: [],
      grants: [],
      trails: [],
      clusters: [],
      customKeyStores: [],
      roots: [],
    });
    const now = await json('replay', '--key', KeyId);
    expect(now.keys).toMatchObject([{ exists: false, state: { keyState: 'Deleted' }, nextTimer: null }]);
  });

  test('shows an account alone, and without history from a snapshot or not', async () => {
    const all = await json('replay', '--at', days[3]!, '--no-history');
    expect(all.keys).toHaveLength(2);
    expect(all.keys[0]).not.toHaveProperty('history');
    expect(await json('replay', '--at', days[3]!, '--no-history', '--account', ACCOUNT)).toEqual(all);
    const others = await json('replay', '--at', days[3]!, '--account', '111122223333');
    expect(others).toMatchObject({ keys: [], principals: [] });
  });

  test('says that a key was not there yet', async () => {
    expect(await keytrail('replay', '--key', KeyId, '--at', days[0]!)).toMatchObject({
      code: 1,
      output: expect.stringContaining(`the log has no key ${KeyId} at ${days[0]}`) as string,
    });
  });
});

describe('./keytrail diff', () => {
  test('says what was made, changed and taken away, member by member', async () => {
    const { code, output } = await keytrail('diff', '--from', days[1]!, '--to', days[2]!);
    expect(code).toBe(1);
    expect(output).toContain(`~ key ${Arn} changed\n`);
    expect(output).toContain('    + tags["team"]: {"key":"team","value":"a"}\n');
    expect(output).toContain(`~ principal ${ANN} changed\n    - policies.own: {`);
    expect(output).toContain(`+ grant ${GrantId} created\n`);
    expect(output).not.toContain('alias/orders');
  });

  test('compares policies statement by statement', async () => {
    const { differences } = await json('diff', '--from', days[2]!, '--to', days[3]!, '--key', KeyId);
    expect(differences).toEqual([
      {
        type: 'key',
        arn: Arn,
        change: 'changed',
        fields: [
          { path: 'policy.Statement["No listing"]', after: expect.objectContaining({ Effect: 'Deny' }) as object },
        ],
      },
      {
        type: 'alias',
        arn: `arn:aws:kms:us-east-1:${ACCOUNT}:alias/orders`,
        change: 'changed',
        fields: [
          { path: 'targetKeyId', before: KeyId, after: expect.any(String) as string },
          { path: 'updatedAt', before: expect.any(String) as string, after: expect.any(String) as string },
        ],
      },
      { type: 'grant', grantId: GrantId, change: 'deleted', fields: expect.any(Array) as unknown[] },
    ]);
  });

  test('ends with 0 where nothing differs, and 2 where it cannot be asked', async () => {
    expect(await keytrail('diff', '--from', days[1]!, '--to', days[1]!)).toEqual({ code: 0, output: '' });
    expect((await keytrail('diff', '--from', days[4]!, '--key', KeyId)).output).toContain(`- key ${Arn} deleted`);
    expect(await keytrail('diff', '--from', days[2]!, '--to', days[1]!)).toMatchObject({
      code: 2,
      output: expect.stringContaining('give the earlier moment as --from') as string,
    });
    expect(await keytrail('diff', '--from', 'yesterday')).toMatchObject({ code: 2 });
    expect(await keytrail('diff')).toMatchObject({ code: 2 });
    expect(await keytrail('diff', '--from', days[1]!, '--key', KeyId, '--account', ACCOUNT)).toMatchObject({ code: 2 });
  });
});

test('./keytrail timeline tells what happened to a key, its aliases and its grants, in order', async () => {
  const { key, entries } = await json('timeline', '--key', KeyId);
  expect(key).toBe(Arn);
  expect(entries.map(({ operation }: { operation: string }) => operation)).toEqual([
    'CreateKey',
    'CreateAlias',
    'CreateGrant',
    'TagResource',
    'EnableKeyRotation',
    'UpdateAlias',
    'RevokeGrant',
    'PutKeyPolicy',
    'ScheduleKeyDeletion',
    'KeyDeletion',
    'KeyDeletion',
  ]);
  const positions = entries.map(({ position }: { position: number }) => position);
  expect(positions).toEqual([...positions].sort((a, b) => a - b));
  const { output } = await keytrail('timeline', '--key', Arn);
  expect(output).toMatch(
    / {2}CreateGrant {2}grant [0-9a-f]{64} {2}by arn:aws:iam::0{12}:root {2}request [0-9a-f-]{36}\n/,
  );
  expect(output).toMatch(/ \(recorded .*\) {2}KeyDeletion {2}by keytrail:deletion-scheduler/);
  expect(await keytrail('timeline', '--key', 'alias/none')).toMatchObject({
    code: 1,
    output: expect.stringContaining('list keys with: ./keytrail replay') as string,
  });
});

test('a time before now is before the virtual clock of the services', async () => {
  const { entries } = await json('timeline', '--key', Arn, '--changes-only', '--until', '1d');
  expect(entries[0]).toMatchObject({ operation: 'CreateKey' });
});

test('what somebody wrote into a key is shown, and not obeyed by a terminal', async () => {
  const escapes = '\u001b[2K\u001b]0;x\u0007\u009b1A\u202e';
  const Tags = [{ TagKey: 'team', TagValue: escapes }];
  const created = await root.kms.send(new CreateKeyCommand({ Description: `mine${escapes}\n  state: Forged`, Tags }));
  const key = created.KeyMetadata!.KeyId!;
  for (const args of [
    ['replay', '--key', key],
    ['timeline', '--key', key],
    ['diff', '--from', days.at(-1)!],
  ]) {
    const { output } = await keytrail(...args);
    expect(output).toContain('\\u001b[2K');
    expect(output).not.toMatch(/(?!\n)[\p{Cc}\p{Cf}]/u);
    expect(output).not.toMatch(/^\s*state: Forged/m);
  }
  const { keys } = await json('replay', '--key', key);
  expect(keys[0].state).toMatchObject({ tags: [{ key: 'team', value: escapes }] });
});
