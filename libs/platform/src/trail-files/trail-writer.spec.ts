import { createSecretKey, type KeyObject } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { batchEntry, encodeBatch, NO_BATCH, SALT_BYTES } from '#audit-log/batch';
import { type AuditRecord, splitRecord } from '#audit-log/record';
import type { StoredCommit } from '#event-store/event-store';
import { checkedTrail, unpacked } from '../../../../test/support/trail-check';
import { RecordReader } from '../history/read-records';
import { VaultDigestSigner } from './digest-signer';
import { TrailSource } from './trail-source';
import { stateFile, TrailFilesError } from './trail-state';
import { TrailWriter } from './trail-writer';

const HOME = '000000000000';
const OTHER = '111122223333';
const BUCKET = 'keytrail-trail';
const BEGUN = Date.parse('2026-11-25T23:10:31.500Z');
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const WRITER = '7a5b8a0e-6f6c-4f0e-9c37-0d2f4a1c9b11';
const KEY = createSecretKey(Buffer.alloc(32, 7));

const record = (nth: number, changes: Partial<AuditRecord> = {}): AuditRecord => ({
  eventVersion: '1.11',
  userIdentity: { type: 'IAMUser', principalId: 'AIDAANN', accountId: HOME, accessKeyId: 'AKIAANN', userName: 'ann' },
  eventTime: `2026-11-25T23:10:${String(nth % 60).padStart(2, '0')}Z`,
  eventSource: 'kms.amazonaws.com',
  eventName: 'Encrypt',
  awsRegion: 'us-east-1',
  requestID: `request-${nth}`,
  eventID: `00000000-0000-8000-8000-${String(nth).padStart(12, '0')}`,
  readOnly: true,
  eventType: 'AwsApiCall',
  managementEvent: true,
  recipientAccountId: HOME,
  eventCategory: 'Management',
  requestParameters: { keyId: 'k' },
  responseElements: null,
  decisionInput: { secureTransport: true },
  ...changes,
});

/** A stream of batches in memory. */
class Log {
  readonly messages: StoredCommit[] = [];

  add(...records: AuditRecord[]): void {
    const entries = records.map((one) => {
      const { open, sealed } = splitRecord(one);
      return batchEntry(open, sealed, Buffer.alloc(SALT_BYTES, 1));
    });
    const seq = this.messages.length + 1;
    const bytes = encodeBatch({ writer: WRITER, batch: seq, prev: NO_BATCH }, entries, () => ({
      generation: 1,
      key: KEY,
    }));
    this.messages.push({ seq, subject: `kms.aud.${WRITER}`, bytes });
  }

  async *read(from: number): AsyncGenerator<StoredCommit> {
    yield* this.messages.slice(from - 1);
  }

  async lastPosition(): Promise<number> {
    return this.messages.length;
  }
}

const signer = new VaultDigestSigner({ trailKey: (make) => make() }, { now: () => BEGUN });

let folder: string;
let log: Log;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'keytrail-trail-writer-'));
  log = new Log();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function writer(
  now = BEGUN,
  more: { failPoint?: (name: string) => void; of?: Log; key?: () => KeyObject | undefined } = {},
): TrailWriter {
  const { of = log, failPoint, key = () => KEY } = more;
  const reader = new RecordReader({ toUnseal: async () => key() }, (_, __, error) => {
    throw error;
  });
  const source = new TrailSource({
    logs: { records: of, changes: new Log() },
    entriesOf: { records: (message) => reader.entriesOf(message), changes: () => [] },
    pieceMessages: 2,
  });
  const place = { bucket: BUCKET, home: 'us-east-1' };
  return new TrailWriter({ folder, place, account: HOME, source, signer, ...(failPoint && { failPoint }) }, now);
}

const checked = async (account = HOME, region = 'us-east-1') =>
  checkedTrail(folder, (await signer.publicKey()).value, account, region);
const requests = async (account = HOME, region = 'us-east-1'): Promise<string[]> =>
  (await checked(account, region)).records.map(({ requestID }) => requestID!.slice('request-'.length)).sort();
const everyFile = (): string[] => readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();

test('what is delivered goes into the files of its account and region, without what is no field of CloudTrail', async () => {
  log.add(
    record(1),
    record(2, { recipientAccountId: OTHER }),
    record(3, { awsRegion: 'eu-west-1', resources: [{ accountId: OTHER, type: 'AWS::KMS::Key', ARN: 'arn' }] }),
  );
  expect(await writer().deliver(BEGUN)).toBe(4);
  expect(await requests()).toEqual(['1']);
  expect(await requests(HOME, 'eu-west-1')).toEqual(['3']);
  expect(await requests(OTHER)).toEqual(['2']);
  const [asOwner] = (await checked(OTHER, 'eu-west-1')).records;
  expect(asOwner).toMatchObject({
    userIdentity: { type: 'AWSAccount' },
    recipientAccountId: OTHER,
  });
  const [written] = (await checked()).records;
  const { decisionInput: _, ...fields } = record(1);
  expect(written).toEqual(fields);
});

test('of a record whose sealed part is shredded, what remains is written', async () => {
  log.add(record(1));
  await writer(BEGUN, { key: () => undefined }).deliver(BEGUN);
  const { decisionInput: _, requestParameters: __, responseElements: ___, ...open } = record(1);
  expect((await checked()).records).toEqual([open]);
});

test('digests say what was delivered in their period, and are there without it too', async () => {
  const one = writer();
  log.add(record(1), record(2));
  await one.deliver(BEGUN + MINUTE);
  await one.digestHours(BEGUN + HOUR - MINUTE);
  expect((await checked()).digests).toEqual([]);
  await one.digestHours(BEGUN + HOUR + MINUTE);
  await one.digestHours(BEGUN + 2 * HOUR + MINUTE);
  const { digests, undigested } = await checked();
  expect(undigested).toEqual([]);
  expect(digests).toMatchObject([
    {
      digestStartTime: '2026-11-25T23:10:31Z',
      digestEndTime: '2026-11-26T00:10:31Z',
      digestS3Object: `AWSLogs/${HOME}/CloudTrail-Digest/us-east-1/2026/11/26/${HOME}_CloudTrail-Digest_us-east-1_keytrail_us-east-1_20261126T001031Z.json.gz`,
      oldestEventTime: '2026-11-25T23:10:01Z',
      newestEventTime: '2026-11-25T23:10:02Z',
      logFiles: [{ oldestEventTime: '2026-11-25T23:10:01Z', newestEventTime: '2026-11-25T23:10:02Z' }],
    },
    { digestEndTime: '2026-11-26T01:10:31Z', oldestEventTime: null, newestEventTime: null, logFiles: [] },
  ]);
});

test('after a standstill one digest covers all of its hours', async () => {
  await writer().digestHours(BEGUN + HOUR);
  await writer(BEGUN + 30 * HOUR).digestHours(BEGUN + 30.5 * HOUR);
  expect((await checked()).digests).toMatchObject([
    { digestEndTime: '2026-11-26T00:10:31Z' },
    { digestStartTime: '2026-11-26T00:10:31Z', digestEndTime: '2026-11-27T05:10:31Z' },
  ]);
});

test('a record that was stored twice is in one file, whether or not the writer was started anew between', async () => {
  log.add(record(1));
  const one = writer();
  await one.deliver(BEGUN);
  log.add(record(1), record(2), record(2));
  await one.deliver(BEGUN);
  log.add(record(2), record(3));
  await writer().deliver(BEGUN);
  expect(await requests()).toEqual(['1', '2', '3']);
});

test('wherever a run is broken off, it goes on to files without a gap or a repeat', async () => {
  const steps: ((at: TrailWriter, now: number) => Promise<unknown>)[] = [
    (at, now) => at.deliver(now),
    (at, now) => at.digestHours(now + HOUR),
    (at, now) => at.deliver(now + HOUR),
    (at, now) => at.digestHours(now + 2 * HOUR),
  ];
  const grow = (step: number): void => {
    if (step % 2 !== 0) return;
    const first = step * 10;
    log.add(record(first + 1), record(first + 2, { awsRegion: 'eu-west-1' }));
    log.add(record(first + 3), record(first + 1));
    log.add(record(first + 4, { recipientAccountId: OTHER }));
  };
  let broken = 0;
  for (let nth = 1; ; nth++) {
    rmSync(folder, { recursive: true });
    mkdirSync(folder);
    log = new Log();
    let left = nth;
    const failPoint = (name: string): void => {
      if (--left === 0) throw new Error(`broken off at ${name}`);
    };
    let one = writer(BEGUN, { failPoint });
    let lost = 0;
    for (const [step, take] of steps.entries()) {
      grow(step);
      await take(one, BEGUN).catch(async (error: Error) => {
        expect(error.message).toMatch(/^broken off at /);
        lost++;
        // Somewhat later, as a process that was started anew.
        one = writer(BEGUN + 7 * MINUTE);
        await one.resume();
        await take(one, BEGUN + 7 * MINUTE);
      });
    }
    expect(await requests()).toEqual(['1', '21', '23', '3']);
    expect(await requests(HOME, 'eu-west-1')).toEqual(['2', '22']);
    expect(await requests(OTHER)).toEqual(['24', '4']);
    for (const [account, region] of [
      [HOME, 'us-east-1'],
      [HOME, 'eu-west-1'],
      [OTHER, 'us-east-1'],
    ] as const) {
      const { digests, undigested } = await checked(account, region);
      expect(undigested).toEqual([]);
      expect(digests).toHaveLength(2);
    }
    expect(everyFile().filter((name) => name.endsWith('.tmp'))).toEqual([]);
    broken += lost;
    if (lost === 0) break;
  }
  // Two deliveries in two pieces each, and two digests of three.
  expect(broken).toBeGreaterThan(20);
});

test('a file that is there is not another one after a crash, whatever has come into the log since', async () => {
  log.add(record(1));
  const failPoint = (name: string): void => {
    if (name === 'after-files:trail-delivery') throw new Error('broken off');
  };
  await expect(writer(BEGUN, { failPoint }).deliver(BEGUN)).rejects.toThrow('broken off');
  const [file] = everyFile().filter((name) => name.endsWith('.json.gz'));
  const before = readFileSync(join(folder, file!));
  log.add(record(2));
  await writer().deliver(BEGUN + HOUR);
  expect(readFileSync(join(folder, file!))).toEqual(before);
  expect(await requests()).toEqual(['1', '2']);
});

test('nobody unknown opens a region, nor does anybody open more than 64', async () => {
  const stranger = { userIdentity: { type: 'Unknown' as const, accountId: HOME } };
  log.add(record(1, { ...stranger, awsRegion: 'us-west-9' }));
  log.add(...Array.from({ length: 70 }, (_, at) => record(100 + at, { awsRegion: `eu-west-${at}` })));
  log.add(record(2, { ...stranger, awsRegion: 'eu-west-1' }), record(3, { awsRegion: 'eu-west-69' }));
  await writer().deliver(BEGUN);
  expect(readdirSync(join(folder, `AWSLogs/${HOME}/CloudTrail`))).toHaveLength(64);
  expect(await requests(HOME, 'eu-west-1')).toEqual(['101', '2']);
  expect(await requests()).toEqual(['1', ...Array.from({ length: 7 }, (_, at) => String(163 + at)), '3']);
});

describe('nothing is written', () => {
  const nothingMore = async (now: number, of: Log, message: RegExp): Promise<void> => {
    const before = everyFile();
    await expect((async () => writer(now, { of }).deliver(now))()).rejects.toThrow(message);
    expect(everyFile()).toEqual(before);
  };

  beforeEach(async () => {
    log.add(record(1));
    log.add(record(2));
    await writer().deliver(BEGUN);
  });

  test('where the state of a folder is missing, or is none', async () => {
    const path = stateFile(folder);
    const state = readFileSync(path);
    rmSync(path);
    await nothingMore(BEGUN, log, /has log files, but .*keytrail-trail\.json is missing/);
    for (const text of ['', '{}', '{"v":2}', state.toString().slice(0, -20)]) {
      writeFileSync(path, text);
      expect(() => writer()).toThrow(TrailFilesError);
    }
    expect(existsSync(path)).toBe(true);
  });

  test('of a log that has lost its end, or is another one', async () => {
    const short = new Log();
    short.add(record(1));
    await nothingMore(BEGUN, short, /the log of records has no position 2/);
    const other = new Log();
    for (const nth of [1, 5, 6]) other.add(record(nth));
    await nothingMore(BEGUN, other, /the log of records has another message at position 2/);
  });
});

test('what is compressed is JSON of CloudTrail alone', async () => {
  log.add(record(1));
  await writer().deliver(BEGUN);
  const [file] = everyFile().filter((name) => name.endsWith('.json.gz'));
  expect(file).toMatch(/_20261125T2310Z_[A-Za-z0-9]{16}\.json\.gz$/);
  expect(Object.keys(JSON.parse(unpacked(folder, file!).toString('utf8')))).toEqual(['Records']);
});

test('a key that is out of reach for a while costs no record', async () => {
  log.add(record(1));
  log.add(record(2));
  let asked = 0;
  const files = writer(BEGUN, {
    key: () => {
      if (++asked === 2) throw new Error('no crypto-worker answers');
      return KEY;
    },
  });
  await expect(files.deliver(BEGUN)).rejects.toThrow('no crypto-worker answers');
  expect(await files.deliver(BEGUN + MINUTE)).toBe(2);
  expect(await requests()).toEqual(['1', '2']);
});
