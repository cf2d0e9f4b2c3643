import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CloudTrailClient, type Event, LookupEventsCommand } from '@aws-sdk/client-cloudtrail';
import { CreateKeyCommand, EncryptCommand, type KMSClient } from '@aws-sdk/client-kms';
import { materialSubject } from '#domain/subjects';
import { connectAsUser } from './support/audit-records';
import { type Credentials, clientsOf } from './support/identities';
import { type KeytrailProcess, MAIN, run, startProcess } from './support/processes';
import { filesHolding, storedMaterial } from './support/stored-material';

jest.setTimeout(180_000);

const ACCOUNT = '000000000000';
const OTHER = '111122223333';

let dataDir: string;
let server: KeytrailProcess;
let other: { kms: KMSClient; credentials: Credentials };

const keytrail = (...args: string[]) => run([MAIN, ...args], { KEYTRAIL_DATA_DIR: dataDir }).done;
const done = async (...args: string[]): Promise<string> => {
  const { code, output } = await keytrail(...args);
  if (code !== 0) throw new Error(output);
  return output;
};

const credentials = async (): Promise<Credentials> => (await server.kms.config.credentials()) as Credentials;

/** What LookupEvents says of all uses of a kind, newest first. */
async function events(AttributeValue: string, of?: Credentials): Promise<Event[]> {
  const client = new CloudTrailClient({
    ...{ endpoint: server.endpoint, region: 'us-east-1', maxAttempts: 3, credentials: of ?? (await credentials()) },
  });
  const LookupAttributes = [{ AttributeKey: 'EventName' as const, AttributeValue }];
  return (await client.send(new LookupEventsCommand({ LookupAttributes }))).Events!;
}

/** A call whose encryption context holds something that is nowhere else. */
async function used(kms: KMSClient): Promise<string> {
  const patient = randomBytes(18).toString('hex');
  const { KeyId } = (await kms.send(new CreateKeyCommand({}))).KeyMetadata!;
  const Plaintext = Buffer.from('x');
  await kms.send(new EncryptCommand({ KeyId, Plaintext, EncryptionContext: { patient } }));
  return patient;
}

const shown = async (patient: string, of?: Credentials): Promise<boolean> =>
  (await events('Encrypt', of)).some(({ CloudTrailEvent }) => CloudTrailEvent!.includes(patient));

const auditKeys = async (): Promise<Map<string, Buffer>> => {
  const found = [...(await storedMaterial(dataDir))];
  return new Map(found.filter(([subject]) => subject.includes(`audit-key-${ACCOUNT}`)));
};

/** The operator's own commands are on record too, so that there are always some. */
const shred = (...more: string[]) => done('shred', '--account', ACCOUNT, '--yes', ...more);

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-shredding-'));
  server = await startProcess(dataDir);
  const made = await done('account', 'create', OTHER);
  const value = (name: string): string => new RegExp(`${name} = (\\S+)`).exec(made)![1]!;
  const theirs = { accessKeyId: value('aws_access_key_id'), secretAccessKey: value('aws_secret_access_key') };
  other = { kms: clientsOf(server.endpoint, theirs).kms, credentials: theirs };
});

afterAll(async () => {
  await server?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

test('what records keep of a month is gone for ever, everywhere, and the proofs stay', async () => {
  const patient = await used(server.kms);
  const theirs = await used(other.kms);
  const month = new Date().toISOString().slice(0, 7);
  expect(await shown(patient)).toBe(true);
  const [wrapped, ...rest] = (await auditKeys()).values();
  expect(rest).toEqual([]);
  // The embedded database keeps in memory what it has taken in, until it is closed or has much of it.
  await server.stop();
  server = await startProcess(dataDir);
  other = { ...other, kms: clientsOf(server.endpoint, other.credentials).kms };
  // The read model, and the stream that holds the key: what has to go is there.
  expect(filesHolding(join(dataDir, 'history'), Buffer.from(patient))).not.toEqual([]);
  expect(filesHolding(dataDir, wrapped!)).not.toEqual([]);

  const asked = await keytrail('shred', '--account', ACCOUNT);
  expect(asked.code).toBe(1);
  expect(asked.output).toContain(`nothing was done: what the records of account ${ACCOUNT} of ${month} keep sealed`);
  expect(await shown(patient)).toBe(true);

  expect(await shred('--month', month)).toContain(`shredded: account ${ACCOUNT}, ${month}`);
  const [use] = await events('Encrypt');
  expect(JSON.parse(use!.CloudTrailEvent!)).toMatchObject({ eventName: 'Encrypt', userIdentity: { type: 'Root' } });
  expect(JSON.parse(use!.CloudTrailEvent!)).not.toHaveProperty('requestParameters');
  expect(await shown(patient)).toBe(false);
  expect(filesHolding(dataDir, Buffer.from(patient))).toEqual([]);
  expect(filesHolding(dataDir, wrapped!)).toEqual([]);
  // Of the others nothing.
  expect(await shown(theirs, other.credentials)).toBe(true);

  const verified = await done('verify');
  expect(verified).toMatch(/records: the first \d+ of \d+ are proved/);
  expect(verified).toContain('1 trails');
  expect(names(await events('ShredRecords'))).toEqual(['ShredRecords']);
  expect(await done('replay', '--account', ACCOUNT)).toContain('RecordsShredded generation=1');
});

const names = (found: Event[]): (string | undefined)[] => found.map(({ EventName }) => EventName);

test('what is recorded afterwards is kept under another key, which can be shredded in turn', async () => {
  const patient = await used(server.kms);
  expect(await shown(patient)).toBe(true);
  expect([...(await auditKeys()).keys()].map((subject) => subject.split('-').at(-1))).toEqual(['2']);
  await shred();
  expect(await shown(patient)).toBe(false);
  expect(filesHolding(dataDir, Buffer.from(patient))).toEqual([]);
  await done('verify');
});

test('a backup that brings a key back opens nothing, and it is erased at the start', async () => {
  const patient = await used(server.kms);
  const [[subject, wrapped]] = [...(await auditKeys())] as [[string, Buffer]];
  await shred();
  const nats = await connectAsUser(dataDir, 'embedded');
  expect(subject).toContain(materialSubject(`audit-key-${ACCOUNT}`));
  await nats.jetstream().publish(subject, wrapped);
  await nats.close();
  await server.stop();
  // The read model, too, is built from nothing.
  rmSync(join(dataDir, 'history'), { recursive: true });
  server = await startProcess(dataDir);
  expect(server.log()).toContain('erased sealing keys of records that the log says are shredded');
  expect(filesHolding(dataDir, wrapped)).toEqual([]);
  expect(await shown(patient)).toBe(false);
});

test('a crash before the key is erased leaves it to the next start', async () => {
  const patient = await used(server.kms);
  await server.stop();
  server = await startProcess(dataDir, { KEYTRAIL_FAIL_POINT: 'before-erase:material' });
  expect(await shown(patient)).toBe(true);
  const before = [...(await auditKeys()).values()];
  const broken = run([MAIN, 'shred', '--account', ACCOUNT, '--yes'], { KEYTRAIL_DATA_DIR: dataDir });
  await server.gone;
  broken.kill();
  await broken.done;
  expect(filesHolding(dataDir, before.at(-1)!)).not.toEqual([]);
  server = await startProcess(dataDir);
  expect(await shown(patient)).toBe(false);
  expect(filesHolding(dataDir, before.at(-1)!)).toEqual([]);
  expect(filesHolding(dataDir, Buffer.from(patient))).toEqual([]);
});

test.each([
  [['--account', '12'], '--account 12: expected 12 digits'],
  [['--account', OTHER, '--month', '2026-13'], '--month 2026-13: expected one such as 2026-11'],
  [['--account', OTHER, '--month', '1999-01'], `no records of account ${OTHER} in 1999-01`],
  [['--account', '999988887777'], 'no records of account 999988887777 are sealed under a key that is there'],
])('of %j nothing is shredded: %s', async (options, message) => {
  const { code, output } = await keytrail('shred', ...options, '--yes');
  expect(code).toBe(1);
  expect(output).toContain(message);
});
