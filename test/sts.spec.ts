import { readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import {
  CreateAccessKeyCommand,
  CreateUserCommand,
  DeleteRoleCommand,
  DeleteRolePolicyCommand,
  ListUsersCommand,
  PutRolePolicyCommand,
  PutUserPolicyCommand,
  UpdateAccessKeyCommand,
} from '@aws-sdk/client-iam';
import { CreateKeyCommand, DescribeKeyCommand, ListKeysCommand } from '@aws-sdk/client-kms';
import { AssumeRoleCommand, GetCallerIdentityCommand, GetSessionTokenCommand } from '@aws-sdk/client-sts';
import { allowing, type Clients, longTerm, refusal, temporary, trusting } from './support/identities';
import { Identities } from './support/identity-server';
import { MAIN, run } from './support/processes';

const ACCOUNT = '000000000000';
const OTHER = '111122223333';

let identities: Identities;
let root: Clients;

beforeAll(async () => {
  identities = await Identities.start();
  root = identities.root;
});

afterAll(() => identities?.stop());

describe('an assumed role', () => {
  test('has the rights of the role, within the policy of the session, and its own name', async () => {
    const dora = await identities.user('dora', 'sts:AssumeRole');
    const RoleArn = await identities.role(
      'worker',
      trusting(`arn:aws:iam::${ACCOUNT}:root`),
      'kms:ListKeys',
      'kms:CreateKey',
    );
    const assumed = await dora.sts.send(
      new AssumeRoleCommand({
        RoleArn,
        RoleSessionName: 'shift-1',
        DurationSeconds: 900,
        Policy: allowing('kms:ListKeys'),
      }),
    );
    const arn = `arn:aws:sts::${ACCOUNT}:assumed-role/worker/shift-1`;
    expect(assumed.AssumedRoleUser!.Arn).toBe(arn);
    expect(assumed.AssumedRoleUser!.AssumedRoleId).toMatch(/^AROA[A-Z2-7]{16}:shift-1$/);
    expect(assumed.Credentials!.AccessKeyId).toMatch(/^ASIA/);
    const session = identities.as(temporary(assumed.Credentials));
    expect(await session.sts.send(new GetCallerIdentityCommand({}))).toMatchObject({
      Arn: arn,
      UserId: assumed.AssumedRoleUser!.AssumedRoleId,
    });
    await session.kms.send(new ListKeysCommand({}));
    expect(await refusal(session.kms.send(new CreateKeyCommand({})))).toEqual([
      'AccessDeniedException',
      expect.stringContaining(`User: ${arn} is not authorized to perform: kms:CreateKey`),
      400,
    ]);
    expect((await refusal(session.sts.send(new GetSessionTokenCommand({}))))[1]).toBe(
      'Cannot call GetSessionToken with session credentials',
    );
    await root.iam.send(new DeleteRolePolicyCommand({ RoleName: 'worker', PolicyName: 'may' }));
    await root.iam.send(new DeleteRoleCommand({ RoleName: 'worker' }));
    expect((await refusal(session.kms.send(new ListKeysCommand({}))))[0]).toBe('UnrecognizedClientException');
  });

  test('is given only to whom its trust policy names, under its conditions', async () => {
    const erin = await identities.user('erin', 'sts:AssumeRole');
    const refused = (RoleArn: string) => [
      'AccessDenied',
      `User: arn:aws:iam::${ACCOUNT}:user/erin is not authorized to perform: sts:AssumeRole on resource: ${RoleArn}`,
      403,
    ];
    const RoleSessionName = 'me';
    const nowhere = `arn:aws:iam::${ACCOUNT}:role/nowhere`;
    expect(await refusal(erin.sts.send(new AssumeRoleCommand({ RoleArn: nowhere, RoleSessionName })))).toEqual(
      refused(nowhere),
    );
    await identities.user('stranger');
    const others = await identities.role('others', trusting(`arn:aws:iam::${ACCOUNT}:user/stranger`));
    expect(await refusal(erin.sts.send(new AssumeRoleCommand({ RoleArn: others, RoleSessionName })))).toEqual(
      refused(others),
    );
    const outside = await identities.role(
      'outside',
      trusting(`arn:aws:iam::${ACCOUNT}:user/erin`, { StringEquals: { 'sts:ExternalId': 'tenant-7' } }),
    );
    expect((await refusal(erin.sts.send(new AssumeRoleCommand({ RoleArn: outside, RoleSessionName }))))[0]).toBe(
      'AccessDenied',
    );
    await erin.sts.send(new AssumeRoleCommand({ RoleArn: outside, RoleSessionName, ExternalId: 'tenant-7' }));
    const trusted = await identities.role('trusted', trusting(`arn:aws:iam::${ACCOUNT}:root`));
    const nobody = await identities.user('without-policy');
    expect((await refusal(nobody.sts.send(new AssumeRoleCommand({ RoleArn: trusted, RoleSessionName }))))[0]).toBe(
      'AccessDenied',
    );
    expect((await refusal(root.sts.send(new AssumeRoleCommand({ RoleArn: trusted, RoleSessionName }))))[1]).toBe(
      'Roles may not be assumed by root accounts.',
    );
    const long = new AssumeRoleCommand({ RoleArn: trusted, RoleSessionName, DurationSeconds: 3601 });
    expect(await refusal(erin.sts.send(long))).toEqual([
      'ValidationError',
      'The requested DurationSeconds exceeds the MaxSessionDuration set for this role.',
      400,
    ]);
    const PolicyArns = [{ arn: `arn:aws:iam::${ACCOUNT}:policy/p` }];
    expect(
      await refusal(erin.sts.send(new AssumeRoleCommand({ RoleArn: trusted, RoleSessionName, PolicyArns }))),
    ).toEqual(['ValidationError', 'PolicyArns is not supported by this version of Keytrail.', 400]);
  });

  test('carries tags and a source identity', async () => {
    const frank = await identities.user('frank', 'sts:*');
    const RoleArn = await identities.role('tagged-role', trusting(`arn:aws:iam::${ACCOUNT}:root`));
    const condition = { StringEquals: { 'aws:PrincipalTag/team': 'blue' } };
    const PolicyDocument = JSON.stringify({
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Action: 'kms:ListKeys', Resource: '*', Condition: condition }],
    });
    await root.iam.send(new PutRolePolicyCommand({ RoleName: 'tagged-role', PolicyName: 'blue', PolicyDocument }));
    const assume = async (Value: string) => {
      const Tags = [{ Key: 'team', Value }];
      const command = new AssumeRoleCommand({ RoleArn, RoleSessionName: 'me', Tags, SourceIdentity: 'frank' });
      return frank.sts.send(command);
    };
    const blue = await assume('blue');
    expect(blue.SourceIdentity).toBe('frank');
    await identities.as(temporary(blue.Credentials)).kms.send(new ListKeysCommand({}));
    const red = identities.as(temporary((await assume('red')).Credentials));
    expect((await refusal(red.kms.send(new ListKeysCommand({}))))[0]).toBe('AccessDeniedException');
  });
});

describe('a session of a user', () => {
  test('may what the user may, and ends with the access key that asked for it', async () => {
    const gina = await identities.user('gina', 'kms:ListKeys');
    const { Credentials } = await gina.sts.send(new GetSessionTokenCommand({ DurationSeconds: 900 }));
    const session = identities.as(temporary(Credentials));
    await session.kms.send(new ListKeysCommand({}));
    expect((await session.sts.send(new GetCallerIdentityCommand({}))).Arn).toBe(`arn:aws:iam::${ACCOUNT}:user/gina`);
    const AccessKeyId = gina.credentials.accessKeyId;
    await root.iam.send(new UpdateAccessKeyCommand({ UserName: 'gina', AccessKeyId, Status: 'Inactive' }));
    expect((await refusal(session.kms.send(new ListKeysCommand({}))))[0]).toBe('UnrecognizedClientException');
  });

  test('is refused with an altered, another or no token', async () => {
    const { Credentials } = await root.sts.send(new GetSessionTokenCommand({}));
    const good = temporary(Credentials);
    const other = temporary((await root.sts.send(new GetSessionTokenCommand({}))).Credentials);
    const { sessionToken, ...without } = good;
    const altered = { ...good, sessionToken: sessionToken!.replace(/^(.{40})./, (_, head) => `${head}_`) };
    for (const bad of [without, altered, { ...good, sessionToken: other.sessionToken! }]) {
      const [code] = await refusal(identities.as(bad).sts.send(new GetCallerIdentityCommand({})));
      expect(code).toBe('InvalidClientTokenId');
    }
    await identities.as(good).sts.send(new GetCallerIdentityCommand({}));
  });
});

describe('another account', () => {
  test('is made by the operator once, has its own root, and shares what policies on both sides let it', async () => {
    const keytrail = (...args: string[]) => run([MAIN, ...args], { KEYTRAIL_DATA_DIR: identities.dataDir }).done;
    const file = join(identities.dataDir, 'other-credentials');
    expect(await keytrail('account', 'create', OTHER, '--write', file)).toMatchObject({ code: 0 });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const text = readFileSync(file, 'utf8');
    rmSync(file);
    const [, accessKeyId, secretAccessKey] =
      /^\[111122223333\]\naws_access_key_id = (\w+)\naws_secret_access_key = (\S+)\n$/.exec(text)!;
    const other = identities.as({ accessKeyId: accessKeyId!, secretAccessKey: secretAccessKey! });
    expect(await other.sts.send(new GetCallerIdentityCommand({}))).toMatchObject({ Account: OTHER, UserId: OTHER });
    expect(await keytrail('account', 'create', OTHER)).toMatchObject({
      code: 1,
      output: expect.stringContaining(`Account ${OTHER} already exists.`),
    });
    expect((await keytrail('account', 'create', '12')).code).toBe(1);
    const { output } = await keytrail('account', 'list');
    expect(output).toMatch(new RegExp(`^${ACCOUNT} .*\n${OTHER}  since .*root access keys in the log: 1\n$`));

    expect((await other.iam.send(new ListUsersCommand({}))).Users).toEqual([]);
    const { KeyMetadata } = await root.kms.send(new CreateKeyCommand({}));
    expect((await refusal(other.kms.send(new DescribeKeyCommand({ KeyId: KeyMetadata!.Arn! }))))[0]).toBe(
      'AccessDeniedException',
    );
    const RoleArn = await identities.role('shared', trusting(`arn:aws:iam::${OTHER}:root`), 'kms:DescribeKey');
    await other.iam.send(new CreateUserCommand({ UserName: 'helen' }));
    const PolicyDocument = allowing('sts:AssumeRole');
    await other.iam.send(new PutUserPolicyCommand({ UserName: 'helen', PolicyName: 'may', PolicyDocument }));
    const helen = identities.as(longTerm(await other.iam.send(new CreateAccessKeyCommand({ UserName: 'helen' }))));
    const assumed = await helen.sts.send(new AssumeRoleCommand({ RoleArn, RoleSessionName: 'helen' }));
    const session = identities.as(temporary(assumed.Credentials));
    await session.kms.send(new DescribeKeyCommand({ KeyId: KeyMetadata!.KeyId! }));
  });
});

test('no secret that was told is on disk, in the log or in the metrics', async () => {
  expect(identities.secrets.length).toBeGreaterThan(15);
  await identities.stopAndFindNoSecret();
});
