import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type KeytrailProcess, MAIN, run, startProcess } from './support/processes';

function cliVersion(): string | undefined {
  try {
    return execFileSync('aws', ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return undefined;
  }
}

const version = cliVersion();
if (version === undefined) console.warn('SKIPPED: the tour with the AWS CLI, since there is no aws on PATH');
const tour = version === undefined ? test.skip : test;

let dataDir: string;
let server: KeytrailProcess | undefined;

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-cli-'));
  if (version !== undefined) server = await startProcess(dataDir, { KEYTRAIL_CLOCK: 'virtual' });
});

afterAll(async () => {
  await server?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

interface Reply {
  KeyMetadata?: { KeyId: string; KeyState: string; Arn: string };
  CiphertextBlob?: string;
  Plaintext?: string;
  KeyMaterialId?: string;
  Keys?: { KeyId: string }[];
  Rotations?: { RotationType: string }[];
  KeyState?: string;
}

const kms = (...args: string[]): Promise<Reply> => aws<Reply>(['kms', ...args]);

/** Runs the CLI as it is, with the files that the server wrote; its JSON, or its error message as a rejection. */
function aws<T>(args: string[], credentials: Record<string, string> = {}): Promise<T> {
  const outer = Object.entries(process.env).filter(([name]) => !name.startsWith('AWS_'));
  const env = {
    ...Object.fromEntries(outer),
    AWS_CONFIG_FILE: join(dataDir, 'aws/config'),
    AWS_SHARED_CREDENTIALS_FILE: join(dataDir, 'aws/credentials'),
    AWS_MAX_ATTEMPTS: '1',
    AWS_PAGER: '',
    ...credentials,
  };
  // The configuration file names the port asked for, and this server took a free one.
  const all = ['--endpoint-url', server!.endpoint, '--output', 'json', ...args];
  return new Promise((resolve, reject) => {
    execFile('aws', all, { env, encoding: 'utf8' }, (error, stdout, stderr) => {
      if (error) reject(new Error(stderr));
      else resolve(JSON.parse(stdout.trim() === '' ? '{}' : stdout) as T);
    });
  });
}

tour(
  'the AWS CLI creates, encrypts, rotates, decrypts and deletes',
  async () => {
    const file = (name: string, content: string | Buffer): string => {
      const path = join(dataDir, name);
      writeFileSync(path, content);
      return `fileb://${path}`;
    };
    const { KeyId, Arn } = (await kms('create-key', '--description', 'orders', '--tags', 'TagKey=team,TagValue=a'))
      .KeyMetadata!;
    await kms('create-alias', '--alias-name', 'alias/orders', '--target-key-id', KeyId);
    const context = ['--encryption-context', 'order=1'];
    const plaintext = file('plain.bin', 'hello');
    const encrypted = await kms('encrypt', '--key-id', 'alias/orders', '--plaintext', plaintext, ...context);
    const ciphertext = file('cipher.bin', Buffer.from(encrypted.CiphertextBlob!, 'base64'));

    await kms('rotate-key-on-demand', '--key-id', KeyId);
    const { Rotations } = await kms('list-key-rotations', '--key-id', KeyId);
    expect(Rotations).toMatchObject([{ RotationType: 'ON_DEMAND' }]);
    const decrypted = await kms('decrypt', '--ciphertext-blob', ciphertext, ...context);
    expect(Buffer.from(decrypted.Plaintext!, 'base64').toString()).toBe('hello');
    await expect(kms('decrypt', '--ciphertext-blob', ciphertext)).rejects.toThrow('(InvalidCiphertextException)');
    expect((await kms('list-keys')).Keys).toMatchObject([{ KeyId }]);
    await expect(kms('schedule-key-deletion', '--key-id', KeyId, '--pending-window-in-days', '5')).rejects.toThrow(
      "(ValidationException) when calling the ScheduleKeyDeletion operation: 1 validation error detected: Value '5' at " +
        "'pendingWindowInDays' failed to satisfy constraint: Member must have value greater than or equal to 7",
    );

    const scheduled = await kms('schedule-key-deletion', '--key-id', KeyId, '--pending-window-in-days', '7');
    expect(scheduled).toMatchObject({ KeyState: 'PendingDeletion' });
    const advanced = await run([MAIN, 'clock', 'advance', '7d'], { KEYTRAIL_DATA_DIR: dataDir }).done;
    expect(advanced).toMatchObject({ code: 0 });
    await expect(kms('describe-key', '--key-id', 'alias/orders')).rejects.toThrow('(NotFoundException)');
    await expect(kms('decrypt', '--ciphertext-blob', ciphertext, ...context)).rejects.toThrow('(NotFoundException)');
    expect((await kms('list-keys')).Keys).toEqual([]);

    const attribute = `AttributeKey=ResourceName,AttributeValue=${Arn}`;
    const { Events } = await aws<{ Events: { EventName: string }[] }>([
      ...['cloudtrail', 'lookup-events', '--lookup-attributes', attribute],
    ]);
    expect(Events.map(({ EventName }) => EventName)).toEqual(
      expect.arrayContaining([
        'DeleteKey',
        'ScheduleKeyDeletion',
        'Decrypt',
        'RotateKeyOnDemand',
        'Encrypt',
        'CreateKey',
      ]),
    );

    const replayed = await run([MAIN, 'replay', '--key', KeyId, '--json'], { KEYTRAIL_DATA_DIR: dataDir }).done;
    const [key] = JSON.parse(replayed.output).keys;
    expect(
      key.history.flatMap((entry: { events: { type: string }[] }) => entry.events.map(({ type }) => type)),
    ).toEqual(['KeyCreated', 'KeyRotated', 'KeyDeletionScheduled', 'KeyDeleted', 'KeyMaterialDestroyed']);
    expect(await run([MAIN, 'verify'], { KEYTRAIL_DATA_DIR: dataDir }).done).toMatchObject({ code: 0 });
  },
  120_000,
);

interface ImportParameters extends Reply {
  PublicKey: string;
  ImportToken: string;
}

tour(
  'the AWS CLI, with OpenSSL, imports key material and deletes it',
  async () => {
    const path = (name: string): string => join(dataDir, name);
    const file = (name: string, content: string | Buffer): string => {
      writeFileSync(path(name), content);
      return `fileb://${path(name)}`;
    };
    const { KeyId } = (await kms('create-key', '--origin', 'EXTERNAL')).KeyMetadata!;
    const { PublicKey, ImportToken } = (await kms(
      ...['get-parameters-for-import', '--key-id', KeyId, '--wrapping-algorithm', 'RSAES_OAEP_SHA_256'],
      ...['--wrapping-key-spec', 'RSA_3072'],
    )) as ImportParameters;
    file('wrapping-key.der', Buffer.from(PublicKey, 'base64'));
    file('material.bin', Buffer.alloc(32, 'material'));
    execFileSync('openssl', [
      ...['pkeyutl', '-encrypt', '-in', path('material.bin'), '-out', path('wrapped.bin')],
      ...['-inkey', path('wrapping-key.der'), '-keyform', 'DER', '-pubin', '-pkeyopt', 'rsa_padding_mode:oaep'],
      ...['-pkeyopt', 'rsa_oaep_md:sha256', '-pkeyopt', 'rsa_mgf1_md:sha256'],
    ]);
    const token = file('token.bin', Buffer.from(ImportToken, 'base64'));
    const imported = await kms(
      ...['import-key-material', '--key-id', KeyId, '--encrypted-key-material', `fileb://${path('wrapped.bin')}`],
      ...['--import-token', token, '--expiration-model', 'KEY_MATERIAL_DOES_NOT_EXPIRE'],
    );
    expect(imported.KeyMaterialId).toMatch(/^[0-9a-f]{64}$/);
    const plaintext = file('plain.bin', 'hello');
    const encrypted = await kms('encrypt', '--key-id', KeyId, '--plaintext', plaintext);
    const ciphertext = file('cipher.bin', Buffer.from(encrypted.CiphertextBlob!, 'base64'));
    expect((await kms('decrypt', '--ciphertext-blob', ciphertext)).KeyMaterialId).toBe(imported.KeyMaterialId);
    await kms('delete-imported-key-material', '--key-id', KeyId);
    expect((await kms('describe-key', '--key-id', KeyId)).KeyMetadata).toMatchObject({ KeyState: 'PendingImport' });
    await expect(kms('decrypt', '--ciphertext-blob', ciphertext)).rejects.toThrow('(KMSInvalidStateException)');
  },
  120_000,
);

interface AccessKeyReply {
  AccessKey: { AccessKeyId: string; SecretAccessKey: string };
}
interface AssumedReply {
  Credentials: { AccessKeyId: string; SecretAccessKey: string; SessionToken: string };
}

tour(
  'the AWS CLI makes a user and a role, and works as them',
  async () => {
    const policy = (...actions: string[]): string =>
      JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: actions, Resource: '*' }] });
    const trust = JSON.stringify({
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Principal: { AWS: '000000000000' }, Action: 'sts:AssumeRole' }],
    });
    await aws(['iam', 'create-user', '--user-name', 'carol', '--tags', 'Key=team,Value=a']);
    const put = ['put-user-policy', '--user-name', 'carol', '--policy-name', 'may', '--policy-document'];
    await aws(['iam', ...put, policy('sts:AssumeRole')]);
    expect(await aws(['iam', 'list-users'])).toMatchObject({ Users: [{ UserName: 'carol', Path: '/' }] });
    const { AccessKey } = await aws<AccessKeyReply>(['iam', 'create-access-key', '--user-name', 'carol']);
    const carol = { AWS_ACCESS_KEY_ID: AccessKey.AccessKeyId, AWS_SECRET_ACCESS_KEY: AccessKey.SecretAccessKey };
    expect(await aws(['sts', 'get-caller-identity'], carol)).toMatchObject({
      Arn: 'arn:aws:iam::000000000000:user/carol',
    });
    await expect(aws(['kms', 'list-keys'], carol)).rejects.toThrow('(AccessDeniedException)');
    await expect(aws(['iam', 'list-users'], carol)).rejects.toThrow('(AccessDenied)');

    await aws(['iam', 'create-role', '--role-name', 'reader', '--assume-role-policy-document', trust]);
    const putRole = ['put-role-policy', '--role-name', 'reader', '--policy-name', 'may', '--policy-document'];
    await aws(['iam', ...putRole, policy('kms:ListKeys')]);
    // The CLI decodes documents.
    expect(await aws(['iam', 'get-role-policy', '--role-name', 'reader', '--policy-name', 'may'])).toMatchObject({
      PolicyDocument: JSON.parse(policy('kms:ListKeys')),
    });
    const role = ['--role-arn', 'arn:aws:iam::000000000000:role/reader', '--role-session-name', 'tour'];
    const { Credentials } = await aws<AssumedReply>(['sts', 'assume-role', ...role], carol);
    const session = {
      AWS_ACCESS_KEY_ID: Credentials.AccessKeyId,
      AWS_SECRET_ACCESS_KEY: Credentials.SecretAccessKey,
      AWS_SESSION_TOKEN: Credentials.SessionToken,
    };
    expect(await aws(['sts', 'get-caller-identity'], session)).toMatchObject({
      Arn: 'arn:aws:sts::000000000000:assumed-role/reader/tour',
    });
    expect(await aws(['kms', 'list-keys'], session)).toMatchObject({ Keys: expect.anything() });
    await expect(aws(['iam', 'get-user', '--user-name', 'nobody'])).rejects.toThrow(
      '(NoSuchEntity) when calling the GetUser operation: The user with name nobody cannot be found.',
    );
  },
  120_000,
);
