import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CloudTrailClient, LookupEventsCommand } from '@aws-sdk/client-cloudtrail';
import {
  CreateAccessKeyCommand,
  CreateUserCommand,
  GetAccessKeyLastUsedCommand,
  PutUserPolicyCommand,
} from '@aws-sdk/client-iam';
import {
  CreateKeyCommand,
  DecryptCommand,
  DescribeKeyCommand,
  DisableKeyCommand,
  EnableKeyCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GenerateDataKeyWithoutPlaintextCommand,
  GetKeyLastUsageCommand,
  type GetKeyLastUsageResponse,
  ListAliasesCommand,
  ReEncryptCommand,
  ScheduleKeyDeletionCommand,
} from '@aws-sdk/client-kms';
import { allowing, type Clients, type Credentials, clientsOf, longTerm, refusal } from './support/identities';
import { type KeytrailProcess, MAIN, run, startProcess } from './support/processes';

jest.setTimeout(180_000);

const Plaintext = Buffer.from('used');

let dataDir: string;
let server: KeytrailProcess;
let rootKey: Credentials;
let root: Clients;

const start = async (extra: Record<string, string> = {}): Promise<void> => {
  server = await startProcess(dataDir, { KEYTRAIL_CLOCK: 'virtual', ...extra });
  rootKey = (await server.kms.config.credentials()) as Credentials;
  root = clientsOf(server.endpoint, rootKey);
};

const keytrail = async (...args: string[]): Promise<string> => {
  const { code, output } = await run([MAIN, ...args], { KEYTRAIL_DATA_DIR: dataDir }).done;
  if (code !== 0) throw new Error(output);
  return output;
};

/** A busy machine may need longer to make the database than one answer waits. */
async function opened(): Promise<void> {
  const trail = new CloudTrailClient({ endpoint: server.endpoint, region: 'us-east-1', credentials: rootKey });
  await trail.send(new LookupEventsCommand({ MaxResults: 1 }));
  trail.destroy();
}

const newKey = async (): Promise<string> => (await root.kms.send(new CreateKeyCommand({}))).KeyMetadata!.KeyId!;
const encrypt = (KeyId: string, of = root) => of.kms.send(new EncryptCommand({ KeyId, Plaintext }));
const ask = (KeyId: string, of = root) => of.kms.send(new GetKeyLastUsageCommand({ KeyId }));
const lastUse = async (KeyId: string): Promise<GetKeyLastUsageResponse['KeyLastUsage']> =>
  (await ask(KeyId)).KeyLastUsage;

async function user(UserName: string, PolicyDocument: string): Promise<Clients & { credentials: Credentials }> {
  await root.iam.send(new CreateUserCommand({ UserName }));
  await root.iam.send(new PutUserPolicyCommand({ UserName, PolicyName: 'own', PolicyDocument }));
  const credentials = longTerm(await root.iam.send(new CreateAccessKeyCommand({ UserName })));
  return { ...clientsOf(server.endpoint, credentials), credentials };
}

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-key-usage-'));
  await start();
  await opened();
});

afterAll(async () => {
  await server?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

describe('GetKeyLastUsage', () => {
  test('tells of a key that was never used when it was made, and nothing else', async () => {
    const { KeyMetadata } = await root.kms.send(new CreateKeyCommand({}));
    const { $metadata, ...answer } = await ask(KeyMetadata!.Arn!);
    expect(answer).toEqual({
      KeyId: KeyMetadata!.KeyId,
      KeyCreationDate: KeyMetadata!.CreationDate,
      TrackingStartDate: KeyMetadata!.CreationDate,
      KeyLastUsage: {},
    });
  });

  test('tells each cryptographic operation as soon as it is answered, by the ids of its record', async () => {
    const [KeyId, other] = [await newKey(), await newKey()];
    const { CiphertextBlob } = await encrypt(KeyId);
    const trail = new CloudTrailClient({ endpoint: server.endpoint, region: 'us-east-1', credentials: rootKey });
    const KeySpec = 'AES_256';
    const uses = {
      Encrypt: () => encrypt(KeyId),
      Decrypt: () => root.kms.send(new DecryptCommand({ CiphertextBlob })),
      ReEncrypt: () => root.kms.send(new ReEncryptCommand({ CiphertextBlob, DestinationKeyId: other })),
      GenerateDataKey: () => root.kms.send(new GenerateDataKeyCommand({ KeyId, KeySpec })),
      GenerateDataKeyWithoutPlaintext: () =>
        root.kms.send(new GenerateDataKeyWithoutPlaintextCommand({ KeyId, KeySpec })),
    };
    for (const [Operation, use] of Object.entries(uses)) {
      const { $metadata } = await use();
      const last = await lastUse(KeyId);
      expect(last).toEqual({
        Operation,
        KmsRequestId: $metadata.requestId,
        CloudTrailEventId: expect.any(String),
        Timestamp: expect.any(Date),
      });
      if (Operation === 'ReEncrypt') expect(await lastUse(other)).toEqual(last);
      const attribute = { AttributeKey: 'EventId', AttributeValue: last!.CloudTrailEventId } as const;
      const { Events } = await trail.send(new LookupEventsCommand({ LookupAttributes: [attribute] }));
      expect(Events).toMatchObject([{ EventName: Operation, EventTime: last!.Timestamp }]);
    }
    expect((await lastUse(other))!.Operation).toBe('ReEncrypt');
    trail.destroy();
  });

  test('counts nothing that was refused, no dry run, and nothing that uses no material', async () => {
    const KeyId = await newKey();
    const idle = await user('idle', allowing('kms:ListKeys'));
    expect((await refusal(encrypt(KeyId, idle)))[0]).toBe('AccessDeniedException');
    const dry = new EncryptCommand({ KeyId, Plaintext, DryRun: true });
    expect((await refusal(root.kms.send(dry)))[0]).toBe('DryRunOperationException');
    await root.kms.send(new DisableKeyCommand({ KeyId }));
    expect((await refusal(encrypt(KeyId)))[0]).toBe('DisabledException');
    await root.kms.send(new EnableKeyCommand({ KeyId }));
    await root.kms.send(new DescribeKeyCommand({ KeyId }));
    expect(await lastUse(KeyId)).toEqual({});
  });

  test('never tells a use that had ended before the one that was just made', async () => {
    const KeyId = await newKey();
    const ended: string[] = [];
    const useAndAsk = async (): Promise<void> => {
      const before = new Set(ended);
      const { $metadata } = await encrypt(KeyId);
      ended.push($metadata.requestId!);
      const told = (await lastUse(KeyId))!.KmsRequestId!;
      expect(before).not.toContain(told);
    };
    const inTurn = async (): Promise<void> => {
      for (let n = 0; n < 15; n++) await useAndAsk();
    };
    await Promise.all(Array.from({ length: 6 }, inTurn));
    expect(ended).toHaveLength(90);
    expect(ended.slice(-6)).toContain((await lastUse(KeyId))!.KmsRequestId);
  });

  test('needs its permission, and no alias is a key to it', async () => {
    const KeyId = await newKey();
    const bob = await user('bob', allowing('kms:DescribeKey'));
    const [name, message] = await refusal(ask(KeyId, bob));
    expect(name).toBe('AccessDeniedException');
    expect(message).toContain('kms:GetKeyLastUsage');
    expect((await refusal(ask('alias/none')))[0]).toBe('InvalidArnException');
    expect((await refusal(ask('00000000-0000-4000-8000-000000000000')))[0]).toBe('NotFoundException');
  });

  test('says the same after a kill, of what was used right before it too, and after the read model was deleted', async () => {
    const [quiet, busy] = [await newKey(), await newKey()];
    await encrypt(quiet);
    const before = await lastUse(quiet);
    const { $metadata } = await encrypt(busy);
    server.signal('SIGKILL');
    await server.gone;
    await start();
    expect(await lastUse(quiet)).toEqual(before);
    expect((await lastUse(busy))!.KmsRequestId).toBe($metadata.requestId);
    await server.stop();
    rmSync(join(dataDir, 'history'), { recursive: true });
    await start();
    await opened();
    expect(await lastUse(quiet)).toEqual(before);
  });

  test.each(['before-fold:records#2', 'after-fold:records#2'])(
    'tells what was used before a kill at %s',
    async (at) => {
      const KeyId = await newKey();
      await server.stop();
      await start({ KEYTRAIL_FAIL_POINT: at });
      const killed = server.gone;
      const answered: string[] = [];
      for (let n = 0; n < 50; n++) {
        const used = await encrypt(KeyId).catch(() => undefined);
        if (!used) break;
        answered.push(used.$metadata.requestId!);
        await ask(KeyId).catch(() => undefined);
      }
      expect(await killed).toBe('SIGKILL');
      await start();
      // One that was on record, and whose answer the kill came before, is later than all that were answered.
      const told = (await lastUse(KeyId))!.KmsRequestId;
      expect(told).toBeDefined();
      expect(answered.slice(0, -1)).not.toContain(told);
    },
  );
});

describe('kms:TrailingDaysWithoutKeyUsage', () => {
  const unlessUsedWithin = (days: number): string =>
    JSON.stringify({
      Version: '2012-10-17',
      Statement: [
        { Effect: 'Allow', Action: 'kms:*', Resource: '*' },
        {
          Effect: 'Deny',
          Action: ['kms:ScheduleKeyDeletion', 'kms:DisableKey'],
          Resource: '*',
          Condition: { NumericLessThanEquals: { 'kms:TrailingDaysWithoutKeyUsage': String(days) } },
        },
      ],
    });

  test('keeps a key from deletion for so many days after its last use, and tells the record of the call', async () => {
    const KeyId = await newKey();
    const keeper = await user('keeper', unlessUsedWithin(30));
    const schedule = () => keeper.kms.send(new ScheduleKeyDeletionCommand({ KeyId }));
    const denied = async (): Promise<void> => {
      expect((await refusal(schedule()))[0]).toBe('AccessDeniedException');
      expect((await refusal(keeper.kms.send(new DisableKeyCommand({ KeyId }))))[0]).toBe('AccessDeniedException');
    };
    await denied();
    await keytrail('clock', 'advance', '20d');
    await encrypt(KeyId);
    await denied();
    await keytrail('clock', 'advance', '30d');
    await denied();
    await keytrail('clock', 'advance', '1d');
    expect((await schedule()).KeyState).toBe('PendingDeletion');
    const trail = new CloudTrailClient({ endpoint: server.endpoint, region: 'us-east-1', credentials: rootKey });
    const attribute = { AttributeKey: 'EventName', AttributeValue: 'ScheduleKeyDeletion' } as const;
    const { Events } = await trail.send(new LookupEventsCommand({ LookupAttributes: [attribute], MaxResults: 1 }));
    expect(JSON.parse(Events![0]!.CloudTrailEvent!).decisionInput).toMatchObject({ trailingDaysWithoutKeyUsage: 31 });
    trail.destroy();
  });

  test('is asked of whoever asks explain', async () => {
    const KeyId = await newKey();
    const explain = (...more: string[]) =>
      run([MAIN, 'explain', '--principal', 'keeper', '--action', 'DisableKey', '--key', KeyId, ...more], {
        KEYTRAIL_DATA_DIR: dataDir,
      }).done;
    const known = await explain('--context', 'kms:TrailingDaysWithoutKeyUsage=31');
    expect(known.output).toMatch(/^allowed/);
    const recent = await explain('--context', 'kms:TrailingDaysWithoutKeyUsage=30');
    expect(recent.output).toMatch(/^denied/);
    expect((await explain()).output).toContain('--context kms:TrailingDaysWithoutKeyUsage=');
  });
});

describe('GetAccessKeyLastUsed', () => {
  const lastUsed = async (AccessKeyId: string) =>
    (await root.iam.send(new GetAccessKeyLastUsedCommand({ AccessKeyId }))).AccessKeyLastUsed;

  test('tells date, service and region of the newest call that it signed, refused ones too', async () => {
    const carl = await user('carl', allowing('kms:ListKeys'));
    const { accessKeyId } = carl.credentials;
    expect(await lastUsed(accessKeyId)).toEqual({ Region: 'N/A', ServiceName: 'N/A' });
    const before = Date.now() - 1_000;
    const there = clientsOf(server.endpoint, carl.credentials, 'eu-west-1');
    expect((await refusal(there.kms.send(new ListAliasesCommand({}))))[0]).toBe('AccessDeniedException');
    const used = await lastUsed(accessKeyId);
    expect(used).toEqual({ Region: 'eu-west-1', ServiceName: 'kms', LastUsedDate: expect.any(Date) });
    expect(used!.LastUsedDate!.getTime()).toBeGreaterThanOrEqual(before);
    await refusal(carl.iam.send(new GetAccessKeyLastUsedCommand({ AccessKeyId: accessKeyId })));
    expect(await lastUsed(accessKeyId)).toMatchObject({ Region: 'us-east-1', ServiceName: 'iam' });
  });

  test('counts no call that only names it', async () => {
    const dora = await user('dora', allowing('kms:ListKeys'));
    const { accessKeyId } = dora.credentials;
    const forged = clientsOf(server.endpoint, { accessKeyId, secretAccessKey: 'not the secret' });
    expect((await refusal(encrypt(await newKey(), forged)))[0]).toBe('InvalidSignatureException');
    expect(await lastUsed(accessKeyId)).toEqual({ Region: 'N/A', ServiceName: 'N/A' });
  });
});

describe('by the AWS CLI', () => {
  let hasCli = true;
  try {
    execFileSync('aws', ['--version'], { stdio: 'ignore' });
  } catch {
    hasCli = false;
    console.warn('SKIPPED: last uses by the AWS CLI, since there is no aws on PATH');
  }
  const withCli = hasCli ? test : test.skip;
  const aws = (...args: string[]): Promise<Record<string, unknown>> => {
    const outer = Object.entries(process.env).filter(([name]) => !name.startsWith('AWS_'));
    const env = {
      ...Object.fromEntries(outer),
      AWS_CONFIG_FILE: join(dataDir, 'aws/config'),
      AWS_SHARED_CREDENTIALS_FILE: join(dataDir, 'aws/credentials'),
      AWS_MAX_ATTEMPTS: '1',
      AWS_PAGER: '',
    };
    return new Promise((resolve, reject) => {
      const all = ['--endpoint-url', server.endpoint, '--output', 'json', ...args];
      execFile('aws', all, { env, encoding: 'utf8' }, (error, stdout, stderr) => {
        if (error) reject(new Error(stderr));
        else resolve(JSON.parse(stdout) as Record<string, unknown>);
      });
    });
  };

  withCli('an access key has date, service and region', async () => {
    const eve = await user('eve', allowing('kms:*'));
    await encrypt(await newKey(), eve);
    expect(await aws('iam', 'get-access-key-last-used', '--access-key-id', eve.credentials.accessKeyId)).toEqual({
      UserName: 'eve',
      AccessKeyLastUsed: {
        LastUsedDate: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
        ServiceName: 'kms',
        Region: 'us-east-1',
      },
    });
  });
});

test('without records nothing is told of uses, and nothing is allowed by them', async () => {
  const KeyId = await newKey();
  await encrypt(KeyId);
  const frank = await user(
    'frank',
    JSON.stringify({
      Version: '2012-10-17',
      Statement: [
        { Effect: 'Allow', Action: 'kms:DescribeKey', Resource: '*' },
        {
          Effect: 'Allow',
          Action: 'kms:DisableKey',
          Resource: '*',
          Condition: { NumericGreaterThanEqualsIfExists: { 'kms:TrailingDaysWithoutKeyUsage': '0' } },
        },
      ],
    }),
  );
  await server.stop();
  await start({ KEYTRAIL_RECORDS: 'off' });
  const says = /no records of calls are kept \(KEYTRAIL_RECORDS=off\)/;
  const asFrank = clientsOf(server.endpoint, frank.credentials);
  for (const asked of [
    ask(KeyId),
    root.iam.send(new GetAccessKeyLastUsedCommand({ AccessKeyId: frank.credentials.accessKeyId })),
    asFrank.kms.send(new DisableKeyCommand({ KeyId })),
  ]) {
    const [name, message] = await refusal(asked);
    expect(name).toBe('UnsupportedOperationException');
    expect(message).toMatch(says);
  }
  expect((await asFrank.kms.send(new DescribeKeyCommand({ KeyId }))).KeyMetadata!.KeyState).toBe('Enabled');
  await root.kms.send(new DisableKeyCommand({ KeyId }));
});
