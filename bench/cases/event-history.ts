import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import type { AuditRecord } from '#audit-log/record';
import { embeddedDatabase, type HistoryDatabase } from '#platform/history/history-database';
import { historyEntry, placeOf } from '#platform/history/history-entry';
import type { SqlHistory } from '#platform/history/sql-history';
import type { Scenario } from '../case';
import { Latencies, type Measured } from '../measured';

const FOLD = 'audit: event history, fold records in';
const LOOK_UP = 'audit: event history, look up a key in 1,000,000 records';

const RECORDS = 1_000_000;
const BATCH = 500;
const KEYS = 1_000;
const ACCOUNT = '000000000000';
const REGION = 'us-east-1';

/** The read model in PGlite alone: a million records folded in as the projector does it, then pages of one key's. */
export const eventHistory: Scenario = {
  cases: [
    { name: FOLD, connections: 1 },
    { name: LOOK_UP, connections: 1 },
  ],
  onlyByName: true,
  async open() {
    const folder = mkdtempSync(join(tmpdir(), 'keytrail-bench-history-'));
    const database = embeddedDatabase(join(folder, 'history'), pino({ level: 'silent' }));
    process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
    let filled: Promise<Measured> | undefined;
    const fill = (): Promise<Measured> => {
      filled ??= opened(database, foldAll);
      return filled;
    };
    return {
      [FOLD]: fill,
      [LOOK_UP]: async (_, seconds) => {
        await fill();
        return opened(database, (history) => lookUp(history, seconds));
      },
    };
  },
};

async function opened<T>(database: HistoryDatabase, use: (history: SqlHistory) => Promise<T>): Promise<T> {
  const history = await database.open();
  try {
    return await use(history);
  } finally {
    await history.close();
  }
}

async function foldAll(history: SqlHistory): Promise<Measured> {
  const latencies = new Latencies();
  const started = performance.now();
  for (let first = 0; first < RECORDS; first += BATCH) {
    const before = performance.now();
    const position = first / BATCH + 1;
    const entries = Array.from({ length: BATCH }, (_, at) =>
      historyEntry(recordOf(first + at), placeOf('records', position, at)),
    );
    await history.fold('records', entries, { position, hash: '' });
    latencies.add((performance.now() - before) / BATCH);
  }
  return { perSecond: (RECORDS * 1000) / (performance.now() - started), ...latencies.percentiles };
}

async function lookUp(history: SqlHistory, seconds: number): Promise<Measured> {
  const latencies = new Latencies();
  const started = performance.now();
  let count = 0;
  do {
    const value = keyArn((count * 617 + 27) % KEYS);
    const before = performance.now();
    const found = await history.find({
      ...{ account: ACCOUNT, region: REGION, limit: 51 },
      attribute: { key: 'ResourceName', value },
    });
    latencies.add(performance.now() - before);
    if (found.length !== 51) throw new Error(`${found.length} events of ${value}`);
    count++;
  } while (performance.now() < started + seconds * 1000);
  return { perSecond: (count * 1000) / (performance.now() - started), ...latencies.percentiles };
}

const hex = (n: number, length: number): string => n.toString(16).padStart(length, '0');
const keyArn = (nth: number): string => `arn:aws:kms:${REGION}:${ACCOUNT}:key/00000000-0000-4000-8000-${hex(nth, 12)}`;

/** As one of an Encrypt by one of 20 users with one of the keys, a thousand a second. */
function recordOf(nth: number): AuditRecord {
  const user = nth % 20;
  return {
    eventVersion: '1.11',
    userIdentity: {
      ...{ type: 'IAMUser', principalId: `AIDA${hex(user, 17)}`, arn: `arn:aws:iam::${ACCOUNT}:user/user-${user}` },
      ...{ accountId: ACCOUNT, accessKeyId: `AKIA${hex(user, 16)}`, userName: `user-${user}` },
    },
    eventTime: `${new Date(1_780_000_000_000 + nth).toISOString().slice(0, 19)}Z`,
    eventSource: 'kms.amazonaws.com',
    eventName: nth % 3 === 0 ? 'Decrypt' : 'Encrypt',
    awsRegion: REGION,
    additionalEventData: { keyMaterialId: hex(nth % KEYS, 64), decidedBy: { kind: 'root' } },
    requestID: `00000000-0000-4000-9000-${hex(nth, 12)}`,
    eventID: `${hex((nth * 2_654_435_761) % 4_294_967_296, 8)}-0000-8000-8000-${hex(nth, 12)}`,
    readOnly: true,
    resources: [{ accountId: ACCOUNT, type: 'AWS::KMS::Key', ARN: keyArn(nth % KEYS) }],
    eventType: 'AwsApiCall',
    managementEvent: true,
    recipientAccountId: ACCOUNT,
    eventCategory: 'Management',
    sourceIPAddress: '192.0.2.1',
    userAgent: 'keytrail-bench',
    requestParameters: { keyId: keyArn(nth % KEYS), encryptionContext: { tenant: `t-${nth % 7}` } },
    responseElements: null,
  };
}
