import {
  CreateAccessKeyCommand,
  CreateRoleCommand,
  CreateUserCommand,
  DeleteAccessKeyCommand,
  DeleteRoleCommand,
  DeleteRolePolicyCommand,
  DeleteUserCommand,
  DeleteUserPolicyCommand,
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
import { ListKeysCommand } from '@aws-sdk/client-kms';
import { GetCallerIdentityCommand } from '@aws-sdk/client-sts';
import { allowing, type Clients, clientsOf, longTerm, refusal, trusting } from './support/identities';
import { Identities } from './support/identity-server';

const ACCOUNT = '000000000000';
const OTHER = '111122223333';

let identities: Identities;
let root: Clients;

beforeAll(async () => {
  identities = await Identities.start();
  root = identities.root;
});

afterAll(() => identities?.stop());

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
  const nobody = `arn:aws:iam::${ACCOUNT}:user/nobody`;
  expect(
    await refusal(root.iam.send(new CreateRoleCommand({ RoleName, AssumeRolePolicyDocument: trusting(nobody) }))),
  ).toEqual(['MalformedPolicyDocumentException', `Invalid principal in policy: "AWS":"${nobody}"`, 400]);
});

describe('access keys', () => {
  test('sign as their user, and are refused at once when inactive or deleted', async () => {
    const bob = await identities.user('bob', 'kms:ListKeys', 'iam:*AccessKey*');
    const identity = await bob.sts.send(new GetCallerIdentityCommand({}));
    expect(identity).toMatchObject({ Account: ACCOUNT, Arn: `arn:aws:iam::${ACCOUNT}:user/bob` });
    await bob.kms.send(new ListKeysCommand({}));
    const { AccessKeyMetadata } = await bob.iam.send(new ListAccessKeysCommand({}));
    const { accessKeyId: AccessKeyId } = bob.credentials;
    expect(AccessKeyMetadata).toMatchObject([{ UserName: 'bob', AccessKeyId, Status: 'Active' }]);

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
    await identities.user(UserName);
    identities.secrets.push(longTerm(await root.iam.send(new CreateAccessKeyCommand({ UserName }))).secretAccessKey);
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
    const made = identities.as(longTerm(await root.iam.send(new CreateAccessKeyCommand({}))));
    const identity = await made.sts.send(new GetCallerIdentityCommand({}));
    expect(identity).toMatchObject({ UserId: ACCOUNT, Arn: `arn:aws:iam::${ACCOUNT}:root` });
    expect((await made.iam.send(new ListAccessKeysCommand({}))).AccessKeyMetadata).toHaveLength(1);
    expect((await made.iam.send(new GetUserCommand({}))).User).toMatchObject({ UserId: ACCOUNT });
  });

  test('with a wrong secret are refused by each protocol in its own words', async () => {
    const { credentials } = await identities.user('mallory');
    const wrong = clientsOf(identities.server.endpoint, { ...credentials, secretAccessKey: 'wrong' });
    expect(await refusal(wrong.sts.send(new GetCallerIdentityCommand({})))).toEqual([
      'SignatureDoesNotMatch',
      expect.stringMatching(/^The request signature we calculated does not match/),
      403,
    ]);
    expect((await refusal(wrong.kms.send(new ListKeysCommand({}))))[0]).toBe('InvalidSignatureException');
  });
});

test('who may do what with identities, the policies of the caller say', async () => {
  const clerk = await identities.user('clerk', 'iam:GetUser');
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

test('no secret that was told is on disk, in the log or in the metrics', async () => {
  expect(identities.secrets.length).toBeGreaterThan(5);
  await identities.stopAndFindNoSecret();
});
