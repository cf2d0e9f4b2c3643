import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateAccessKeyCommand,
  CreateRoleCommand,
  CreateUserCommand,
  DeleteAccessKeyCommand,
  DeleteRoleCommand,
  DeleteRolePolicyCommand,
  DeleteUserCommand,
  DeleteUserPolicyCommand,
  GetAccessKeyLastUsedCommand,
  GetRoleCommand,
  GetRolePolicyCommand,
  GetUserCommand,
  GetUserPolicyCommand,
  ListAccessKeysCommand,
  ListRolePoliciesCommand,
  ListRolesCommand,
  ListRoleTagsCommand,
  ListUserPoliciesCommand,
  ListUsersCommand,
  ListUserTagsCommand,
  PutRolePolicyCommand,
  PutUserPolicyCommand,
  paginateListUsers,
  TagRoleCommand,
  TagUserCommand,
  UntagRoleCommand,
  UntagUserCommand,
  UpdateAccessKeyCommand,
  UpdateAssumeRolePolicyCommand,
} from '@aws-sdk/client-iam';
import { CreateKeyCommand, DescribeKeyCommand, ListKeysCommand } from '@aws-sdk/client-kms';
import { AssumeRoleCommand, GetCallerIdentityCommand, GetSessionTokenCommand } from '@aws-sdk/client-sts';
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
import { type KeytrailProcess, MAIN, run, startProcess } from './support/processes';
import { filesHolding } from './support/stored-material';

const ACCOUNT = '000000000000';
const OTHER = '111122223333';

let dataDir: string;
let server: KeytrailProcess;
let root: Clients;
/** Every secret that was told: none may be found anywhere afterwards. */
const secrets: string[] = [];

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-iam-'));
  server = await startProcess(dataDir);
  root = clientsOf(server.endpoint, (await server.kms.config.credentials()) as Credentials);
});

afterAll(async () => {
  await server?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

const as = (credentials: Credentials): Clients => {
  secrets.push(credentials.secretAccessKey);
  return clientsOf(server.endpoint, credentials);
};

/** A user with an access key, and what its one policy allows. */
async function user(UserName: string, ...actions: string[]): Promise<Clients & { credentials: Credentials }> {
  await root.iam.send(new CreateUserCommand({ UserName }));
  if (actions.length > 0) {
    const PolicyDocument = allowing(...actions);
    await root.iam.send(new PutUserPolicyCommand({ UserName, PolicyName: 'may', PolicyDocument }));
  }
  const credentials = longTerm(await root.iam.send(new CreateAccessKeyCommand({ UserName })));
  return { ...as(credentials), credentials };
}

async function role(RoleName: string, trust: string, ...actions: string[]): Promise<string> {
  const made = await root.iam.send(new CreateRoleCommand({ RoleName, AssumeRolePolicyDocument: trust }));
  if (actions.length > 0) {
    const PolicyDocument = allowing(...actions);
    await root.iam.send(new PutRolePolicyCommand({ RoleName, PolicyName: 'may', PolicyDocument }));
  }
  return made.Role!.Arn!;
}

describe('users', () => {
  test('are created, read, listed and deleted', async () => {
    const made = await root.iam.send(
      new CreateUserCommand({ UserName: 'Ann', Path: '/staff/', Tags: [{ Key: 'team', Value: 'a' }] }),
    );
    expect(made.User).toMatchObject({
      UserName: 'Ann',
      Path: '/staff/',
      Arn: `arn:aws:iam::${ACCOUNT}:user/staff/Ann`,
      Tags: [{ Key: 'team', Value: 'a' }],
    });
    expect(made.User!.UserId).toMatch(/^AIDA[A-Z2-7]{16}$/);
    expect(made.User!.CreateDate).toBeInstanceOf(Date);
    expect((await root.iam.send(new GetUserCommand({ UserName: 'ann' }))).User).toEqual(made.User);
    expect(await refusal(root.iam.send(new CreateUserCommand({ UserName: 'ANN' })))).toEqual([
      'EntityAlreadyExistsException',
      'User with name ANN already exists.',
      409,
    ]);
    await root.iam.send(new DeleteUserCommand({ UserName: 'Ann' }));
    expect(await refusal(root.iam.send(new GetUserCommand({ UserName: 'Ann' })))).toEqual([
      'NoSuchEntityException',
      'The user with name Ann cannot be found.',
      404,
    ]);
    const again = await root.iam.send(new CreateUserCommand({ UserName: 'Ann' }));
    expect(again.User!.UserId).not.toBe(made.User!.UserId);
    await root.iam.send(new DeleteUserCommand({ UserName: 'Ann' }));
  });

  test('are listed in pages, by path', async () => {
    for (const UserName of ['p-c', 'P-a', 'p-b'])
      await root.iam.send(new CreateUserCommand({ UserName, Path: '/paged/' }));
    const pages: (string | undefined)[][] = [];
    for await (const page of paginateListUsers({ client: root.iam, pageSize: 2 }, { PathPrefix: '/paged/' })) {
      pages.push(page.Users!.map(({ UserName }) => UserName));
    }
    expect(pages).toEqual([['P-a', 'p-b'], ['p-c']]);
    expect((await root.iam.send(new ListUsersCommand({ PathPrefix: '/nobody/' }))).Users).toEqual([]);
    expect(await refusal(root.iam.send(new ListUsersCommand({ Marker: 'x' })))).toEqual([
      'ValidationError',
      'Invalid Marker.',
      400,
    ]);
  });

  test('whose requests break the bounds of the API model are refused with all that is wrong', async () => {
    expect(await refusal(root.iam.send(new CreateUserCommand({ UserName: 'a b', Path: 'x' })))).toEqual([
      'ValidationError',
      expect.stringMatching(/^2 validation errors detected: .*'path' .*'userName' /),
      400,
    ]);
    const boundary = `arn:aws:iam::${ACCOUNT}:policy/p`;
    expect(
      (await refusal(root.iam.send(new CreateUserCommand({ UserName: 'b', PermissionsBoundary: boundary }))))[0],
    ).toBe('InvalidInputException');
  });

  test('have tags whose keys are the same without case', async () => {
    const UserName = 'tagged';
    await root.iam.send(new CreateUserCommand({ UserName }));
    await root.iam.send(new TagUserCommand({ UserName, Tags: [{ Key: 'Team', Value: 'a' }] }));
    await root.iam.send(
      new TagUserCommand({
        UserName,
        Tags: [
          { Key: 'team', Value: 'b' },
          { Key: 'x', Value: '' },
        ],
      }),
    );
    const tags = await root.iam.send(new ListUserTagsCommand({ UserName, MaxItems: 1 }));
    expect(tags).toMatchObject({ Tags: [{ Key: 'team', Value: 'b' }], IsTruncated: true });
    const { Tags } = await root.iam.send(new ListUserTagsCommand({ UserName, Marker: tags.Marker! }));
    expect(Tags).toEqual([{ Key: 'x', Value: '' }]);
    await root.iam.send(new UntagUserCommand({ UserName, TagKeys: ['TEAM', 'x'] }));
    expect((await root.iam.send(new ListUserTagsCommand({ UserName }))).Tags).toEqual([]);
    const twice = [
      { Key: 'a', Value: '1' },
      { Key: 'A', Value: '2' },
    ];
    expect((await refusal(root.iam.send(new TagUserCommand({ UserName, Tags: twice }))))[0]).toBe(
      'InvalidInputException',
    );
  });

  test('have inline policies, given out percent-encoded', async () => {
    const UserName = 'with-policies';
    await root.iam.send(new CreateUserCommand({ UserName }));
    const PolicyDocument = allowing('kms:*');
    await root.iam.send(new PutUserPolicyCommand({ UserName, PolicyName: 'p2', PolicyDocument }));
    await root.iam.send(new PutUserPolicyCommand({ UserName, PolicyName: 'p1', PolicyDocument }));
    const found = await root.iam.send(new GetUserPolicyCommand({ UserName, PolicyName: 'p2' }));
    expect(found.PolicyDocument).toContain('%22kms%3A%2A%22');
    expect(decodeURIComponent(found.PolicyDocument!)).toBe(PolicyDocument);
    expect((await root.iam.send(new ListUserPoliciesCommand({ UserName }))).PolicyNames).toEqual(['p1', 'p2']);
    expect(await refusal(root.iam.send(new DeleteUserCommand({ UserName })))).toEqual([
      'DeleteConflictException',
      'Cannot delete entity, must delete policies first.',
      409,
    ]);
    for (const PolicyName of ['p1', 'p2']) await root.iam.send(new DeleteUserPolicyCommand({ UserName, PolicyName }));
    expect(await refusal(root.iam.send(new GetUserPolicyCommand({ UserName, PolicyName: 'p1' })))).toEqual([
      'NoSuchEntityException',
      'The user policy with name p1 cannot be found.',
      404,
    ]);
    const bad = root.iam.send(new PutUserPolicyCommand({ UserName, PolicyName: 'p', PolicyDocument: '{}' }));
    expect((await refusal(bad))[0]).toBe('MalformedPolicyDocumentException');
    const long = allowing(...Array.from({ length: 200 }, (_, i) => `kms:Action${i}`));
    expect(
      await refusal(root.iam.send(new PutUserPolicyCommand({ UserName, PolicyName: 'p', PolicyDocument: long }))),
    ).toEqual(['LimitExceededException', 'Maximum policy size of 2048 bytes exceeded for user with-policies', 409]);
  });
});

test('roles are created, changed, listed and deleted', async () => {
  const RoleName = 'Reader';
  const AssumeRolePolicyDocument = trusting(`arn:aws:iam::${ACCOUNT}:root`);
  const made = await root.iam.send(
    new CreateRoleCommand({
      RoleName,
      AssumeRolePolicyDocument,
      Description: 'reads & <more>',
      MaxSessionDuration: 7200,
    }),
  );
  expect(made.Role).toMatchObject({
    Arn: `arn:aws:iam::${ACCOUNT}:role/Reader`,
    Description: 'reads & <more>',
    MaxSessionDuration: 7200,
  });
  expect(made.Role!.RoleId).toMatch(/^AROA[A-Z2-7]{16}$/);
  const changed = trusting(`arn:aws:iam::${OTHER}:root`);
  await root.iam.send(new UpdateAssumeRolePolicyCommand({ RoleName, PolicyDocument: changed }));
  const { Role } = await root.iam.send(new GetRoleCommand({ RoleName }));
  expect(decodeURIComponent(Role!.AssumeRolePolicyDocument!)).toBe(changed);
  await root.iam.send(new TagRoleCommand({ RoleName, Tags: [{ Key: 'a', Value: 'b' }] }));
  expect((await root.iam.send(new ListRoleTagsCommand({ RoleName }))).Tags).toEqual([{ Key: 'a', Value: 'b' }]);
  await root.iam.send(new UntagRoleCommand({ RoleName, TagKeys: ['a'] }));
  const PolicyDocument = allowing('kms:Decrypt');
  await root.iam.send(new PutRolePolicyCommand({ RoleName, PolicyName: 'p', PolicyDocument }));
  expect((await root.iam.send(new ListRolePoliciesCommand({ RoleName }))).PolicyNames).toEqual(['p']);
  const policy = await root.iam.send(new GetRolePolicyCommand({ RoleName, PolicyName: 'p' }));
  expect(decodeURIComponent(policy.PolicyDocument!)).toBe(PolicyDocument);
  expect((await root.iam.send(new ListRolesCommand({}))).Roles!.map((one) => one.RoleName)).toContain(RoleName);
  expect((await refusal(root.iam.send(new DeleteRoleCommand({ RoleName }))))[0]).toBe('DeleteConflictException');
  await root.iam.send(new DeleteRolePolicyCommand({ RoleName, PolicyName: 'p' }));
  await root.iam.send(new DeleteRoleCommand({ RoleName }));
  expect(await refusal(root.iam.send(new GetRoleCommand({ RoleName })))).toEqual([
    'NoSuchEntityException',
    'The role with name Reader cannot be found.',
    404,
  ]);
  const withResource = JSON.stringify({
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Principal: { AWS: '*' }, Action: 'sts:AssumeRole', Resource: '*' }],
  });
  expect(
    await refusal(root.iam.send(new CreateRoleCommand({ RoleName, AssumeRolePolicyDocument: withResource }))),
  ).toEqual(['MalformedPolicyDocumentException', 'Has prohibited field Resource', 400]);
});

describe('access keys', () => {
  test('sign as their user, and are refused at once when inactive or deleted', async () => {
    const bob = await user('bob', 'kms:ListKeys', 'iam:*AccessKey*');
    const identity = await bob.sts.send(new GetCallerIdentityCommand({}));
    expect(identity).toMatchObject({ Account: ACCOUNT, Arn: `arn:aws:iam::${ACCOUNT}:user/bob` });
    await bob.kms.send(new ListKeysCommand({}));
    const { AccessKeyMetadata } = await bob.iam.send(new ListAccessKeysCommand({}));
    const { accessKeyId: AccessKeyId } = bob.credentials;
    expect(AccessKeyMetadata).toMatchObject([{ UserName: 'bob', AccessKeyId, Status: 'Active' }]);
    const lastUsed = await root.iam.send(new GetAccessKeyLastUsedCommand({ AccessKeyId }));
    expect(lastUsed).toMatchObject({ UserName: 'bob', AccessKeyLastUsed: { Region: 'N/A', ServiceName: 'N/A' } });

    const UserName = 'bob';
    await root.iam.send(new UpdateAccessKeyCommand({ UserName, AccessKeyId, Status: 'Inactive' }));
    const invalid = 'The security token included in the request is invalid.';
    expect(await refusal(bob.sts.send(new GetCallerIdentityCommand({})))).toEqual([
      'InvalidClientTokenId',
      invalid,
      403,
    ]);
    expect(await refusal(bob.kms.send(new ListKeysCommand({})))).toEqual(['UnrecognizedClientException', invalid, 400]);
    await root.iam.send(new UpdateAccessKeyCommand({ UserName, AccessKeyId, Status: 'Active' }));
    await bob.kms.send(new ListKeysCommand({}));
    await root.iam.send(new DeleteAccessKeyCommand({ UserName, AccessKeyId }));
    expect((await refusal(bob.kms.send(new ListKeysCommand({}))))[0]).toBe('UnrecognizedClientException');
    expect(await refusal(root.iam.send(new DeleteAccessKeyCommand({ UserName, AccessKeyId })))).toEqual([
      'NoSuchEntityException',
      `The Access Key with id ${AccessKeyId} cannot be found.`,
      404,
    ]);
  });

  test('are two a user at most, and keep it from being deleted', async () => {
    const UserName = 'two-keys';
    await user(UserName);
    secrets.push(longTerm(await root.iam.send(new CreateAccessKeyCommand({ UserName }))).secretAccessKey);
    expect(await refusal(root.iam.send(new CreateAccessKeyCommand({ UserName })))).toEqual([
      'LimitExceededException',
      'Cannot exceed quota for AccessKeysPerUser: 2',
      409,
    ]);
    expect((await refusal(root.iam.send(new DeleteUserCommand({ UserName }))))[1]).toBe(
      'Cannot delete entity, must delete access keys first.',
    );
    expect((await refusal(root.iam.send(new CreateAccessKeyCommand({ UserName: 'nobody' }))))[0]).toBe(
      'NoSuchEntityException',
    );
  });

  test('without a user name are those of root, for root', async () => {
    const made = as(longTerm(await root.iam.send(new CreateAccessKeyCommand({}))));
    const identity = await made.sts.send(new GetCallerIdentityCommand({}));
    expect(identity).toMatchObject({ UserId: ACCOUNT, Arn: `arn:aws:iam::${ACCOUNT}:root` });
    expect((await made.iam.send(new ListAccessKeysCommand({}))).AccessKeyMetadata).toHaveLength(1);
    expect((await made.iam.send(new GetUserCommand({}))).User).toMatchObject({ UserId: ACCOUNT });
  });

  test('with a wrong secret are refused by each protocol in its own words', async () => {
    const { credentials } = await user('mallory');
    const wrong = clientsOf(server.endpoint, { ...credentials, secretAccessKey: 'wrong' });
    expect(await refusal(wrong.sts.send(new GetCallerIdentityCommand({})))).toEqual([
      'SignatureDoesNotMatch',
      expect.stringMatching(/^The request signature we calculated does not match/),
      403,
    ]);
    expect((await refusal(wrong.kms.send(new ListKeysCommand({}))))[0]).toBe('InvalidSignatureException');
  });
});

test('who may do what with identities, the policies of the caller say', async () => {
  const clerk = await user('clerk', 'iam:GetUser');
  await clerk.iam.send(new GetUserCommand({}));
  await clerk.iam.send(new GetUserCommand({ UserName: 'clerk' }));
  expect(await refusal(clerk.iam.send(new CreateUserCommand({ UserName: 'x', Path: '/y/' })))).toEqual([
    'AccessDenied',
    `User: arn:aws:iam::${ACCOUNT}:user/clerk is not authorized to perform: iam:CreateUser on resource: ` +
      `arn:aws:iam::${ACCOUNT}:user/y/x because no identity-based policy allows the iam:CreateUser action`,
    403,
  ]);
  for (const UserName of ['nobody', 'clerk']) {
    expect((await refusal(clerk.iam.send(new DeleteUserCommand({ UserName }))))[0]).toBe('AccessDenied');
  }
});

describe('an assumed role', () => {
  test('has the rights of the role, within the policy of the session, and its own name', async () => {
    const dora = await user('dora', 'sts:AssumeRole');
    const RoleArn = await role('worker', trusting(`arn:aws:iam::${ACCOUNT}:root`), 'kms:ListKeys', 'kms:CreateKey');
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
    const session = as(temporary(assumed.Credentials));
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
    const erin = await user('erin', 'sts:AssumeRole');
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
    const others = await role('others', trusting(`arn:aws:iam::${ACCOUNT}:user/mallory`));
    expect(await refusal(erin.sts.send(new AssumeRoleCommand({ RoleArn: others, RoleSessionName })))).toEqual(
      refused(others),
    );
    const outside = await role(
      'outside',
      trusting(`arn:aws:iam::${ACCOUNT}:user/erin`, { StringEquals: { 'sts:ExternalId': 'tenant-7' } }),
    );
    expect((await refusal(erin.sts.send(new AssumeRoleCommand({ RoleArn: outside, RoleSessionName }))))[0]).toBe(
      'AccessDenied',
    );
    await erin.sts.send(new AssumeRoleCommand({ RoleArn: outside, RoleSessionName, ExternalId: 'tenant-7' }));
    const trusted = await role('trusted', trusting(`arn:aws:iam::${ACCOUNT}:root`));
    const nobody = await user('without-policy');
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
    const frank = await user('frank', 'sts:*');
    const RoleArn = await role('tagged-role', trusting(`arn:aws:iam::${ACCOUNT}:root`));
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
    await as(temporary(blue.Credentials)).kms.send(new ListKeysCommand({}));
    const red = as(temporary((await assume('red')).Credentials));
    expect((await refusal(red.kms.send(new ListKeysCommand({}))))[0]).toBe('AccessDeniedException');
  });
});

describe('a session of a user', () => {
  test('may what the user may, and ends with the access key that asked for it', async () => {
    const gina = await user('gina', 'kms:ListKeys');
    const { Credentials } = await gina.sts.send(new GetSessionTokenCommand({ DurationSeconds: 900 }));
    const session = as(temporary(Credentials));
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
      const [code] = await refusal(as(bad).sts.send(new GetCallerIdentityCommand({})));
      expect(code).toBe('InvalidClientTokenId');
    }
    await as(good).sts.send(new GetCallerIdentityCommand({}));
  });
});

describe('another account', () => {
  test('is made by the operator once, has its own root, and shares what policies on both sides let it', async () => {
    const keytrail = (...args: string[]) => run([MAIN, ...args], { KEYTRAIL_DATA_DIR: dataDir }).done;
    const file = join(dataDir, 'other-credentials');
    expect(await keytrail('account', 'create', OTHER, '--write', file)).toMatchObject({ code: 0 });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const text = readFileSync(file, 'utf8');
    rmSync(file);
    const [, accessKeyId, secretAccessKey] =
      /^\[111122223333\]\naws_access_key_id = (\w+)\naws_secret_access_key = (\S+)\n$/.exec(text)!;
    const other = as({ accessKeyId: accessKeyId!, secretAccessKey: secretAccessKey! });
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
    const RoleArn = await role('shared', trusting(`arn:aws:iam::${OTHER}:root`), 'kms:DescribeKey');
    await other.iam.send(new CreateUserCommand({ UserName: 'helen' }));
    const PolicyDocument = allowing('sts:AssumeRole');
    await other.iam.send(new PutUserPolicyCommand({ UserName: 'helen', PolicyName: 'may', PolicyDocument }));
    const helen = as(longTerm(await other.iam.send(new CreateAccessKeyCommand({ UserName: 'helen' }))));
    const assumed = await helen.sts.send(new AssumeRoleCommand({ RoleArn, RoleSessionName: 'helen' }));
    const session = as(temporary(assumed.Credentials));
    await session.kms.send(new DescribeKeyCommand({ KeyId: KeyMetadata!.KeyId! }));
  });
});

describe('the query protocol', () => {
  const post = async (body: string, headers: Record<string, string> = {}) => {
    const reply = await fetch(server.endpoint, {
      method: 'POST',
      headers: { 'Content-Type': 'application/x-www-form-urlencoded', ...headers },
      body,
    });
    return { status: reply.status, type: reply.headers.get('content-type'), text: await reply.text() };
  };

  test('answers who does not sign in XML', async () => {
    const { status, type, text } = await post('Action=ListUsers&Version=2010-05-08');
    expect([status, type]).toEqual([403, 'text/xml']);
    expect(text).toContain('<Code>MissingAuthenticationToken</Code>');
  });

  test('knows no operation of another service, nor of another version', async () => {
    const strange = clientsOf(server.endpoint, (await server.kms.config.credentials()) as Credentials);
    strange.sts.middlewareStack.add(
      (next) => (args) => {
        const request = args.request as { body: string };
        request.body = request.body.replace('Action=GetCallerIdentity', 'Action=ListKeys');
        return next(args);
      },
      { step: 'build', priority: 'high' },
    );
    expect(await refusal(strange.sts.send(new GetCallerIdentityCommand({})))).toEqual([
      'InvalidAction',
      'Could not find operation ListKeys for version 2011-06-15',
      400,
    ]);
  });
});

test('no secret that was told is on disk, in the log or in the metrics', async () => {
  expect(secrets.length).toBeGreaterThan(15);
  const metrics = await (await fetch(`${server.endpoint}/metrics`)).text();
  const replayed = await run([MAIN, 'replay', '--json'], { KEYTRAIL_DATA_DIR: dataDir }).done;
  expect(replayed.output).toContain('AccessKeyCreated');
  await server.stop();
  // The search finds what is there: the root credentials are, in their own file alone.
  const { secretAccessKey } = (await server.kms.config.credentials()) as Credentials;
  expect(filesHolding(dataDir, Buffer.from(secretAccessKey))).toEqual([join(dataDir, 'aws/credentials')]);
  for (const secret of secrets) {
    for (const bytes of [Buffer.from(secret), Buffer.from(secret, 'base64')]) {
      expect(filesHolding(dataDir, bytes)).toEqual([]);
      for (const text of [metrics, server.log(), replayed.output])
        expect(text.includes(bytes.toString('latin1'))).toBe(false);
    }
  }
});
