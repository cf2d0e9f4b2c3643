import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateAccessKeyCommand,
  CreateRoleCommand,
  CreateUserCommand,
  DeleteAccessKeyCommand,
  DeleteUserCommand,
  DeleteUserPolicyCommand,
  GetRoleCommand,
  PutUserPolicyCommand,
  UpdateAssumeRolePolicyCommand,
} from '@aws-sdk/client-iam';
import { CreateKeyCommand, EncryptCommand, GetKeyPolicyCommand, PutKeyPolicyCommand } from '@aws-sdk/client-kms';
import { AssumeRoleCommand } from '@aws-sdk/client-sts';
import { allowing, type Clients, type Credentials, clientsOf, longTerm, trusting } from './support/identities';
import { type KeytrailProcess, MAIN, run, startProcess } from './support/processes';

const ACCOUNT = '000000000000';
const ROOT = `arn:aws:iam::${ACCOUNT}:root`;
const ANN = `arn:aws:iam::${ACCOUNT}:user/ann`;
const UserName = 'ann';
const Plaintext = Buffer.from('secret');

let dataDir: string;
let server: KeytrailProcess;
let root: Clients;

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-namesakes-'));
  server = await startProcess(dataDir);
  root = clientsOf(server.endpoint, (await server.kms.config.credentials()) as Credentials);
});

afterAll(async () => {
  await server?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

interface Ann extends Clients {
  UserId: string;
  AccessKeyId: string;
}

/** A user ann with an access key, who may assume roles. */
async function newAnn(): Promise<Ann> {
  const { User } = await root.iam.send(new CreateUserCommand({ UserName }));
  const PolicyDocument = allowing('sts:AssumeRole');
  await root.iam.send(new PutUserPolicyCommand({ UserName, PolicyName: 'own', PolicyDocument }));
  const credentials = longTerm(await root.iam.send(new CreateAccessKeyCommand({ UserName })));
  return { UserId: User!.UserId!, AccessKeyId: credentials.accessKeyId, ...clientsOf(server.endpoint, credentials) };
}

async function remove({ AccessKeyId }: Ann): Promise<void> {
  await root.iam.send(new DeleteAccessKeyCommand({ UserName, AccessKeyId }));
  await root.iam.send(new DeleteUserPolicyCommand({ UserName, PolicyName: 'own' }));
  await root.iam.send(new DeleteUserCommand({ UserName }));
}

/** The outcome of a call: `ok`, or the error's code. */
const outcome = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'ok',
    ({ name }: Error) => name,
  );

test('a new user of an old name has nothing of what policies gave the old one, until they are put again', async () => {
  const Policy = JSON.stringify({
    Version: '2012-10-17',
    Statement: [ROOT, ANN].map((AWS) => ({ Effect: 'Allow', Principal: { AWS }, Action: 'kms:*', Resource: '*' })),
  });
  const PolicyDocument = trusting(ANN);
  const old = await newAnn();
  const { KeyMetadata } = await root.kms.send(new CreateKeyCommand({ Policy }));
  const KeyId = KeyMetadata!.KeyId!;
  const RoleName = 'till';
  const { Role } = await root.iam.send(new CreateRoleCommand({ RoleName, AssumeRolePolicyDocument: PolicyDocument }));
  const encrypt = (who: Clients) => outcome(who.kms.send(new EncryptCommand({ KeyId, Plaintext })));
  const assume = (who: Clients) =>
    outcome(who.sts.send(new AssumeRoleCommand({ RoleArn: Role!.Arn, RoleSessionName: 'till-7' })));
  expect([await encrypt(old), await assume(old)]).toEqual(['ok', 'ok']);

  await remove(old);
  expect((await root.kms.send(new GetKeyPolicyCommand({ KeyId }))).Policy).toContain(`"AWS": "${old.UserId}"`);
  const shown = await root.iam.send(new GetRoleCommand({ RoleName }));
  expect(decodeURIComponent(shown.Role!.AssumeRolePolicyDocument!)).toContain(`"AWS": "${old.UserId}"`);
  const put = () => root.kms.send(new PutKeyPolicyCommand({ KeyId, Policy }));
  expect(await outcome(put())).toBe('MalformedPolicyDocumentException');

  const ann = await newAnn();
  expect(ann.UserId).not.toBe(old.UserId);
  expect([await encrypt(ann), await assume(ann)]).toEqual(['AccessDeniedException', 'AccessDenied']);
  const asked = [MAIN, 'explain', '--principal', 'ann', '--action', 'Encrypt', '--key', KeyId];
  const explained = await run(asked, { KEYTRAIL_DATA_DIR: dataDir }).done;
  expect(explained.output).toContain(
    `key policy, statement 2 (Allow): no match by principal: the ARN names the deleted principal ${old.UserId}, not the one that has it now`,
  );
  expect(explained.code).toBe(1);

  await put();
  await root.iam.send(new UpdateAssumeRolePolicyCommand({ RoleName, PolicyDocument }));
  expect([await encrypt(ann), await assume(ann)]).toEqual(['ok', 'ok']);
  expect((await root.kms.send(new GetKeyPolicyCommand({ KeyId }))).Policy).toBe(Policy);
});
