import { randomBytes } from 'node:crypto';
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
import { CreateKeyCommand, EncryptCommand, ListKeysCommand } from '@aws-sdk/client-kms';
import { AssumeRoleCommand, GetCallerIdentityCommand } from '@aws-sdk/client-sts';
import { allowing, clientsOf, longTerm, refusal, temporary, trusting } from './support/identities';
import { freePort, startNats, type TestNats } from './support/nats-server';
import { type AppProcess, startApp } from './support/processes';

const ROOT = { accessKeyId: 'AKIAROOT', secretAccessKey: 'the-secret-of-root' };

let dataDir: string;
let nats: TestNats;
let endpoint: string;
const apps: AppProcess[] = [];

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-iam-processes-'));
  nats = await startNats();
  const port = await freePort();
  endpoint = `http://127.0.0.1:${port}`;
  const settings = {
    KEYTRAIL_ROOT_KEY: randomBytes(32).toString('base64'),
    KEYTRAIL_ROOT_ACCESS_KEY_ID: ROOT.accessKeyId,
    KEYTRAIL_ROOT_SECRET_ACCESS_KEY: ROOT.secretAccessKey,
    KEYTRAIL_PORT: String(port),
    KEYTRAIL_LEASE_MS: '500',
  };
  const start = (app: string, name = app) =>
    startApp(app, nats.url, { ...settings, KEYTRAIL_DATA_DIR: join(dataDir, name) });
  // Two of each: what one of them made, the other must know.
  apps.push(await start('key-manager'));
  const rest = [
    ...['key-manager', 'crypto-worker', 'crypto-worker', 'gateway'].map((app, at) => start(app, `${app}-${at}`)),
  ];
  apps.push(...(await Promise.all(rest)));
}, 60_000);

afterAll(async () => {
  await Promise.all(apps.map((app) => app.stop()));
  await nats?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

test('separate processes agree at once on who is who', async () => {
  const root = clientsOf(endpoint, ROOT);
  for (let i = 0; i < 5; i++) {
    const UserName = `user-${i}`;
    await root.iam.send(new CreateUserCommand({ UserName }));
    const PolicyDocument = allowing('kms:*', 'sts:AssumeRole');
    await root.iam.send(new PutUserPolicyCommand({ UserName, PolicyName: 'may', PolicyDocument }));
    const credentials = longTerm(await root.iam.send(new CreateAccessKeyCommand({ UserName })));
    const user = clientsOf(endpoint, credentials);
    expect((await user.sts.send(new GetCallerIdentityCommand({}))).Arn).toBe(
      `arn:aws:iam::000000000000:user/${UserName}`,
    );
    const { KeyId } = (await user.kms.send(new CreateKeyCommand({}))).KeyMetadata!;
    await user.kms.send(new EncryptCommand({ KeyId, Plaintext: Buffer.from('a') }));

    const RoleName = `role-${i}`;
    const AssumeRolePolicyDocument = trusting('arn:aws:iam::000000000000:root');
    const { Role } = await root.iam.send(new CreateRoleCommand({ RoleName, AssumeRolePolicyDocument }));
    await root.iam.send(
      new PutRolePolicyCommand({ RoleName, PolicyName: 'may', PolicyDocument: allowing('kms:Encrypt') }),
    );
    const assumed = await user.sts.send(new AssumeRoleCommand({ RoleArn: Role!.Arn!, RoleSessionName: 'session' }));
    const session = clientsOf(endpoint, temporary(assumed.Credentials));
    await session.kms.send(new EncryptCommand({ KeyId, Plaintext: Buffer.from('a') }));
    expect((await refusal(session.kms.send(new ListKeysCommand({}))))[0]).toBe('AccessDeniedException');

    // The gateway has kept the signing key of each; the workers and key-managers have the last word.
    const AccessKeyId = credentials.accessKeyId;
    await root.iam.send(new UpdateAccessKeyCommand({ UserName, AccessKeyId, Status: 'Inactive' }));
    expect((await refusal(user.kms.send(new ListKeysCommand({}))))[0]).toBe('UnrecognizedClientException');
    const encrypt = new EncryptCommand({ KeyId, Plaintext: Buffer.from('a') });
    expect((await refusal(user.kms.send(encrypt)))[0]).toBe('UnrecognizedClientException');
    await root.iam.send(new DeleteAccessKeyCommand({ UserName, AccessKeyId }));
    expect((await refusal(user.sts.send(new GetCallerIdentityCommand({}))))[0]).toBe('InvalidClientTokenId');
  }
}, 60_000);
