import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateAccessKeyCommand, CreateUserCommand, PutUserPolicyCommand } from '@aws-sdk/client-iam';
import {
  CreateAliasCommand,
  CreateGrantCommand,
  CreateKeyCommand,
  DecryptCommand,
  DescribeKeyCommand,
  DisableKeyCommand,
  EncryptCommand,
  PutKeyPolicyCommand,
} from '@aws-sdk/client-kms';
import { connect, type Msg, type NatsConnection } from 'nats';
import { readEndpoint } from '#platform/embedded-nats';
import { allowing, type Clients, type Credentials, clientsOf, longTerm, refusal } from './support/identities';
import { connectAsRoot, requestAs } from './support/nats-client';
import { type KeytrailProcess, MAIN, run, startProcess } from './support/processes';

const ACCOUNT = '000000000000';
const OTHER = '111122223333';
const ROOT = `arn:aws:iam::${ACCOUNT}:root`;
const ANN = `arn:aws:iam::${ACCOUNT}:user/ann`;
const BOB = `arn:aws:iam::${OTHER}:user/bob`;
const Plaintext = Buffer.from('secret');

let dataDir: string;
let server: KeytrailProcess;
let root: Clients;
let ann: Clients;
let bob: Clients;
/** Unique ids, by which NATS knows them. */
const ids: Record<string, string> = {};
/** Whose connection may ask as anybody. */
let everybody: NatsConnection;

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-authorization-'));
  server = await startProcess(dataDir);
  root = clientsOf(server.endpoint, (await server.kms.config.credentials()) as Credentials);
  const made = await keytrail('account', 'create', OTHER);
  const value = (name: string): string => new RegExp(`${name} = (\\S+)`).exec(made.output)![1]!;
  const otherRoot = clientsOf(server.endpoint, {
    accessKeyId: value('aws_access_key_id'),
    secretAccessKey: value('aws_secret_access_key'),
  });
  ann = await user(root, 'ann');
  bob = await user(otherRoot, 'bob');
  bobRoot = otherRoot;
  everybody = await connectAs('embedded');
});

let bobRoot: Clients;

afterAll(async () => {
  await everybody?.close();
  await server?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

const keytrail = (...args: string[]) => run([MAIN, ...args], { KEYTRAIL_DATA_DIR: dataDir }).done;

function connectAs(name: string): Promise<NatsConnection> {
  const { url, users } = JSON.parse(readFileSync(join(dataDir, 'nats/endpoint.json'), 'utf8'));
  const { user: login, password } = users[name];
  return connect({ servers: url, user: login, pass: password, inboxPrefix: `_INBOX_${name}` });
}

/** A user with an access key and no policy. */
async function user(of: Clients, UserName: string): Promise<Clients> {
  const { User } = await of.iam.send(new CreateUserCommand({ UserName }));
  ids[UserName] = User!.UserId!;
  return clientsOf(server.endpoint, longTerm(await of.iam.send(new CreateAccessKeyCommand({ UserName }))));
}

const may = (of: Clients, UserName: string, ...actions: string[]) =>
  of.iam.send(new PutUserPolicyCommand({ UserName, PolicyName: 'own', PolicyDocument: allowing(...actions) }));

interface Key {
  KeyId: string;
  Arn: string;
}

async function newKey(...statements: object[]): Promise<Key> {
  const { KeyMetadata } = await root.kms.send(new CreateKeyCommand({}));
  const key = { KeyId: KeyMetadata!.KeyId!, Arn: KeyMetadata!.Arn! };
  if (statements.length > 0) await putPolicy(key, ...statements);
  return key;
}

const putPolicy = ({ KeyId }: Key, ...statements: object[]) =>
  root.kms.send(
    new PutKeyPolicyCommand({
      KeyId,
      Policy: JSON.stringify({
        Version: '2012-10-17',
        Statement: [{ Effect: 'Allow', Principal: { AWS: ROOT }, Action: 'kms:*', Resource: '*' }, ...statements],
      }),
    }),
  );

const statement = (Effect: 'Allow' | 'Deny', AWS: string, Action: string) => ({
  ...{ Effect, Action, Principal: { AWS }, Resource: '*' },
});

const encrypt = (who: Clients, KeyId: string) => who.kms.send(new EncryptCommand({ KeyId, Plaintext }));
const denied = (who: string, action: string, on: string) => [
  'AccessDeniedException',
  `User: ${who} is not authorized to perform: kms:${action} on ${on}`,
  400,
];
const NOWHERE =
  'this resource because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access';

describe('over HTTP, in the account of the key', () => {
  test('a user is let in by an IAM policy, by the key policy, and by neither without', async () => {
    const { KeyId, Arn } = await newKey();
    await may(root, 'ann', 'kms:ListKeys');
    const nothing = denied(
      ANN,
      'Encrypt',
      `resource: ${Arn} because no identity-based policy allows the kms:Encrypt action`,
    );
    expect(await refusal(encrypt(ann, KeyId))).toEqual(nothing);
    await may(root, 'ann', 'kms:Encrypt');
    expect((await encrypt(ann, KeyId)).KeyId).toBe(Arn);
    await may(root, 'ann', 'kms:ListKeys');
    expect(await refusal(encrypt(ann, KeyId))).toEqual(nothing);
    await putPolicy({ KeyId, Arn }, statement('Allow', ANN, 'kms:Encrypt'));
    expect((await encrypt(ann, KeyId)).KeyId).toBe(Arn);
    expect(await refusal(ann.kms.send(new DisableKeyCommand({ KeyId })))).toEqual(
      denied(ANN, 'DisableKey', `resource: ${Arn} because no identity-based policy allows the kms:DisableKey action`),
    );
  });

  test('an explicit deny of either kind wins', async () => {
    const { KeyId, Arn } = await newKey(statement('Deny', ANN, 'kms:Encrypt'));
    await may(root, 'ann', 'kms:*');
    expect(await refusal(encrypt(ann, KeyId))).toEqual(
      denied(ANN, 'Encrypt', `resource: ${Arn} with an explicit deny in a resource-based policy`),
    );
    await putPolicy({ KeyId, Arn }, statement('Allow', ANN, 'kms:*'));
    await root.iam.send(
      new PutUserPolicyCommand({
        UserName: 'ann',
        PolicyName: 'no',
        PolicyDocument: JSON.stringify({
          Version: '2012-10-17',
          Statement: { Effect: 'Deny', Action: 'kms:Encrypt', Resource: Arn },
        }),
      }),
    );
    expect(await refusal(encrypt(ann, KeyId))).toEqual(
      denied(ANN, 'Encrypt', `resource: ${Arn} with an explicit deny in an identity-based policy`),
    );
    expect((await ann.kms.send(new DescribeKeyCommand({ KeyId }))).KeyMetadata!.Arn).toBe(Arn);
  });
});

describe('over HTTP, from another account', () => {
  test('a key needs to be opened by its policy, and by the caller’s own', async () => {
    const key = await newKey();
    await may(bobRoot, 'bob', 'kms:*');
    expect(await refusal(encrypt(bob, key.Arn))).toEqual(denied(BOB, 'Encrypt', NOWHERE));
    const missing = key.Arn.replace(key.KeyId, '11111111-2222-4333-8444-555555555555');
    expect(await refusal(encrypt(bob, missing))).toEqual(denied(BOB, 'Encrypt', NOWHERE));
    await putPolicy(key, statement('Allow', `arn:aws:iam::${OTHER}:root`, 'kms:*'));
    const { CiphertextBlob, KeyId } = await encrypt(bob, key.Arn);
    expect(KeyId).toBe(key.Arn);
    const decrypted = await bob.kms.send(new DecryptCommand({ CiphertextBlob }));
    expect(Buffer.from(decrypted.Plaintext!)).toEqual(Plaintext);
    await may(bobRoot, 'bob', 'kms:Encrypt');
    expect(await refusal(bob.kms.send(new DecryptCommand({ CiphertextBlob })))).toEqual(
      denied(BOB, 'Decrypt', `resource: ${key.Arn} because no identity-based policy allows the kms:Decrypt action`),
    );
    expect(await refusal(bob.kms.send(new DisableKeyCommand({ KeyId: key.Arn })))).toEqual(
      denied(BOB, 'DisableKey', NOWHERE),
    );
  });

  test('a grant opens it too, and needs the caller’s own policy as well', async () => {
    const { KeyId, Arn } = await newKey();
    const { CiphertextBlob } = await encrypt(root, KeyId);
    const decrypt = (who: Clients) => who.kms.send(new DecryptCommand({ CiphertextBlob }));
    await may(root, 'ann', 'kms:ListKeys');
    await may(bobRoot, 'bob', 'kms:ListKeys');
    const noPolicy = (who: string) =>
      denied(who, 'Decrypt', `resource: ${Arn} because no identity-based policy allows the kms:Decrypt action`);
    expect(await refusal(decrypt(ann))).toEqual(noPolicy(ANN));
    expect(await refusal(decrypt(bob))).toEqual(
      denied(BOB, 'Decrypt', NOWHERE.replace('this resource', 'the resource associated with this ciphertext')),
    );
    for (const GranteePrincipal of [ANN, BOB]) {
      await root.kms.send(new CreateGrantCommand({ KeyId, GranteePrincipal, Operations: ['Decrypt'] }));
    }
    expect((await decrypt(ann)).KeyId).toBe(Arn);
    expect(await refusal(decrypt(bob))).toEqual(noPolicy(BOB));
    await may(bobRoot, 'bob', 'kms:Decrypt');
    expect((await decrypt(bob)).KeyId).toBe(Arn);
    const { code, output } = await keytrail('explain', '--principal', 'ann', '--action', 'Decrypt', '--key', KeyId);
    expect(output).toMatch(/^allowed: .*\ndecided by: grant [0-9a-f]{64}$/m);
    expect(code).toBe(0);
  });

  test('an alias is named by its ARN', async () => {
    const key = await newKey(statement('Allow', BOB, 'kms:Encrypt'));
    await root.kms.send(new CreateAliasCommand({ AliasName: 'alias/shared', TargetKeyId: key.KeyId }));
    await may(bobRoot, 'bob', 'kms:Encrypt');
    const alias = `arn:aws:kms:us-east-1:${ACCOUNT}:alias/shared`;
    expect((await encrypt(bob, alias)).KeyId).toBe(key.Arn);
    expect((await refusal(encrypt(bob, 'alias/shared')))[0]).toBe('NotFoundException');
  });
});

describe('over NATS', () => {
  const ask = (account: string, principal: string, operation: string, input: object): Promise<Msg> =>
    requestAs(everybody, `kms.req.us-east-1.${account}.${principal}.${operation}`, JSON.stringify(input));

  test('the same policies hold, for the principal of the subject', async () => {
    const key = await newKey(statement('Allow', BOB, 'kms:Encrypt'));
    await may(root, 'ann', 'kms:DescribeKey');
    await may(bobRoot, 'bob', 'kms:Encrypt');
    const input = { KeyId: key.Arn, Plaintext: Plaintext.toString('base64') };
    expect((await ask(ACCOUNT, 'root', 'Encrypt', input)).json()).toMatchObject({ KeyId: key.Arn });
    expect((await ask(OTHER, ids['bob']!, 'Encrypt', input)).json()).toMatchObject({ KeyId: key.Arn });
    expect((await ask(ACCOUNT, ids['ann']!, 'Encrypt', input)).json()).toEqual({
      __type: 'AccessDeniedException',
      message: `User: ${ANN} is not authorized to perform: kms:Encrypt on resource: ${key.Arn} because no identity-based policy allows the kms:Encrypt action`,
    });
    expect((await ask(OTHER, ids['bob']!, 'DescribeKey', { KeyId: key.Arn })).json()).toEqual({
      __type: 'AccessDeniedException',
      message: `User: ${BOB} is not authorized to perform: kms:DescribeKey on ${NOWHERE}`,
    });
  });

  test('a principal that is not there is nobody', async () => {
    const invalid = {
      __type: 'UnrecognizedClientException',
      message: 'The security token included in the request is invalid.',
    };
    for (const [account, principal] of [
      [ACCOUNT, 'AIDANOBODY'],
      [OTHER, ids['ann']!],
      ['999988887777', 'root'],
      [ACCOUNT, 'AROANOBODY:job'],
    ] as const) {
      expect((await ask(account, principal, 'ListKeys', {})).json()).toEqual(invalid);
      expect((await ask(account, principal, 'GenerateRandom', { NumberOfBytes: 1 })).json()).toEqual(invalid);
    }
  });

  test('nobody but a gateway may vouch for others', async () => {
    const client = await connectAsRoot(readEndpoint(dataDir)!.url, dataDir);
    const refused = await client
      .request(`kms.gw.us-east-1.${ACCOUNT}.root.ListKeys`, '{}', { timeout: 2_000 })
      .catch((error: Error) => error);
    expect((refused as Error).message).toMatch(/Permissions Violation|TIMEOUT/);
    await client.close();
  });
});

describe('./keytrail explain', () => {
  test('says what decides, and why the rest does not', async () => {
    const key = await newKey(statement('Allow', BOB, 'kms:Encrypt'));
    await may(root, 'ann', 'kms:DescribeKey');
    const denies = await keytrail('explain', '--principal', 'ann', '--action', 'kms:Encrypt', '--key', key.KeyId);
    expect(denies.code).toBe(1);
    expect(denies.output).toContain(`denied: ${ANN} may not kms:Encrypt on ${key.Arn}`);
    expect(denies.output).toContain('decided by: nothing: no identity-based policy allows it');
    expect(denies.output).toContain('key policy, statement 1 (Allow): matches, through the account');
    expect(denies.output).toContain('key policy, statement 2 (Allow): no match by principal');
    expect(denies.output).toContain('identity policy own, statement 1 (Allow): no match by action');
    await may(bobRoot, 'bob', 'kms:ListKeys');
    const half = await keytrail('explain', '--principal', BOB, '--action', 'Encrypt', '--key', key.Arn, '--json');
    expect(half.code).toBe(1);
    expect(JSON.parse(half.output)).toMatchObject({
      allowed: false,
      decidedBy: { kind: 'nothing', missing: 'identity-based policy' },
    });
    await may(bobRoot, 'bob', 'kms:Encrypt');
    const now = await keytrail('explain', '--principal', BOB, '--action', 'Encrypt', '--key', key.Arn, '--json');
    expect(now.code).toBe(0);
    expect(JSON.parse(now.output)).toMatchObject({
      allowed: true,
      principal: BOB,
      action: 'kms:Encrypt',
      resource: key.Arn,
      decidedBy: { kind: 'statement', policy: 'key policy', index: 1, effect: 'Allow' },
    });
  });

  test('says of RetireGrant what the grant says, whatever the key policy', async () => {
    const key = await newKey(statement('Allow', ANN, 'kms:*'));
    await may(root, 'ann', 'kms:*');
    const asked = { KeyId: key.KeyId, GranteePrincipal: ROOT, Operations: ['Decrypt' as const] };
    const foreign = (await root.kms.send(new CreateGrantCommand({ ...asked, RetiringPrincipal: BOB }))).GrantId!;
    const explained = (principal: string, ...more: string[]) =>
      keytrail('explain', '--principal', principal, '--action', 'RetireGrant', '--key', key.Arn, ...more);
    await may(bobRoot, 'bob', 'kms:RetireGrant');
    const retiring = await explained(BOB, '--grant', foreign);
    expect(retiring.output).toContain(`decided by: grant ${foreign}`);
    expect(retiring.code).toBe(0);
    const other = (await root.kms.send(new CreateGrantCommand({ ...asked, Name: 'other' }))).GrantId!;
    expect((await explained(BOB, '--grant', other)).code).toBe(1);
    expect((await explained('root', '--grant', other)).code).toBe(0);
    expect((await explained('root')).output).toContain('--grant: expected a grant id');
    expect((await explained('root', '--grant', 'ff')).output).toContain('the key has no such grant');
  });

  test('says of CreateGrant what a grant allows to give away', async () => {
    const key = await newKey();
    await may(root, 'ann', 'kms:ListKeys');
    const Operations = ['Decrypt' as const, 'CreateGrant' as const];
    await root.kms.send(new CreateGrantCommand({ KeyId: key.KeyId, GranteePrincipal: ANN, Operations }));
    const explained = (...more: string[]) =>
      keytrail('explain', '--principal', 'ann', '--action', 'CreateGrant', '--key', key.Arn, ...more);
    const within = await explained('--context', 'kms:GrantOperations=Decrypt');
    expect(within.output).toContain('decided by: grant ');
    expect(within.code).toBe(0);
    expect((await explained('--context', 'kms:GrantOperations=Decrypt,Encrypt')).code).toBe(1);
    expect((await explained()).output).toContain('what the new grant allows must be allowed by this one too');
    const sung = await explained('--context', 'kms:GrantOperations=Sing');
    expect(sung).toMatchObject({
      code: 2,
      output: expect.stringContaining('Sing: no operation that a grant') as string,
    });
  });

  test.each([
    [['--action', 'kms:Encrypt'], '--principal'],
    [['--principal', 'nobody', '--action', 'kms:ListKeys'], 'the log has no such principal'],
    [['--principal', 'ann', '--action', 'kms:Sing'], 'expected an action of AWS KMS'],
    [['--principal', 'ann', '--action', 'kms:Encrypt', '--key', 'none'], 'the log has no key none'],
    [['--principal', 'ann', '--action', 'kms:Encrypt', '--context', 'x'], 'expected name=value'],
    [['--principal', 'ann', '--action', 'kms:Encrypt'], '--key: expected a key'],
    [['--principal', 'ann', '--action', 'kms:ListKeys', '--key', 'x'], 'is about no key'],
  ])('ends with 2 for %j', async (args, message) => {
    const { code, output } = await keytrail('explain', ...args);
    expect(output).toContain(message);
    expect(code).toBe(2);
  });

  test('has its help', async () => {
    const { code, output } = await keytrail('explain', '--help');
    expect(code).toBe(0);
    expect(output).toContain('keytrail explain --principal ann --action kms:Decrypt --key alias/orders');
  });
});
