import {
  CreateAccessKeyCommand,
  CreateRoleCommand,
  CreateUserCommand,
  IAMClient,
  PutRolePolicyCommand,
  PutUserPolicyCommand,
} from '@aws-sdk/client-iam';
import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts';
import {
  ACCOUNT,
  CREDENTIALS,
  type Credentials,
  call,
  createKey,
  encryptRequest,
  type KmsRequest,
  REGION,
} from './kms-requests';

export const BY_ROOT = 'HTTP Encrypt, as root';
const BY_IAM_POLICY = 'HTTP Encrypt, as a user by an IAM policy with a condition';
const BY_KEY_POLICY = 'HTTP Encrypt, as a user by the key policy';
const BY_GRANT = 'HTTP Encrypt, as a user by the last of 20 grants';
const BY_ROLE_POLICY = "HTTP Encrypt, as a role's session by an IAM policy with a condition";
const GRANTS = 20;

/** Callers of Encrypt, by what lets them in. */
export const USER_CASES: readonly string[] = [BY_IAM_POLICY, BY_KEY_POLICY, BY_GRANT, BY_ROLE_POLICY];

/** Two statements, the second with two conditions, of which one is on an address. */
const IAM_POLICY = JSON.stringify({
  Version: '2012-10-17',
  Statement: [
    { Effect: 'Deny', Action: 'kms:ScheduleKeyDeletion', Resource: '*' },
    {
      Effect: 'Allow',
      Action: ['kms:Decrypt', 'kms:Encrypt'],
      Resource: `arn:aws:kms:*:${ACCOUNT}:key/*`,
      Condition: {
        StringEquals: { 'aws:PrincipalAccount': ACCOUNT },
        IpAddress: { 'aws:SourceIp': '127.0.0.0/8' },
      },
    },
  ],
});

/** Makes the callers, and a key for each; gives the request of each of USER_CASES, and of BY_ROOT. */
export async function encryptRequests(port: number): Promise<Record<string, KmsRequest>> {
  const endpoint = { endpoint: `http://127.0.0.1:${port}`, region: REGION };
  const iam = new IAMClient({ ...endpoint, credentials: CREDENTIALS });

  const reader = await user(iam, 'reader');
  await iam.send(new PutUserPolicyCommand({ UserName: 'reader', PolicyName: 'reads', PolicyDocument: IAM_POLICY }));

  const named = await user(iam, 'named');

  const grantee = await user(iam, 'grantee');
  const grantedKeyId = await createKey(port);
  for (let at = 1; at <= GRANTS; at++) {
    const Operations = at === GRANTS ? ['Encrypt'] : ['Decrypt', 'DescribeKey'];
    const body = { KeyId: grantedKeyId, GranteePrincipal: userArn('grantee'), Operations };
    await call(port, { operation: 'CreateGrant', body });
  }

  const { Role } = await iam.send(
    new CreateRoleCommand({
      RoleName: 'worker',
      AssumeRolePolicyDocument: allowing(userArn('reader'), 'sts:AssumeRole'),
    }),
  );
  await iam.send(new PutRolePolicyCommand({ RoleName: 'worker', PolicyName: 'works', PolicyDocument: IAM_POLICY }));
  const sts = new STSClient({ ...endpoint, credentials: reader });
  const assumed = await sts.send(new AssumeRoleCommand({ RoleArn: Role!.Arn!, RoleSessionName: 'bench' }));
  const { AccessKeyId, SecretAccessKey, SessionToken } = assumed.Credentials!;
  const session = { accessKeyId: AccessKeyId!, secretAccessKey: SecretAccessKey!, sessionToken: SessionToken! };

  return {
    [BY_ROOT]: encryptRequest(await createKey(port)),
    [BY_IAM_POLICY]: { ...encryptRequest(await createKey(port)), credentials: reader },
    [BY_KEY_POLICY]: { ...encryptRequest(await createKey(port, keyPolicy(userArn('named')))), credentials: named },
    [BY_GRANT]: { ...encryptRequest(grantedKeyId), credentials: grantee },
    [BY_ROLE_POLICY]: { ...encryptRequest(await createKey(port)), credentials: session },
  };
}

const userArn = (name: string): string => `arn:aws:iam::${ACCOUNT}:user/${name}`;

const statement = (principal: string, action: string | readonly string[]) => ({
  Effect: 'Allow',
  Principal: { AWS: principal },
  Action: action,
});

const allowing = (principal: string, action: string): string =>
  JSON.stringify({ Version: '2012-10-17', Statement: [statement(principal, action)] });

/** The default policy, and a user beside the root. */
const keyPolicy = (principal: string): string =>
  JSON.stringify({
    Version: '2012-10-17',
    Statement: [
      { ...statement(`arn:aws:iam::${ACCOUNT}:root`, 'kms:*'), Resource: '*' },
      { ...statement(principal, ['kms:Decrypt', 'kms:Encrypt']), Resource: '*' },
    ],
  });

async function user(iam: IAMClient, UserName: string): Promise<Credentials> {
  await iam.send(new CreateUserCommand({ UserName }));
  const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName }));
  return { accessKeyId: AccessKey!.AccessKeyId!, secretAccessKey: AccessKey!.SecretAccessKey! };
}
