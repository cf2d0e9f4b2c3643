import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateAccessKeyCommand,
  CreateRoleCommand,
  CreateUserCommand,
  DeleteAccessKeyCommand,
  DeleteUserCommand,
  IAMClient,
} from '@aws-sdk/client-iam';
import {
  CreateGrantCommand,
  type CreateGrantRequest,
  CreateKeyCommand,
  DecryptCommand,
  DescribeKeyCommand,
  DisableKeyCommand,
  EnableKeyCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  type GrantOperation,
  KMSClient,
  ListGrantsCommand,
  ListRetirableGrantsCommand,
  paginateListGrants,
  ReEncryptCommand,
  RetireGrantCommand,
  RevokeGrantCommand,
  ScheduleKeyDeletionCommand,
} from '@aws-sdk/client-kms';
import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts';
import { connect, type NatsConnection } from 'nats';
import { requestSubject } from '#domain/subjects';
import { requestAs } from './support/nats-client';
import { startNats, type TestNats } from './support/nats-server';
import { type AppProcess, type KeytrailProcess, startApp, startProcess } from './support/processes';

const ACCOUNT = '000000000000';
const REGION = 'us-east-1';
const Plaintext = Buffer.from('granted');

const outcome = (answer: Promise<unknown>): Promise<string> =>
  answer.then(
    () => 'ok',
    (error: Error) => error.name,
  );

describe('over HTTP', () => {
  let dataDir: string;
  let server: KeytrailProcess;
  let root: KMSClient;
  let iam: IAMClient;
  let KeyId: string;
  let named = 0;

  interface Someone {
    kms: KMSClient;
    UserName: string;
    arn: string;
    AccessKeyId: string;
  }

  const clientOf = (accessKeyId: string, secretAccessKey: string, sessionToken?: string) => ({
    endpoint: server.endpoint,
    region: REGION,
    maxAttempts: 1,
    credentials: { accessKeyId, secretAccessKey, ...(sessionToken !== undefined && { sessionToken }) },
  });

  /** A user with an access key and no policy of its own. */
  async function someone(UserName = `user-${++named}`): Promise<Someone> {
    const { User } = await iam.send(new CreateUserCommand({ UserName }));
    const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName }));
    const kms = new KMSClient(clientOf(AccessKey!.AccessKeyId!, AccessKey!.SecretAccessKey!));
    return { kms, UserName, arn: User!.Arn!, AccessKeyId: AccessKey!.AccessKeyId! };
  }

  const grant = async (to: string, Operations: GrantOperation[], more: Partial<CreateGrantRequest> = {}) =>
    root.send(new CreateGrantCommand({ KeyId, GranteePrincipal: to, Operations, ...more }));

  const encrypt = async (EncryptionContext?: Record<string, string>): Promise<Uint8Array> =>
    (await root.send(new EncryptCommand({ KeyId, Plaintext, EncryptionContext }))).CiphertextBlob!;

  beforeAll(async () => {
    dataDir = mkdtempSync(join(tmpdir(), 'keytrail-grants-'));
    server = await startProcess(dataDir);
    root = server.kms;
    const { accessKeyId, secretAccessKey } = await root.config.credentials();
    iam = new IAMClient(clientOf(accessKeyId, secretAccessKey));
  });

  beforeEach(async () => {
    KeyId = (await root.send(new CreateKeyCommand({}))).KeyMetadata!.KeyId!;
  });

  afterAll(async () => {
    await server?.stop();
    rmSync(dataDir, { recursive: true, force: true });
  });

  test('a grant allows exactly its operations, within its constraints', async () => {
    const ann = await someone();
    const EncryptionContext = { Department: 'IT', Team: 'A' };
    const inside = { CiphertextBlob: await encrypt(EncryptionContext), EncryptionContext };
    const outside = { CiphertextBlob: await encrypt({ Team: 'A' }), EncryptionContext: { Team: 'A' } };
    expect(await outcome(ann.kms.send(new DecryptCommand(inside)))).toBe('AccessDeniedException');
    await grant(ann.arn, ['Decrypt', 'GenerateDataKey', 'ReEncryptFrom', 'DescribeKey'], {
      Constraints: { EncryptionContextSubset: { Department: 'IT' } },
    });
    const { Plaintext: decrypted } = await ann.kms.send(new DecryptCommand(inside));
    expect(Buffer.from(decrypted!)).toEqual(Plaintext);
    const dataKey = { KeyId, KeySpec: 'AES_256' } as const;
    const asked: [Promise<unknown>, string][] = [
      [ann.kms.send(new DecryptCommand(outside)), 'AccessDeniedException'],
      [ann.kms.send(new GenerateDataKeyCommand({ ...dataKey, EncryptionContext })), 'ok'],
      [ann.kms.send(new GenerateDataKeyCommand(dataKey)), 'AccessDeniedException'],
      [ann.kms.send(new EncryptCommand({ KeyId, Plaintext, EncryptionContext })), 'AccessDeniedException'],
      // It has ReEncryptFrom, and not ReEncryptTo.
      [
        ann.kms.send(
          new ReEncryptCommand({
            CiphertextBlob: inside.CiphertextBlob,
            SourceEncryptionContext: EncryptionContext,
            DestinationEncryptionContext: EncryptionContext,
            DestinationKeyId: KeyId,
          }),
        ),
        'AccessDeniedException',
      ],
      [ann.kms.send(new DescribeKeyCommand({ KeyId })), 'ok'],
      [ann.kms.send(new DisableKeyCommand({ KeyId })), 'AccessDeniedException'],
    ];
    expect(await Promise.all(asked.map(([answer]) => outcome(answer)))).toEqual(asked.map(([, code]) => code));
  });

  test('revoking or retiring a grant ends it at once; disabling its key does not', async () => {
    const [ann, bob] = [await someone(), await someone()];
    const CiphertextBlob = await encrypt();
    const decrypts = () => outcome(ann.kms.send(new DecryptCommand({ CiphertextBlob })));
    const revoked = await grant(ann.arn, ['Decrypt']);
    expect(await decrypts()).toBe('ok');
    await root.send(new DisableKeyCommand({ KeyId }));
    expect(await decrypts()).toBe('DisabledException');
    await root.send(new EnableKeyCommand({ KeyId }));
    expect(await decrypts()).toBe('ok');
    await root.send(new RevokeGrantCommand({ KeyId, GrantId: revoked.GrantId }));
    expect(await decrypts()).toBe('AccessDeniedException');

    const retired = await grant(ann.arn, ['Decrypt', 'RetireGrant'], { RetiringPrincipal: bob.arn });
    expect(await decrypts()).toBe('ok');
    await bob.kms.send(new RetireGrantCommand({ GrantToken: retired.GrantToken }));
    expect(await decrypts()).toBe('AccessDeniedException');

    const given = await grant(ann.arn, ['Decrypt', 'RetireGrant']);
    expect(await outcome(bob.kms.send(new RetireGrantCommand({ GrantToken: given.GrantToken })))).toBe(
      'AccessDeniedException',
    );
    await ann.kms.send(new RetireGrantCommand({ KeyId, GrantId: given.GrantId }));
    expect(await decrypts()).toBe('AccessDeniedException');
  });

  test('grants are listed page by page, by grantee, by id and by who may retire them', async () => {
    const [ann, bob] = [await someone(), await someone()];
    const made = await Promise.all(
      Array.from({ length: 7 }, (_, at) =>
        grant(at < 3 ? ann.arn : bob.arn, ['Decrypt'], { RetiringPrincipal: ann.arn }),
      ),
    );
    const ids: string[] = [];
    const pages = paginateListGrants({ client: root, pageSize: 3 }, { KeyId });
    for await (const { Grants } of pages) ids.push(...Grants!.map(({ GrantId }) => GrantId!));
    expect(ids).toEqual(made.map(({ GrantId }) => GrantId).sort());
    const byGrantee = await root.send(new ListGrantsCommand({ KeyId, GranteePrincipal: ann.arn }));
    expect(byGrantee.Grants!.map(({ GranteePrincipal }) => GranteePrincipal)).toEqual([ann.arn, ann.arn, ann.arn]);
    const byId = await root.send(new ListGrantsCommand({ KeyId, GrantId: made[6]!.GrantId }));
    expect(byId.Grants).toMatchObject([
      {
        GrantId: made[6]!.GrantId,
        GranteePrincipal: bob.arn,
        RetiringPrincipal: ann.arn,
        IssuingAccount: `arn:aws:iam::${ACCOUNT}:root`,
        Operations: ['Decrypt'],
        CreationDate: expect.any(Date),
      },
    ]);
    const retirable = await root.send(new ListRetirableGrantsCommand({ RetiringPrincipal: ann.arn, Limit: 5 }));
    expect(retirable).toMatchObject({ Truncated: true, NextMarker: expect.any(String) });
    await root.send(new ScheduleKeyDeletionCommand({ KeyId }));
    expect((await root.send(new ListGrantsCommand({ KeyId }))).Grants).toHaveLength(7);
  });

  test('a grantee with CreateGrant gives no more than it has', async () => {
    const [ann, bob] = [await someone(), await someone()];
    const Constraints = { EncryptionContextSubset: { Department: 'IT' } };
    const parent = await grant(ann.arn, ['CreateGrant', 'Decrypt'], { Constraints });
    const delegate = (more: Partial<CreateGrantRequest>) =>
      ann.kms.send(
        new CreateGrantCommand({
          KeyId,
          GranteePrincipal: bob.arn,
          Operations: ['Decrypt'],
          GrantTokens: [parent.GrantToken!],
          ...more,
        }),
      );
    expect(await outcome(delegate({}))).toBe('AccessDeniedException');
    expect(await outcome(delegate({ Constraints, Operations: ['Encrypt'] }))).toBe('AccessDeniedException');
    const EncryptionContext = { Department: 'IT', Project: 'x' };
    const child = await delegate({ Constraints: { EncryptionContextEquals: EncryptionContext } });
    const input = { CiphertextBlob: await encrypt(EncryptionContext), EncryptionContext };
    expect(await outcome(bob.kms.send(new DecryptCommand({ ...input, GrantTokens: [child.GrantToken!] })))).toBe('ok');
    const { Grants } = await root.send(new ListGrantsCommand({ KeyId, GrantId: child.GrantId }));
    expect(Grants).toMatchObject([{ GranteePrincipal: bob.arn, IssuingAccount: `arn:aws:iam::${ACCOUNT}:root` }]);
  });

  test('a grant to a role is for its sessions', async () => {
    const RoleName = `role-${++named}`;
    const who = await someone();
    const AssumeRolePolicyDocument = JSON.stringify({
      Version: '2012-10-17',
      Statement: { Effect: 'Allow', Principal: { AWS: who.arn }, Action: 'sts:AssumeRole' },
    });
    const { Role } = await iam.send(new CreateRoleCommand({ RoleName, AssumeRolePolicyDocument }));
    const sts = new STSClient({ ...clientOf('', ''), credentials: who.kms.config.credentials });
    const { Credentials } = await sts.send(new AssumeRoleCommand({ RoleArn: Role!.Arn, RoleSessionName: 'nightly' }));
    const { AccessKeyId, SecretAccessKey, SessionToken } = Credentials!;
    const session = new KMSClient(clientOf(AccessKeyId!, SecretAccessKey!, SessionToken));
    const decrypts = async () => outcome(session.send(new DecryptCommand({ CiphertextBlob: await encrypt() })));
    expect(await decrypts()).toBe('AccessDeniedException');
    await grant(Role!.Arn!, ['Decrypt']);
    expect(await decrypts()).toBe('ok');
  });

  test('a new user of an old name has nothing of its grants', async () => {
    const old = await someone();
    await grant(old.arn, ['Decrypt']);
    await iam.send(new DeleteAccessKeyCommand({ UserName: old.UserName, AccessKeyId: old.AccessKeyId }));
    await iam.send(new DeleteUserCommand({ UserName: old.UserName }));
    const fresh = await someone(old.UserName);
    expect(fresh.arn).toBe(old.arn);
    expect(await outcome(fresh.kms.send(new DecryptCommand({ CiphertextBlob: await encrypt() })))).toBe(
      'AccessDeniedException',
    );
    const { Grants } = await root.send(new ListGrantsCommand({ KeyId }));
    expect(Grants![0]!.GranteePrincipal).toMatch(/^AIDA/);
  });

  test('a token that is not ours is refused wherever it is shown', async () => {
    const GrantTokens = [randomBytes(200).toString('base64')];
    for (const answer of [
      root.send(new DescribeKeyCommand({ KeyId, GrantTokens })),
      root.send(new EncryptCommand({ KeyId, Plaintext, GrantTokens })),
      root.send(new RetireGrantCommand({ GrantToken: GrantTokens[0] })),
    ]) {
      expect(await outcome(answer)).toBe('InvalidGrantTokenException');
    }
  });
});

describe('among separate processes', () => {
  let nats: TestNats;
  let client: NatsConnection;
  let apps: AppProcess[] = [];

  type Reply = Record<string, unknown> & { __type?: string };

  /** Without Keytrail-After: whoever serves it may be behind. */
  async function kms<T = Reply>(operation: string, input: object, principalId = 'root'): Promise<T & Reply> {
    const subject = requestSubject(REGION, ACCOUNT, principalId, operation);
    return (await requestAs(client, subject, JSON.stringify(input))).json<T & Reply>();
  }

  beforeAll(async () => {
    nats = await startNats();
    const settings = {
      KEYTRAIL_ROOT_KEY: randomBytes(32).toString('base64'),
      KEYTRAIL_ROOT_ACCESS_KEY_ID: 'AKIAROOT',
      KEYTRAIL_ROOT_SECRET_ACCESS_KEY: 'secret',
    };
    const parts = ['key-manager', 'key-manager', 'crypto-worker', 'crypto-worker'];
    apps = await Promise.all(parts.map((app) => startApp(app, nats.url, settings)));
    client = await connect({ servers: nats.url });
  });

  afterAll(async () => {
    await client?.close();
    await Promise.all(apps.map((app) => app.stop()));
    await nats?.stop();
  });

  test('a token works at once against every process, whatever its view holds yet', async () => {
    const { User } = await kms<{ User: { Arn: string; UserId: string } }>('CreateUser', { UserName: 'ann' });
    const { KeyMetadata } = await kms<{ KeyMetadata: { KeyId: string } }>('CreateKey', {});
    const { KeyId } = KeyMetadata;
    for (let round = 0; round < 20; round++) {
      const created = await kms<{ GrantId: string; GrantToken: string }>('CreateGrant', {
        KeyId,
        GranteePrincipal: User.Arn,
        Operations: ['Encrypt', 'DescribeKey'],
      });
      expect(created.__type).toBeUndefined();
      const GrantTokens = [created.GrantToken];
      const Plaintext = Buffer.from('at once').toString('base64');
      const replies = await Promise.all(
        Array.from({ length: 4 }, () => [
          kms('Encrypt', { KeyId, Plaintext, GrantTokens }, User.UserId),
          kms('DescribeKey', { KeyId, GrantTokens }, User.UserId),
        ]).flat(),
      );
      expect(replies.map(({ __type }) => __type)).toEqual(replies.map(() => undefined));
      // Once it has been revoked, its token says where it was, and opens nothing.
      expect(await kms('RevokeGrant', { KeyId, GrantId: created.GrantId })).toEqual({});
      const after = await kms('Encrypt', { KeyId, Plaintext, GrantTokens }, User.UserId);
      expect(after.__type).toBe('AccessDeniedException');
    }
  });
});
