import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { CloudTrailClient, ListPublicKeysCommand, LookupEventsCommand } from '@aws-sdk/client-cloudtrail';
import { CreateKeyCommand, EncryptCommand, PutKeyPolicyCommand } from '@aws-sdk/client-kms';
import type { TrailDigest } from '#audit-log/trail-digest';
import { type Clients, type Credentials, clientsOf, refusal } from './support/identities';
import { until } from './support/nats-server';
import { type KeytrailProcess, MAIN, run, startProcess } from './support/processes';
import { objectsIn } from './support/trail-bucket';
import { checkedTrail, type WrittenRecord } from './support/trail-check';
import { cliVersion, type Validated, validateLogs } from './support/validate-logs';

jest.setTimeout(180_000);

const HOME = '000000000000';
const OTHER = '111122223333';
const BUCKET = 'records-of-keys';
const Plaintext = Buffer.from('on record');

const version = cliVersion();
if (version === undefined) console.warn('SKIPPED: digests checked by the AWS CLI, since there is no aws on PATH');
const byTheCli = version === undefined ? test.skip : test;

let dataDir: string;
let folder: string;
let server: KeytrailProcess;
let rootKey: Credentials;
let root: Clients;
let otherKey: Credentials;
let keyArn: string;
let begun: number;

const start = async (extra: Record<string, string> = {}): Promise<void> => {
  server = await startProcess(dataDir, {
    KEYTRAIL_CLOCK: 'virtual',
    KEYTRAIL_TRAIL_DIR: folder,
    KEYTRAIL_TRAIL_SECONDS: '1',
    KEYTRAIL_TRAIL_BUCKET: BUCKET,
    ...extra,
  });
  rootKey = (await server.kms.config.credentials()) as Credentials;
  root = clientsOf(server.endpoint, rootKey);
};

const keytrail = async (...args: string[]): Promise<string> => {
  const { code, output } = await run([MAIN, ...args], { KEYTRAIL_DATA_DIR: dataDir }).done;
  if (code !== 0) throw new Error(output);
  return output;
};

const unpacked = (key: string): Buffer => gunzipSync(readFileSync(join(folder, key)));
const recordsIn = (key: string): WrittenRecord[] => JSON.parse(unpacked(key).toString('utf8')).Records;
const digestAt = (key: string): TrailDigest => JSON.parse(unpacked(key).toString('utf8'));
const objects = (kind: 'CloudTrail' | 'CloudTrail-Digest', account = HOME, region = 'us-east-1'): string[] =>
  objectsIn(folder).filter((key) => key.startsWith(`AWSLogs/${account}/${kind}/${region}/`));
const written = (account = HOME, region = 'us-east-1'): WrittenRecord[] =>
  objects('CloudTrail', account, region).flatMap(recordsIn);
const named = (name: string, account = HOME): WrittenRecord[] =>
  written(account).filter(({ eventName }) => eventName === name);

/** An hour goes by, and its digests are there. */
async function anHour(): Promise<void> {
  const before = objects('CloudTrail-Digest').length;
  await keytrail('clock', 'advance', '1h');
  await until(async () => objects('CloudTrail-Digest').length > before, 'no digest came');
}

const validated = (account = HOME): Promise<Validated> =>
  validateLogs({
    ...{ folder, bucket: BUCKET, endpoint: server.endpoint, credentials: account === HOME ? rootKey : otherKey },
    trailArn: `arn:aws:cloudtrail:us-east-1:${account}:trail/keytrail`,
    from: new Date(begun - 3_600_000).toISOString(),
    to: new Date(begun + 48 * 3_600_000).toISOString(),
  });

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-trail-files-'));
  folder = join(dataDir, 'trail');
  begun = Date.now();
  await start();
  const made = await keytrail('account', 'create', OTHER);
  const value = (name: string): string => new RegExp(`${name} = (\\S+)`).exec(made)![1]!;
  otherKey = { accessKeyId: value('aws_access_key_id'), secretAccessKey: value('aws_secret_access_key') };
  keyArn = (await root.kms.send(new CreateKeyCommand({}))).KeyMetadata!.Arn!;
});

afterAll(async () => {
  await server?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

describe('log files', () => {
  test('hold each record once, in the folder and under the name that CloudTrail gives', async () => {
    await root.kms.send(new EncryptCommand({ KeyId: keyArn, Plaintext, EncryptionContext: { order: '7' } }));
    await until(async () => named('Encrypt').length === 1, 'no log file came');
    for (const key of objects('CloudTrail')) {
      expect(key).toMatch(
        /^AWSLogs\/000000000000\/CloudTrail\/us-east-1\/(\d{4})\/(\d\d)\/(\d\d)\/000000000000_CloudTrail_us-east-1_\1\2\3T\d{4}Z_[A-Za-z0-9]{16}\.json\.gz$/,
      );
    }
    expect(Object.keys(JSON.parse(unpacked(objects('CloudTrail')[0]!).toString('utf8')))).toEqual(['Records']);
    const ids = written().map(({ eventID }) => eventID);
    expect(new Set(ids).size).toBe(ids.length);
    expect(named('CreateKey')).toHaveLength(1);
  });

  test('have the fields that CloudTrail describes, and none of what Keytrail keeps besides', async () => {
    const [record] = named('Encrypt');
    expect(record).toEqual({
      eventVersion: '1.11',
      userIdentity: {
        type: 'Root',
        principalId: HOME,
        arn: `arn:aws:iam::${HOME}:root`,
        accountId: HOME,
        accessKeyId: rootKey.accessKeyId,
      },
      eventTime: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
      eventSource: 'kms.amazonaws.com',
      eventName: 'Encrypt',
      awsRegion: 'us-east-1',
      sourceIPAddress: '127.0.0.1',
      userAgent: expect.stringContaining('aws-sdk-js'),
      requestParameters: expect.objectContaining({ keyId: keyArn, encryptionContext: { order: '7' } }),
      responseElements: null,
      additionalEventData: expect.objectContaining({ keyMaterialId: expect.any(String) }),
      requestID: expect.any(String),
      eventID: expect.any(String),
      readOnly: true,
      resources: [{ accountId: HOME, type: 'AWS::KMS::Key', ARN: keyArn }],
      eventType: 'AwsApiCall',
      managementEvent: true,
      recipientAccountId: HOME,
      eventCategory: 'Management',
    });
    const { requestID, eventID } = record!;
    expect([requestID, eventID]).toEqual([
      expect.stringMatching(/^[0-9a-f-]{36}$/),
      expect.stringMatching(/^[0-9a-f-]{36}$/),
    ]);
  });

  test('of an account hold what its lookups show', async () => {
    const Policy = JSON.stringify({
      Version: '2012-10-17',
      Statement: [HOME, OTHER].map((account) => ({
        Effect: 'Allow',
        Principal: { AWS: `arn:aws:iam::${account}:root` },
        Action: 'kms:*',
        Resource: '*',
      })),
    });
    await root.kms.send(new PutKeyPolicyCommand({ KeyId: keyArn, Policy }));
    await clientsOf(server.endpoint, otherKey).kms.send(new EncryptCommand({ KeyId: keyArn, Plaintext }));
    await until(async () => named('Encrypt').length === 2, 'no log file came');
    for (const [account, credentials] of [
      [HOME, rootKey],
      [OTHER, otherKey],
    ] as const) {
      const trail = new CloudTrailClient({ endpoint: server.endpoint, region: 'us-east-1', credentials });
      const { Events } = await trail.send(
        new LookupEventsCommand({ LookupAttributes: [{ AttributeKey: 'EventName', AttributeValue: 'Encrypt' }] }),
      );
      const shown = Events!.map(({ CloudTrailEvent }) => JSON.parse(CloudTrailEvent!) as WrittenRecord);
      const inOrder = (records: WrittenRecord[]) => [...records].sort((a, b) => (a.eventID < b.eventID ? -1 : 1));
      expect(inOrder(named('Encrypt', account))).toEqual(inOrder(shown));
    }
    const [asCaller] = named('Encrypt', OTHER);
    const asOwner = named('Encrypt').find(({ eventID }) => eventID === asCaller!.eventID)!;
    expect(asOwner).toMatchObject({
      userIdentity: { type: 'AWSAccount', accountId: OTHER },
      recipientAccountId: HOME,
      sharedEventID: asCaller!.sharedEventID,
    });
    expect(asCaller).toMatchObject({
      recipientAccountId: OTHER,
      sharedEventID: expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
  });
});

describe('digests', () => {
  test('come every hour, also where nothing was delivered, and go on from each other', async () => {
    await anHour();
    await anHour();
    await anHour();
    const keys = objects('CloudTrail-Digest');
    expect(keys).toHaveLength(3);
    const digests = keys.map(digestAt);
    expect(digests[0]).toMatchObject({
      awsAccountId: HOME,
      digestS3Bucket: BUCKET,
      digestS3Object: keys[0],
      digestSignatureAlgorithm: 'SHA256withRSA',
      previousDigestS3Bucket: null,
      previousDigestS3Object: null,
      previousDigestHashValue: null,
      previousDigestHashAlgorithm: null,
      previousDigestSignature: null,
    });
    expect(digests.flatMap(({ logFiles }) => logFiles.map(({ s3Object }) => s3Object)).sort()).toEqual(
      objects('CloudTrail').filter((key) =>
        digests.some(({ logFiles }) => logFiles.some(({ s3Object }) => s3Object === key)),
      ),
    );
    for (const [at, digest] of digests.entries()) {
      expect(keys[at]).toMatch(
        /^AWSLogs\/000000000000\/CloudTrail-Digest\/us-east-1\/\d{4}\/\d\d\/\d\d\/000000000000_CloudTrail-Digest_us-east-1_keytrail_us-east-1_\d{8}T\d{6}Z\.json\.gz$/,
      );
      const length = Date.parse(digest.digestEndTime) - Date.parse(digest.digestStartTime);
      expect(length).toBe(3_600_000);
      if (at === 0) continue;
      expect(digest.previousDigestS3Object).toBe(keys[at - 1]);
      expect(digest.digestStartTime).toBe(digests[at - 1]!.digestEndTime);
    }
  });

  byTheCli('are found valid by the AWS CLI as it is, with all log files, for each account', async () => {
    for (const account of [HOME, OTHER]) {
      const { code, output } = await validated(account);
      expect({ code, output }).toEqual({ code: 0, output: expect.stringContaining('3/3 digest files valid') });
      const named = objects('CloudTrail-Digest', account).flatMap((key) => digestAt(key).logFiles);
      expect(named.length).toBeGreaterThan(0);
      expect(output).toContain(`${named.length}/${named.length} log files valid`);
    }
  });

  byTheCli('that were changed, or whose log files were, are found by it', async () => {
    const [first, second, third] = objects('CloudTrail-Digest') as [string, string, string];
    const log = digestAt(first).logFiles[0]!.s3Object;
    const altered = (key: string, from: string, to: string) => (): (() => void) => {
      const whole = readFileSync(join(folder, key));
      const text = unpacked(key).toString('utf8');
      expect(text).toContain(from);
      writeFileSync(join(folder, key), gzipSync(text.replace(from, to)));
      return () => writeFileSync(join(folder, key), whole);
    };
    const missing = (key: string) => (): (() => void) => {
      renameSync(join(folder, key), join(folder, 'aside'));
      return () => renameSync(join(folder, 'aside'), join(folder, key));
    };
    const cases: [() => () => void, string, string][] = [
      [altered(log, '"Records"', '"records"'), log, "INVALID: hash value doesn't match"],
      [missing(log), log, 'INVALID: not found'],
      [altered(second, '"logFiles":[', '"more":0,"logFiles":['), second, 'INVALID: signature verification failed'],
      [missing(second), second, 'INVALID: not found'],
      [altered(third, '"SHA-256"', '"SHA-512"'), third, 'INVALID: signature verification failed'],
    ];
    for (const [tamper, key, found] of cases) {
      const restore = tamper();
      const { code, output } = await validated();
      restore();
      expect({ code, output }).toEqual({ code: 1, output: expect.stringContaining(`s3://${BUCKET}/${key}\t${found}`) });
    }
    expect((await validated()).code).toBe(0);
  });
});

describe('ListPublicKeys', () => {
  const list = (StartTime?: Date, EndTime?: Date) =>
    new CloudTrailClient({ endpoint: server.endpoint, region: 'eu-west-1', credentials: rootKey, maxAttempts: 1 }).send(
      new ListPublicKeysCommand({ ...(StartTime && { StartTime }), ...(EndTime && { EndTime }) }),
    );

  test('gives the key that digests name', async () => {
    const { PublicKeyList } = await list();
    expect(PublicKeyList).toEqual([
      {
        Value: expect.any(Uint8Array),
        Fingerprint: digestAt(objects('CloudTrail-Digest')[0]!).digestPublicKeyFingerprint,
        ValidityStartTime: expect.any(Date),
        ValidityEndTime: expect.any(Date),
      },
    ]);
  });

  test('gives none for a time before it was made, and refuses what is no time range', async () => {
    expect((await list(new Date(0), new Date(1000))).PublicKeyList).toEqual([]);
    expect((await refusal(list(new Date(2000), new Date(1000))))[0]).toBe('InvalidTimeRangeException');
  });
});

describe('keytrail export --cloudtrail', () => {
  const exported = (...more: string[]): Promise<string> => keytrail('export', '--cloudtrail', '--to', to, ...more);
  let to: string;
  beforeEach(() => {
    to = mkdtempSync(join(tmpdir(), 'keytrail-trail-export-'));
  });
  afterEach(() => rmSync(to, { recursive: true, force: true }));

  const publicKey = async (): Promise<Uint8Array> => {
    const trail = new CloudTrailClient({ endpoint: server.endpoint, region: 'us-east-1', credentials: rootKey });
    return (await trail.send(new ListPublicKeysCommand({}))).PublicKeyList![0]!.Value!;
  };

  test('writes what the service writes, and goes on where it was', async () => {
    expect(await exported()).toMatch(/^\d+ records written/);
    const ids = (records: WrittenRecord[]): string[] => records.map(({ eventID }) => eventID).sort();
    const first = checkedTrail(to, await publicKey(), HOME);
    expect(ids(first.records)).toEqual(expect.arrayContaining(ids(named('Encrypt'))));
    expect(first.digests).toHaveLength(1);
    await root.kms.send(new EncryptCommand({ KeyId: keyArn, Plaintext }));
    await exported();
    const second = checkedTrail(to, await publicKey(), HOME);
    expect(second.digests).toHaveLength(2);
    expect(second.undigested).toEqual([]);
    const added = second.records.filter(({ eventID }) => !ids(first.records).includes(eventID));
    expect(added.map(({ eventName }) => eventName)).toContain('Encrypt');
  });

  test('writes those of a time alone, and refuses another time for the same folder', async () => {
    const [{ eventTime } = { eventTime: '' }] = named('CreateKey') as { eventTime?: string }[];
    await exported('--until', eventTime!);
    expect(checkedTrail(to, await publicKey(), HOME).records.map(({ eventName }) => eventName)).not.toContain(
      'CreateKey',
    );
    await expect(exported('--since', eventTime!)).rejects.toThrow('has records of another time');
    await expect(keytrail('export', '--to', join(to, 'x'), '--since', eventTime!)).rejects.toThrow(
      '--since and --until: expected with --cloudtrail only',
    );
  });

  test('keeps out of a folder that is written by the service', async () => {
    await expect(keytrail('export', '--cloudtrail', '--to', folder)).rejects.toThrow('is written by another process');
  });
});

test('a clean stop leaves nothing out', async () => {
  await server.stop();
  await start({ KEYTRAIL_TRAIL_SECONDS: '3600' });
  const before = named('Encrypt').length;
  await root.kms.send(new EncryptCommand({ KeyId: keyArn, Plaintext }));
  expect(named('Encrypt')).toHaveLength(before);
  await server.stop();
  expect(named('Encrypt')).toHaveLength(before + 1);
});
