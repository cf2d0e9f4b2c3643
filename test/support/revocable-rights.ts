import { DescribeKeyCommand, EncryptCommand } from '@aws-sdk/client-kms';
import { AssumeRoleCommand } from '@aws-sdk/client-sts';
import { connect } from 'nats';
import type { Follower, HeldServices } from './held-services';
import { type Clients, type Credentials, clientsOf, temporary, trusting } from './identities';
import { until } from './nats-server';
import { ALLOW_ALL, askOverNats, document, FROM_ROOT, roleArn, userArn } from './root-over-nats';

/** One way to use a right: what comes of it is `OK`, or the error. */
export interface Way {
  use(): Promise<string>;
  /** What comes of it once the right is gone. */
  refusal: string;
}

/** What somebody may do, by the follower that serves it, and the one write after which it is forbidden. */
export interface Right {
  ways: Partial<Record<Follower, Way[]>>;
  revoke: readonly [operation: string, request: object];
}

export const outcomes = (ways: readonly Way[]): Promise<string[]> => Promise.all(ways.map(({ use }) => use()));
export const ALLOWED = (ways: readonly Way[]): string[] => ways.map(() => 'OK');
export const refusals = (ways: readonly Way[]): string[] => ways.map(({ refusal }) => refusal);

/** Resolves once both gateways have its credentials, and the follower's view all that it rests on. */
export const usable = (ways: readonly Way[]): Promise<void> =>
  until(async () => (await outcomes(ways)).every((outcome) => outcome === 'OK'), 'the right was not to be had');

const DENIED = 'AccessDeniedException';
const UNKNOWN_CALLER = 'UnrecognizedClientException';

/** Rights of new users to new keys. `name`, of everything that has one, is to be used once. */
export class RevocableRights {
  constructor(private readonly services: HeldServices) {}

  private get root() {
    return this.services.root;
  }

  /** By each of the gateways, which have the signing key once it has been used. */
  private byHttp(credentials: Credentials, use: (clients: Clients) => Promise<unknown>, refusal: string): Way[] {
    return this.services.endpoints.map((endpoint) => ({
      refusal,
      use: async () => {
        const clients = clientsOf(endpoint, credentials);
        try {
          await use(clients);
          return 'OK';
        } catch (error) {
          return (error as Error).name;
        } finally {
          for (const client of Object.values(clients)) client.destroy();
        }
      },
    }));
  }

  /** On a NATS connection that is open. */
  private overNats(principal: string, operation: string, body: object, refusal: string): Way {
    const { nats } = this.services;
    return { refusal, use: async () => (await askOverNats(nats, principal, operation, body)).__type ?? 'OK' };
  }

  /** Opening a NATS connection. */
  private login({ accessKeyId: user, secretAccessKey: pass }: Credentials): Way {
    return {
      refusal: 'AUTHORIZATION_VIOLATION',
      use: async () => {
        try {
          await (await connect({ servers: this.services.url, user, pass, reconnect: false })).close();
          return 'OK';
        } catch (error) {
          return (error as { code: string }).code;
        }
      },
    };
  }

  /** Of a key, by whoever has the credentials and, over NATS, is the principal. */
  uses(
    KeyId: string,
    { credentials, userId }: { credentials?: Credentials; userId?: string },
    refusal = DENIED,
  ): Record<Follower, Way[]> {
    const Plaintext = Buffer.from('AAAA');
    const encrypt = ({ kms }: Clients): Promise<unknown> => kms.send(new EncryptCommand({ KeyId, Plaintext }));
    const describe = ({ kms }: Clients): Promise<unknown> => kms.send(new DescribeKeyCommand({ KeyId }));
    return {
      'crypto-worker': [
        ...(credentials ? this.byHttp(credentials, encrypt, refusal) : []),
        ...(userId === undefined ? [] : [this.overNats(userId, 'Encrypt', { KeyId, Plaintext: 'AAAA' }, refusal)]),
      ],
      'key-manager': [
        ...(credentials ? this.byHttp(credentials, describe, refusal) : []),
        ...(userId === undefined ? [] : [this.overNats(userId, 'DescribeKey', { KeyId }, refusal)]),
      ],
    };
  }

  /** A user with an access key, and a key that only a further permission opens. */
  private async userAndKey(name: string) {
    const KeyId = await this.root.newKey();
    const userId = await this.root.newUser(name);
    return { KeyId, userId, arn: userArn(name), credentials: await this.root.newAccessKey(name) };
  }

  private putUserPolicy(UserName: string, Action = 'kms:*'): Promise<unknown> {
    const PolicyDocument = document({ ...ALLOW_ALL, Action });
    return this.root.call('PutUserPolicy', { UserName, PolicyName: 'all', PolicyDocument });
  }

  async allowedByIdentity(name: string) {
    const user = await this.userAndKey(name);
    await this.putUserPolicy(name);
    return user;
  }

  /** What the state of a key forbids a key-manager is a change of that key, which its append would refuse on an outdated view. */
  private async byStateOfKey(name: string, operation: string, refusal: string): Promise<Right> {
    const user = await this.allowedByIdentity(name);
    const { 'crypto-worker': encrypt } = this.uses(user.KeyId, user, refusal);
    return { ways: { 'crypto-worker': encrypt }, revoke: [operation, { KeyId: user.KeyId }] };
  }

  disableKey = (name: string) => this.byStateOfKey(name, 'DisableKey', 'DisabledException');
  scheduleKeyDeletion = (name: string) => this.byStateOfKey(name, 'ScheduleKeyDeletion', 'KMSInvalidStateException');

  updateAssumeRolePolicy = async (name: string): Promise<Right> => {
    const { credentials, arn } = await this.userAndKey(name);
    await this.root.newUser(`other-${name}`);
    await this.putUserPolicy(name, 'sts:AssumeRole');
    await this.root.call('CreateRole', { RoleName: name, AssumeRolePolicyDocument: trusting(arn) });
    const session = { RoleArn: roleArn(name), RoleSessionName: 'held' };
    const ways = this.byHttp(credentials, ({ sts }) => sts.send(new AssumeRoleCommand(session)), 'AccessDenied');
    const PolicyDocument = trusting(userArn(`other-${name}`));
    return { ways: { 'crypto-worker': ways }, revoke: ['UpdateAssumeRolePolicy', { RoleName: name, PolicyDocument }] };
  };

  putKeyPolicy = async (name: string): Promise<Right> => {
    const user = await this.allowedByIdentity(name);
    return { ways: this.uses(user.KeyId, user), revoke: putKeyPolicy(user.KeyId, onKey('Deny', user.arn)) };
  };

  private async byGrant(name: string, operation: string): Promise<Right> {
    const user = await this.userAndKey(name);
    const { KeyId } = user;
    const grant = { KeyId, GranteePrincipal: user.arn, Operations: ['Encrypt', 'DescribeKey'] };
    const { GrantId } = await this.root.call<{ GrantId: string }>('CreateGrant', grant);
    const { KeyMetadata } = await this.root.call<{ KeyMetadata: { Arn: string } }>('DescribeKey', { KeyId });
    return { ways: this.uses(KeyId, user), revoke: [operation, { KeyId: KeyMetadata.Arn, GrantId }] };
  }

  revokeGrant = (name: string) => this.byGrant(name, 'RevokeGrant');
  retireGrant = (name: string) => this.byGrant(name, 'RetireGrant');

  putUserPolicyAnew = async (name: string): Promise<Right> => {
    const user = await this.allowedByIdentity(name);
    const PolicyDocument = document({ ...ALLOW_ALL, Effect: 'Deny' });
    const request = { UserName: name, PolicyName: 'all', PolicyDocument };
    return { ways: this.uses(user.KeyId, user), revoke: ['PutUserPolicy', request] };
  };

  deleteUserPolicy = async (name: string): Promise<Right> => {
    const user = await this.allowedByIdentity(name);
    return { ways: this.uses(user.KeyId, user), revoke: ['DeleteUserPolicy', { UserName: name, PolicyName: 'all' }] };
  };

  untagUser = async (name: string): Promise<Right> => {
    const user = await this.userAndKey(name);
    await this.root.call('TagUser', { UserName: name, Tags: [{ Key: 'team', Value: 'a' }] });
    const Condition = { StringEquals: { 'aws:PrincipalTag/team': 'a' } };
    await this.root.call(...putKeyPolicy(user.KeyId, { ...onKey('Allow', user.arn), Condition }));
    return { ways: this.uses(user.KeyId, user), revoke: ['UntagUser', { UserName: name, TagKeys: ['team'] }] };
  };

  untagResource = async (name: string): Promise<Right> => {
    const user = await this.userAndKey(name);
    const { KeyId } = user;
    await this.root.call('TagResource', { KeyId, Tags: [{ TagKey: 'team', TagValue: 'a' }] });
    const Condition = { StringEquals: { 'aws:ResourceTag/team': 'a' } };
    await this.root.call(...putKeyPolicy(KeyId, { ...onKey('Allow', user.arn), Condition }));
    return { ways: this.uses(KeyId, user), revoke: ['UntagResource', { KeyId, TagKeys: ['team'] }] };
  };

  /** Without an access key: those would have to be deleted first. */
  deleteUser = async (name: string): Promise<Right> => {
    const KeyId = await this.root.newKey();
    const userId = await this.root.newUser(name);
    await this.root.call(...putKeyPolicy(KeyId, onKey('Allow', userArn(name))));
    return { ways: this.uses(KeyId, { userId }, UNKNOWN_CALLER), revoke: ['DeleteUser', { UserName: name }] };
  };

  /** With a session of the role. */
  deleteRole = async (name: string): Promise<Right> => {
    const { KeyId, credentials: own, arn } = await this.userAndKey(name);
    await this.putUserPolicy(name, 'sts:AssumeRole');
    await this.root.call('CreateRole', { RoleName: name, AssumeRolePolicyDocument: trusting(arn) });
    await this.root.call(...putKeyPolicy(KeyId, onKey('Allow', roleArn(name))));
    const session = { RoleArn: roleArn(name), RoleSessionName: 'held' };
    const { sts } = clientsOf(this.services.endpoints[0]!, own);
    let credentials = own;
    await until(async () => {
      const assumed = await sts.send(new AssumeRoleCommand(session)).catch(() => undefined);
      if (assumed) credentials = temporary(assumed.Credentials);
      return assumed !== undefined;
    }, 'the role was not assumed');
    sts.destroy();
    return { ways: this.uses(KeyId, { credentials }, UNKNOWN_CALLER), revoke: ['DeleteRole', { RoleName: name }] };
  };

  /** A NATS connection that was opened with it is its user's until its hour is over: docs/authorisation.md, NATS clients. */
  private async byAccessKey(name: string, operation: string, members: object = {}): Promise<Right> {
    const { KeyId, credentials } = await this.allowedByIdentity(name);
    const ways = this.uses(KeyId, { credentials }, UNKNOWN_CALLER);
    ways['crypto-worker'].push(this.login(credentials));
    return { ways, revoke: [operation, { UserName: name, AccessKeyId: credentials.accessKeyId, ...members }] };
  }

  updateAccessKey = (name: string) => this.byAccessKey(name, 'UpdateAccessKey', { Status: 'Inactive' });
  deleteAccessKey = (name: string) => this.byAccessKey(name, 'DeleteAccessKey');
}

export const putKeyPolicy = (KeyId: string, ...statements: object[]): [string, object] => [
  'PutKeyPolicy',
  { KeyId, PolicyName: 'default', Policy: document(FROM_ROOT, ...statements) },
];
export const onKey = (effect: 'Allow' | 'Deny', AWS: string): object => ({
  ...ALLOW_ALL,
  Effect: effect,
  Principal: { AWS },
});
