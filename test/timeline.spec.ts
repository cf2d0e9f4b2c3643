import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateAccessKeyCommand, CreateUserCommand } from '@aws-sdk/client-iam';
import {
  CreateAliasCommand,
  CreateKeyCommand,
  DescribeKeyCommand,
  DisableKeyCommand,
  EnableKeyCommand,
  EncryptCommand,
  PutKeyPolicyCommand,
  RotateKeyOnDemandCommand,
} from '@aws-sdk/client-kms';
import { type Clients, type Credentials, clientsOf, longTerm, refusal } from './support/identities';
import { type KeytrailProcess, MAIN, run, startProcess } from './support/processes';

const ACCOUNT = '000000000000';
const OTHER = '111122223333';
const ROOT = `arn:aws:iam::${ACCOUNT}:root`;
const ANN = `arn:aws:iam::${ACCOUNT}:user/ann`;
const Plaintext = Buffer.from('secret');

interface Entry {
  kind: string;
  operation?: string;
  eventName?: string;
  eventTime?: string;
  eventID?: string;
  errorCode?: string;
  time?: string;
  userIdentity?: { arn?: string };
}

let dataDir: string;
let server: KeytrailProcess;
let root: Clients;
let KeyId: string;
let dayTwo: string;

const keytrail = (...args: string[]) =>
  run([MAIN, ...args], { KEYTRAIL_DATA_DIR: dataDir, KEYTRAIL_CLOCK: 'virtual' }).done;
const entriesOf = async (...args: string[]): Promise<Entry[]> =>
  JSON.parse((await keytrail('timeline', '--key', KeyId, '--json', ...args)).output).entries;
/** What is not of use to compare: `Encrypt` or `Encrypt AccessDeniedException` for a call, `+CreateKey` for a change. */
const short = ({ kind, operation, eventName, errorCode }: Entry): string =>
  kind === 'change' ? `+${operation}` : [eventName, errorCode].filter((part) => part !== undefined).join(' ');
const encrypt = ({ kms }: Clients, key = KeyId) => kms.send(new EncryptCommand({ KeyId: key, Plaintext }));

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-timeline-'));
  server = await startProcess(dataDir, { KEYTRAIL_CLOCK: 'virtual' });
  const credentials = (await server.kms.config.credentials()) as Credentials;
  root = clientsOf(server.endpoint, credentials);
  const { kms, iam } = root;
  const { output } = await keytrail('account', 'create', OTHER);
  const other = clientsOf(server.endpoint, {
    accessKeyId: /aws_access_key_id = (\S+)/.exec(output)![1]!,
    secretAccessKey: /aws_secret_access_key = (\S+)/.exec(output)![1]!,
  });
  await iam.send(new CreateUserCommand({ UserName: 'ann' }));
  const ann = clientsOf(server.endpoint, longTerm(await iam.send(new CreateAccessKeyCommand({ UserName: 'ann' }))));
  KeyId = (await kms.send(new CreateKeyCommand({}))).KeyMetadata!.KeyId!;
  await kms.send(new CreateAliasCommand({ AliasName: 'alias/orders', TargetKeyId: KeyId }));
  await encrypt(root, 'alias/orders');
  await refusal(encrypt(ann));
  const Statement = [{ Effect: 'Allow', Principal: { AWS: [ACCOUNT, OTHER] }, Action: 'kms:*', Resource: '*' }];
  await kms.send(new PutKeyPolicyCommand({ KeyId, Policy: JSON.stringify({ Version: '2012-10-17', Statement }) }));
  await keytrail('clock', 'advance', '1d');
  dayTwo = (await keytrail('clock', 'now')).output.split(' ')[0]!;
  await encrypt(other, `arn:aws:kms:us-east-1:${ACCOUNT}:key/${KeyId}`);
  await kms.send(new DisableKeyCommand({ KeyId }));
  await refusal(encrypt(root));
  await kms.send(new EnableKeyCommand({ KeyId }));
  await kms.send(new RotateKeyOnDemandCommand({ KeyId }));
  // Another key's calls are not told.
  const another = (await kms.send(new CreateKeyCommand({}))).KeyMetadata!.KeyId!;
  await encrypt(root, another);
  await kms.send(new DescribeKeyCommand({ KeyId }));
});

afterAll(async () => {
  await server?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

const DAY_ONE = ['+CreateKey', '+CreateAlias', 'Encrypt', 'Encrypt AccessDeniedException', '+PutKeyPolicy'];
const DAY_TWO = [
  ...['Encrypt', '+DisableKey', 'Encrypt DisabledException', '+EnableKey', '+RotateKeyOnDemand', 'DescribeKey'],
];

describe('./keytrail timeline', () => {
  test('tells changes and calls, refused ones too, in one order, and each call once', async () => {
    const entries = await entriesOf();
    expect(entries.map(short)).toEqual([...DAY_ONE, ...DAY_TWO]);
    const ids = entries.map(({ eventID }) => eventID);
    expect(ids).not.toContain(undefined);
    expect(new Set(ids).size).toBe(entries.length);
  });

  test('says who called, of another account too', async () => {
    const entries = await entriesOf();
    const callers = entries.filter(({ eventName }) => eventName === 'Encrypt').map((entry) => entry.userIdentity?.arn);
    expect(callers).toEqual([ROOT, ANN, `arn:aws:iam::${OTHER}:root`, ROOT]);
  });

  test('says in text what was refused, and why', async () => {
    const { output, code } = await keytrail('timeline', '--key', 'alias/orders');
    expect(code).toBe(0);
    expect(output).toMatch(
      / {2}\S+Z {2}Encrypt {2}by arn:aws:iam::0{12}:user\/ann {2}request \S+ {2}refused: AccessDeniedException\n {6}decided by nothing: no identity-based policy allows it\n/,
    );
    expect(output).toMatch(/ {2}\S+Z {2}Encrypt {2}by arn:aws:iam::0{12}:root {2}request \S+\n/);
    expect(output).toMatch(/ {2}\S+Z {2}PutKeyPolicy {2}by .*\n {6}KeyPolicyPut /);
  });

  test('tells changes alone, and those since, until and at most so many', async () => {
    const changes = [...DAY_ONE, ...DAY_TWO].filter((each) => each.startsWith('+'));
    expect((await entriesOf('--changes-only')).map(short)).toEqual(changes);
    expect((await entriesOf('--since', dayTwo)).map(short)).toEqual(DAY_TWO);
    expect((await entriesOf('--since', '12h')).map(short)).toEqual(DAY_TWO);
    expect((await entriesOf('--until', '12h')).map(short)).toEqual(DAY_ONE);
    const cut = JSON.parse((await keytrail('timeline', '--key', KeyId, '--json', '--limit', '3')).output);
    expect([cut.more, cut.entries.map(short)]).toEqual([true, DAY_TWO.slice(-3)]);
    expect(JSON.parse((await keytrail('timeline', '--key', KeyId, '--json', '--limit', '11')).output).more).toBe(false);
    expect((await keytrail('timeline', '--key', KeyId, '--limit', '3')).output).toContain(
      '... more before the newest 3: see --limit and --until',
    );
  });

  test.each([
    [['--limit', '0'], '--limit 0: expected a number from 1 to 100000'],
    [['--limit', '100001'], '--limit 100001: expected a number from 1 to 100000'],
    [['--limit', 'all'], '--limit all: expected a number from 1 to 100000'],
    [['--since', 'monday'], '--since monday: no moment; expected ISO 8601'],
    [['--since', '1h', '--until', '2h'], 'give the earlier one as --since'],
  ])('refuses %j, naming the option and what it expects', async (args, why) => {
    const { output, code } = await keytrail('timeline', '--key', KeyId, ...args);
    expect([code, output]).toEqual([1, expect.stringContaining(why)]);
  });

  test('tells the same from the records themselves, of a server that does not run', async () => {
    const whole = await entriesOf();
    const lastTwo = await entriesOf('--limit', '2');
    await server.stop();
    expect(await entriesOf()).toEqual(whole);
    expect(await entriesOf('--limit', '2')).toEqual(lastTwo);
    expect((await entriesOf('--until', '12h')).map(short)).toEqual(DAY_ONE);
  });
});
