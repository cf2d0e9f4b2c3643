import { closeSync, mkdtempSync, openSync, readdirSync, rmSync, statSync, truncateSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CloudTrailClient,
  type Event,
  LookupEventsCommand,
  type LookupEventsCommandInput,
  paginateLookupEvents,
} from '@aws-sdk/client-cloudtrail';
import { CreateAccessKeyCommand, CreateUserCommand, PutUserPolicyCommand } from '@aws-sdk/client-iam';
import {
  CreateAliasCommand,
  CreateKeyCommand,
  EnableKeyRotationCommand,
  EncryptCommand,
  PutKeyPolicyCommand,
  ScheduleKeyDeletionCommand,
} from '@aws-sdk/client-kms';
import { allowing, type Clients, type Credentials, clientsOf, longTerm, refusal } from './support/identities';
import { type KeytrailProcess, MAIN, run, startProcess } from './support/processes';

jest.setTimeout(180_000);

const OTHER = '111122223333';
const Plaintext = Buffer.from('on record');

let dataDir: string;
let server: KeytrailProcess;
let rootKey: Credentials;
let root: Clients;
let otherKey: Credentials;
let keyArn: string;

const start = async (extra: Record<string, string> = {}): Promise<void> => {
  server = await startProcess(dataDir, { KEYTRAIL_CLOCK: 'virtual', KEYTRAIL_HISTORY_DAYS: '1000', ...extra });
  rootKey = (await server.kms.config.credentials()) as Credentials;
  root = clientsOf(server.endpoint, rootKey);
};

const keytrail = async (...args: string[]): Promise<string> => {
  const { code, output } = await run([MAIN, ...args], { KEYTRAIL_DATA_DIR: dataDir }).done;
  if (code !== 0) throw new Error(output);
  return output;
};

const trail = (credentials: Credentials = rootKey, region = 'us-east-1'): CloudTrailClient =>
  new CloudTrailClient({ endpoint: server.endpoint, region, credentials, maxAttempts: 1 });

const lookUp = async (
  AttributeKey: NonNullable<LookupEventsCommandInput['LookupAttributes']>[number]['AttributeKey'],
  AttributeValue: string,
  client = trail(),
): Promise<Event[]> =>
  (await client.send(new LookupEventsCommand({ LookupAttributes: [{ AttributeKey, AttributeValue }] }))).Events!;

const names = (events: Event[]): (string | undefined)[] => events.map(({ EventName }) => EventName);

/** All that was called, but for lookups, oldest first. */
async function everything(credentials = rootKey): Promise<Event[]> {
  const found: Event[] = [];
  for await (const { Events } of paginateLookupEvents({ client: trail(credentials), pageSize: 7 }, {})) {
    found.push(...Events!.filter(({ EventName }) => EventName !== 'LookupEvents'));
  }
  return found.reverse();
}

const newKey = async (): Promise<string> => (await root.kms.send(new CreateKeyCommand({}))).KeyMetadata!.Arn!;
const encrypt = (KeyId: string, of = root) => of.kms.send(new EncryptCommand({ KeyId, Plaintext }));

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-event-history-'));
  await start();
  const made = await keytrail('account', 'create', OTHER);
  const value = (name: string): string => new RegExp(`${name} = (\\S+)`).exec(made)![1]!;
  otherKey = { accessKeyId: value('aws_access_key_id'), secretAccessKey: value('aws_secret_access_key') };
  keyArn = await newKey();
});

afterAll(async () => {
  await server?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

async function user(UserName: string): Promise<Credentials> {
  await root.iam.send(new CreateUserCommand({ UserName }));
  return longTerm(await root.iam.send(new CreateAccessKeyCommand({ UserName })));
}

describe('LookupEvents', () => {
  test('finds a call by each of its attributes as soon as it is answered', async () => {
    const ann = await user('ann');
    await root.iam.send(
      new PutUserPolicyCommand({ UserName: 'ann', PolicyName: 'own', PolicyDocument: allowing('kms:Encrypt') }),
    );
    await root.kms.send(new CreateAliasCommand({ AliasName: 'alias/orders', TargetKeyId: keyArn }));
    const { $metadata } = await encrypt(keyArn, clientsOf(server.endpoint, ann));
    const [found] = await lookUp('Username', 'ann');
    expect(found).toMatchObject({
      EventName: 'Encrypt',
      EventSource: 'kms.amazonaws.com',
      ReadOnly: 'true',
      Username: 'ann',
      AccessKeyId: ann.accessKeyId,
      Resources: [{ ResourceType: 'AWS::KMS::Key', ResourceName: keyArn }],
    });
    const record = JSON.parse(found!.CloudTrailEvent!);
    expect(record).toMatchObject({ requestID: $metadata.requestId, eventID: found!.EventId });
    expect(found!.EventTime).toEqual(new Date(record.eventTime));
    expect(await lookUp('EventId', found!.EventId!)).toEqual([found]);
    expect((await lookUp('AccessKeyId', ann.accessKeyId))[0]).toEqual(found);
    expect((await lookUp('EventName', 'Encrypt'))[0]).toEqual(found);
    expect((await lookUp('ResourceName', keyArn))[0]).toEqual(found);
    expect((await lookUp('ResourceName', keyArn.slice(-36)))[0]).toEqual(found);
    expect(names(await lookUp('ResourceName', 'alias/orders'))).toEqual(['CreateAlias']);
    expect(names(await lookUp('ResourceType', 'AWS::KMS::Alias'))).toEqual(['CreateAlias']);
    expect((await lookUp('ReadOnly', 'false')).map(({ ReadOnly }) => ReadOnly)).not.toContain('true');
    expect(names(await lookUp('EventSource', 'iam.amazonaws.com'))).toEqual([
      'PutUserPolicy',
      'CreateAccessKey',
      'CreateUser',
    ]);
    expect(names(await lookUp('EventSource', 'cloudtrail.amazonaws.com'))).toContain('LookupEvents');
  });

  test('gives out every event once, page by page, while more are made', async () => {
    for (let n = 0; n < 12; n++) await encrypt(keyArn);
    const client = trail();
    const ids: (string | undefined)[] = [];
    for await (const { Events } of paginateLookupEvents(
      { client, pageSize: 5 },
      { LookupAttributes: [{ AttributeKey: 'EventName', AttributeValue: 'Encrypt' }] },
    )) {
      expect(Events!.length).toBeLessThanOrEqual(5);
      ids.push(...Events!.map(({ EventId }) => EventId));
      await encrypt(keyArn);
    }
    expect(ids).toHaveLength(13);
    expect(new Set(ids).size).toBe(13);
  });

  test('keeps to the account that asks and the region that it signs for', async () => {
    expect(await everything(otherKey)).toEqual([]);
    expect((await trail(rootKey, 'eu-west-1').send(new LookupEventsCommand({}))).Events).toEqual([]);
  });

  test('shows a use of a key by another account to both', async () => {
    await root.kms.send(
      new PutKeyPolicyCommand({
        KeyId: keyArn,
        BypassPolicyLockoutSafetyCheck: true,
        Policy: JSON.stringify({
          Version: '2012-10-17',
          Statement: [`arn:aws:iam::${OTHER}:root`, 'arn:aws:iam::000000000000:root'].map((AWS) => ({
            ...{ Effect: 'Allow', Principal: { AWS }, Action: 'kms:*', Resource: '*' },
          })),
        }),
      }),
    );
    await encrypt(keyArn, clientsOf(server.endpoint, otherKey));
    const [theirs] = await lookUp('ResourceName', keyArn, trail(otherKey));
    const [ours] = await lookUp('ResourceName', keyArn);
    expect(theirs).toMatchObject({ EventName: 'Encrypt', AccessKeyId: otherKey.accessKeyId });
    expect(ours).toMatchObject({ EventName: 'Encrypt', EventId: theirs!.EventId });
    expect(ours!.CloudTrailEvent).not.toContain(otherKey.accessKeyId);
  });

  test('asks for cloudtrail:LookupEvents', async () => {
    const bob = await user('bob');
    const asBob = () => trail(bob).send(new LookupEventsCommand({ MaxResults: 1 }));
    expect((await refusal(asBob()))[0]).toBe('AccessDeniedException');
    await root.iam.send(
      new PutUserPolicyCommand({
        ...{ UserName: 'bob', PolicyName: 'own', PolicyDocument: allowing('cloudtrail:LookupEvents') },
      }),
    );
    expect((await asBob()).Events).toHaveLength(1);
  });

  const time = (seconds: number): Date => new Date(seconds * 1000);
  const unknown = 'Nothing' as 'EventId';
  test.each<[string, LookupEventsCommandInput]>([
    ['InvalidMaxResultsException', { MaxResults: 0 }],
    ['InvalidMaxResultsException', { MaxResults: 51 }],
    ['InvalidTimeRangeException', { StartTime: time(2), EndTime: time(1) }],
    ['InvalidNextTokenException', { NextToken: 'x' }],
    ['InvalidLookupAttributesException', { LookupAttributes: [{ AttributeKey: 'ReadOnly', AttributeValue: 'maybe' }] }],
    [
      'InvalidLookupAttributesException',
      {
        LookupAttributes: ['a', 'b'].map((AttributeValue) => ({ AttributeKey: 'EventId', AttributeValue })),
      },
    ],
    ['ValidationException', { LookupAttributes: [{ AttributeKey: unknown, AttributeValue: 'x' }] }],
    ['UnsupportedOperationException', { EventCategory: 'insight' }],
    ['InvalidEventCategoryException', { EventCategory: 'data' as 'insight' }],
  ])('refuses with %s what is %j', async (code, input) => {
    const [name, , status] = await refusal(trail().send(new LookupEventsCommand(input)));
    expect([name, status]).toEqual([code, 400]);
  });

  test('refuses a token with another question than its own', async () => {
    const { NextToken } = await trail().send(new LookupEventsCommand({ MaxResults: 1 }));
    const other = new LookupEventsCommand({ NextToken, StartTime: time(1) });
    expect((await refusal(trail().send(other)))[0]).toBe('InvalidNextTokenException');
    expect((await refusal(trail(otherKey).send(new LookupEventsCommand({ NextToken }))))[0]).toBe(
      'InvalidNextTokenException',
    );
  });

  test('has what services did by themselves', async () => {
    const KeyId = await newKey();
    await root.kms.send(new EnableKeyRotationCommand({ KeyId, RotationPeriodInDays: 90 }));
    await keytrail('clock', 'advance', '91d');
    await root.kms.send(new ScheduleKeyDeletionCommand({ KeyId, PendingWindowInDays: 7 }));
    await keytrail('clock', 'advance', '8d');
    const found = await lookUp('ResourceName', KeyId);
    expect(names(found)).toEqual(['DeleteKey', 'ScheduleKeyDeletion', 'RotateKey', 'EnableKeyRotation', 'CreateKey']);
    expect(JSON.parse(found[2]!.CloudTrailEvent!)).toMatchObject({
      eventType: 'AwsServiceEvent',
      userIdentity: { invokedBy: 'AWS Internal' },
      serviceEventDetails: { rotationType: 'AUTOMATIC', keyId: KeyId.slice(-36) },
    });
  });
});

describe('the read model', () => {
  const folder = (): string => join(dataDir, 'history');
  const filesUnder = (path: string): string[] =>
    readdirSync(path, { recursive: true, encoding: 'utf8' })
      .map((name) => join(path, name))
      .filter((name) => statSync(name).isFile() && statSync(name).size > 0);

  test('says the same after a restart, and after it was deleted', async () => {
    const before = [await everything(), await everything(otherKey)];
    expect(before[0]!.length).toBeGreaterThan(30);
    await server.stop();
    await start();
    expect([await everything(), await everything(otherKey)]).toEqual(before);
    await server.stop();
    rmSync(folder(), { recursive: true });
    await start();
    expect([await everything(), await everything(otherKey)]).toEqual(before);
  });

  test.each<[string, () => void]>([
    ['whose control file is cut short', () => truncateSync(join(folder(), 'global/pg_control'), 100)],
    [
      'whose tables are overwritten',
      () => {
        for (const file of filesUnder(join(folder(), 'base'))) {
          const open = openSync(file, 'r+');
          writeSync(open, Buffer.alloc(Math.min(statSync(file).size, 65_536), 0x5a));
          closeSync(open);
        }
      },
    ],
  ])('is built anew from one %s, which the log says', async (_, damage) => {
    const before = await everything();
    await server.stop();
    damage();
    await start();
    let after: Event[] = [];
    for (let tries = 0; tries < 5 && after.length === 0; tries++) after = await everything().catch(() => []);
    expect(after).toEqual(before);
    expect(server.log()).toMatch(/event history is (damaged: it is )?made anew from the log/);
  });

  test.each(['before-fold:records#3', 'after-fold:records#3'])(
    'has every call that was answered, once, where it is killed at %s',
    async (failPoint) => {
      await server.stop();
      await start({ KEYTRAIL_FAIL_POINT: failPoint });
      const answered: (string | undefined)[] = [];
      const killed = server.gone;
      for (let n = 0; n < 50; n++) {
        const call = encrypt(keyArn).then(({ $metadata }) => answered.push($metadata.requestId));
        const ended = await call
          .then(
            () => trail().send(new LookupEventsCommand({ MaxResults: 1 })),
            () => {},
          )
          .then(
            () => false,
            () => true,
          );
        if (ended) break;
      }
      expect(await killed).toBe('SIGKILL');
      await start();
      const onRecord = (await everything()).map(({ CloudTrailEvent }) => JSON.parse(CloudTrailEvent!).requestID);
      expect(answered.length).toBeGreaterThan(0);
      for (const requestId of answered) expect(onRecord.filter((id) => id === requestId)).toHaveLength(1);
    },
  );
});

test('the history goes back as many days as is set', async () => {
  const before = (await everything()).map(({ EventName }) => EventName);
  expect(before).toContain('RotateKey');
  await server.stop();
  await start({ KEYTRAIL_HISTORY_DAYS: '1' });
  const KeyId = await newKey();
  await keytrail('clock', 'advance', '2d');
  await encrypt(KeyId);
  const now = Date.now() / 1000 + 400 * 86_400;
  expect(names(await everything())).toEqual(['Encrypt']);
  const early = await trail().send(new LookupEventsCommand({ StartTime: new Date(0), EndTime: new Date(now * 1000) }));
  expect(names(early.Events!).filter((name) => name !== 'LookupEvents')).toEqual(['Encrypt']);
});
