import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { pino } from 'pino';
import type { AuditRecord } from '#audit-log/record';
import type { UsedKind } from '#audit-log/uses';
import type { FoundEvent, HistoryAttribute, HistoryQuery } from '#operations/audit/event-history';
import { embeddedDatabase, type HistoryDatabase, postgresDatabase } from '#platform/history/history-database';
import { type HistoryEntry, historyEntry, placeOf } from '#platform/history/history-entry';
import { PGlitePool } from '#platform/history/pglite-pool';
import { EmptiedError, type SqlHistory } from '#platform/history/sql-history';
import { findPostgres, TestPostgres } from './support/postgres';

jest.setTimeout(120_000);

const THREAD = resolve(__dirname, '../dist/libs/platform/src/history/pglite-thread.js');
const log = pino({ level: 'silent' });
const CALLER = '000000000000';
const OWNER = '111122223333';
const REGION = 'us-east-1';
const KEY = `arn:aws:kms:${REGION}:${CALLER}:key/8c0c3863-e6c5-4f5a-99f1-27e414aafb91`;
const THEIR_KEY = `arn:aws:kms:${REGION}:${OWNER}:key/1f0d6f5e-2a67-4c1f-9d1a-0b6f6f0f9a11`;
const ALIAS = `arn:aws:kms:${REGION}:${CALLER}:alias/orders`;

const databases: [string, () => Promise<{ database: HistoryDatabase; end(): Promise<void> }>][] = [
  [
    'PGlite',
    async () => {
      const folder = mkdtempSync(join(tmpdir(), 'keytrail-history-'));
      return {
        database: embeddedDatabase(join(folder, 'history'), log, { thread: THREAD }),
        end: async () => rmSync(folder, { recursive: true, force: true }),
      };
    },
  ],
];
const binaries = findPostgres();
if (binaries === undefined) console.warn('SKIPPED: the history on PostgreSQL, since there is no postgres on PATH');
else {
  databases.push([
    'PostgreSQL',
    async () => {
      const server = await TestPostgres.start(binaries);
      return { database: postgresDatabase(server.url, log), end: () => server.stop() };
    },
  ]);
}

const record = (nth: number, changes: Partial<AuditRecord> = {}): AuditRecord => ({
  eventVersion: '1.11',
  userIdentity: { type: 'IAMUser', principalId: 'AIDAANN', accountId: CALLER, accessKeyId: 'AKIAANN', userName: 'ann' },
  eventTime: `2026-11-25T12:00:${String(nth % 60).padStart(2, '0')}Z`,
  eventSource: 'kms.amazonaws.com',
  eventName: 'Encrypt',
  awsRegion: REGION,
  eventID: `00000000-0000-8000-8000-${String(nth).padStart(12, '0')}`,
  readOnly: true,
  resources: [{ accountId: CALLER, type: 'AWS::KMS::Key', ARN: KEY }],
  eventType: 'AwsApiCall',
  managementEvent: true,
  recipientAccountId: CALLER,
  eventCategory: 'Management',
  requestParameters: null,
  responseElements: null,
  ...changes,
});
const entry = (of: AuditRecord, position: number, index = 0): HistoryEntry =>
  historyEntry(of, placeOf('records', position, index));
const ids = (found: FoundEvent[]): number[] => found.map(({ eventId }) => Number(eventId.slice(-12)));

describe.each(databases)('the event history on %s', (_, start) => {
  let database: HistoryDatabase;
  let end: () => Promise<void>;
  let history: SqlHistory;

  beforeAll(async () => {
    ({ database, end } = await start());
    history = await database.open();
  });

  afterAll(async () => {
    await history?.close();
    await end?.();
  });

  beforeEach(() => history.clear());

  const fold = (records: AuditRecord[], position = 1): Promise<void> =>
    history.fold(
      'records',
      records.map((one, index) => entry(one, position, index)),
      { position, hash: `hash-${position}` },
    );
  const find = async (key?: HistoryAttribute, value = '', account = CALLER): Promise<number[]> =>
    ids(await history.find({ account, region: REGION, limit: 50, ...(key && { attribute: { key, value } }) }));

  test('finds records by each attribute, newest first', async () => {
    await fold([
      record(1),
      record(2, {
        eventName: 'CreateAlias',
        readOnly: false,
        resources: [
          { accountId: CALLER, type: 'AWS::KMS::Key', ARN: KEY },
          { accountId: CALLER, type: 'AWS::KMS::Alias', ARN: ALIAS },
        ],
      }),
      record(3, { eventName: 'GetUser', eventSource: 'iam.amazonaws.com', resources: [] }),
      record(4, { userIdentity: { type: 'Root', principalId: CALLER, accountId: CALLER, accessKeyId: 'AKIAROOT' } }),
      record(5, { userIdentity: { type: 'AssumedRole', principalId: 'AROAX:night', accountId: CALLER } }),
    ]);
    expect(await find()).toEqual([5, 4, 3, 2, 1]);
    expect(await find('EventId', record(3).eventID)).toEqual([3]);
    expect(await find('EventName', 'Encrypt')).toEqual([5, 4, 1]);
    expect(await find('ReadOnly', 'false')).toEqual([2]);
    expect(await find('ReadOnly', 'true')).toEqual([5, 4, 3, 1]);
    expect(await find('Username', 'ann')).toEqual([3, 2, 1]);
    expect(await find('Username', 'root')).toEqual([4]);
    expect(await find('Username', 'night')).toEqual([5]);
    expect(await find('ResourceType', 'AWS::KMS::Alias')).toEqual([2]);
    expect(await find('ResourceType', 'AWS::KMS::Key')).toEqual([5, 4, 2, 1]);
    expect(await find('ResourceName', KEY)).toEqual([5, 4, 2, 1]);
    expect(await find('ResourceName', KEY.slice(-36))).toEqual([5, 4, 2, 1]);
    expect(await find('ResourceName', 'alias/orders')).toEqual([2]);
    expect(await find('ResourceName', ALIAS)).toEqual([2]);
    expect(await find('EventSource', 'iam.amazonaws.com')).toEqual([3]);
    expect(await find('AccessKeyId', 'AKIAROOT')).toEqual([4]);
    expect(await find('EventName', 'encrypt')).toEqual([]);
  });

  test('forgets what is before a time, and nothing else', async () => {
    await fold([record(1), record(2), record(3)]);
    await history.forgetBefore(Date.parse(record(2).eventTime) / 1000);
    expect(await find()).toEqual([3, 2]);
    expect(await find('ResourceName', KEY)).toEqual([3, 2]);
    await fold([record(1)], 2);
    expect(await find('ResourceName', KEY)).toEqual([3, 2, 1]);
  });

  test('orders the records of one second by where they are in the log, and pages without a gap or a repeat', async () => {
    const one = record(0).eventTime;
    const names = ['Encrypt', 'Decrypt', 'ReEncrypt'];
    await fold(Array.from({ length: 7 }, (_, at) => record(at, { eventTime: one, eventName: names[at % 3]! })));
    const source = { key: 'EventSource', value: 'kms.amazonaws.com' } as const;
    for (const attribute of [undefined, source, { key: 'ResourceName', value: KEY } as const]) {
      const seen: number[] = [];
      let after: FoundEvent | undefined;
      for (let page = 0; page < 4; page++) {
        const found: FoundEvent[] = await history.find({
          ...{ account: CALLER, region: REGION, limit: 2 },
          ...(attribute && { attribute }),
          ...(after && { after }),
        });
        seen.push(...ids(found));
        after = found.at(-1);
      }
      expect(seen).toEqual([6, 5, 4, 3, 2, 1, 0]);
    }
  });

  test('takes both ends of a time range in', async () => {
    await fold([1, 2, 3, 4].map((nth) => record(nth)));
    const at = (nth: number): number => Date.parse(record(nth).eventTime) / 1000;
    const within = { account: CALLER, region: REGION, limit: 9, from: at(2), to: at(3) };
    expect(ids(await history.find(within))).toEqual([3, 2]);
    const ofKey = await history.find({ ...within, attribute: { key: 'ResourceName', value: KEY } });
    expect(ids(ofKey)).toEqual([3, 2]);
    const byId = (nth: number): Promise<FoundEvent[]> =>
      history.find({ ...within, attribute: { key: 'EventId', value: record(nth).eventID } });
    expect([await byId(1), ids(await byId(2)), ids(await byId(3)), await byId(4)]).toEqual([[], [2], [3], []]);
  });

  test('tells a name of its own from the same of another account', async () => {
    const theirs = ALIAS.replace(CALLER, OWNER);
    const withAlias = (nth: number, accountId: string, ARN: string): AuditRecord =>
      record(nth, { resources: [{ accountId, type: 'AWS::KMS::Alias', ARN }] });
    await fold([withAlias(1, CALLER, ALIAS), withAlias(2, OWNER, theirs), withAlias(3, OWNER, THEIR_KEY)]);
    expect(await find('ResourceName', ALIAS)).toEqual([1]);
    expect(await find('ResourceName', theirs)).toEqual([2]);
    expect(await find('ResourceName', 'alias/orders')).toEqual([2, 1]);
    expect(await find('ResourceName', THEIR_KEY.slice(-36))).toEqual([3]);
    expect(await find('ResourceName', theirs, OWNER)).toEqual([2]);
    expect(await find('ResourceName', 'alias/orders', OWNER)).toEqual([2]);
    expect(await find('ResourceName', ALIAS, OWNER)).toEqual([]);
  });

  test('shows a use across accounts to both, and to the owner no more of the caller than AWS does', async () => {
    await fold([record(1, { resources: [{ accountId: OWNER, type: 'AWS::KMS::Key', ARN: THEIR_KEY }] }), record(2)]);
    expect(await find('ResourceName', THEIR_KEY)).toEqual([1]);
    expect(await find(undefined, '', OWNER)).toEqual([1]);
    expect(await find('AccessKeyId', 'AKIAANN', OWNER)).toEqual([]);
    expect(await find('Username', 'ann', OWNER)).toEqual([]);
    expect(await find('EventName', 'Encrypt', OWNER)).toEqual([1]);
    expect(await find('EventId', record(1).eventID, OWNER)).toEqual([1]);
    expect(await find('EventId', record(2).eventID, OWNER)).toEqual([]);
    const [seen] = await history.find({ account: OWNER, region: REGION, limit: 1 });
    expect(JSON.parse(seen!.record)).toMatchObject({
      userIdentity: { type: 'AWSAccount', principalId: 'AIDAANN', accountId: CALLER },
      recipientAccountId: OWNER,
    });
    expect(seen!.record).not.toContain('AKIAANN');
    expect(await history.find({ account: CALLER, region: 'eu-west-1', limit: 1 })).toEqual([]);
  });

  test('counts the first record of a call, in one message, in another, and when a message comes again', async () => {
    const refused = record(1, { errorCode: 'AccessDeniedException' });
    const later = record(1, { resources: [{ accountId: OWNER, type: 'AWS::KMS::Key', ARN: THEIR_KEY }] });
    await fold([refused, record(2), record(1)]);
    await fold([later], 2);
    await fold([refused, record(2), record(1)]);
    expect(await find()).toEqual([2, 1]);
    expect(await find(undefined, '', OWNER)).toEqual([]);
    expect(await find('ResourceName', THEIR_KEY)).toEqual([]);
    const [, first] = await history.find({ account: CALLER, region: REGION, limit: 2 });
    expect(JSON.parse(first!.record)).toHaveProperty('errorCode', 'AccessDeniedException');
  });

  test('keeps the position with the rows, and never goes back', async () => {
    expect(await history.foldedTo('records')).toBeUndefined();
    await fold([record(1)], 7);
    await fold([], 5);
    expect(await history.foldedTo('records')).toEqual({ position: 7, hash: 'hash-7' });
    expect(await history.foldedTo('changes')).toBeUndefined();
  });

  const lastUse = async (kind: UsedKind = 'key', id = KEY): Promise<[string, number] | undefined> => {
    const { last } = await history.lastUse(kind, id);
    return last && [last.eventName, Number(last.eventId.slice(-12))];
  };

  test('tells the newest use of a key, in whatever order the records come', async () => {
    expect(await history.lastUse('key', KEY)).toEqual({});
    await fold([record(3), record(4, { resources: [{ accountId: OWNER, type: 'AWS::KMS::Key', ARN: THEIR_KEY }] })]);
    await fold([record(2, { eventName: 'Decrypt' })], 2);
    expect(await history.lastUse('key', KEY)).toEqual({
      trackedSince: Date.parse(record(3).eventTime) / 1000,
      last: {
        time: Date.parse(record(3).eventTime) / 1000,
        eventName: 'Encrypt',
        eventSource: 'kms.amazonaws.com',
        region: REGION,
        eventId: record(3).eventID,
        requestId: null,
      },
    });
    expect(await lastUse('key', THEIR_KEY)).toEqual(['Encrypt', 4]);
    await fold([record(5, { eventName: 'Decrypt', requestID: 'request' })], 3);
    expect(await lastUse()).toEqual(['Decrypt', 5]);
    await fold([record(6, { errorCode: 'DisabledException' }), record(7, { eventName: 'DescribeKey' })], 4);
    expect((await history.lastUse('key', KEY)).last).toMatchObject({ requestId: 'request' });
  });

  test('takes the later of two uses in one second, and neither again', async () => {
    const { eventTime } = record(0);
    const uses = [record(1, { eventTime }), record(2, { eventTime }), record(3, { eventTime })];
    await fold(uses, 5);
    expect(await lastUse()).toEqual(['Encrypt', 3]);
    await fold([record(4, { eventTime })], 4);
    await fold(uses, 5);
    expect(await lastUse()).toEqual(['Encrypt', 3]);
    expect((await history.lastUse('key', KEY)).trackedSince).toBe(Date.parse(eventTime) / 1000);
  });

  test('tells of a use although a refusal of the same call came first', async () => {
    await fold([record(1, { errorCode: 'DependencyTimeoutException' }), record(1)]);
    expect(await lastUse()).toEqual(['Encrypt', 1]);
  });

  test('tells apart what is used of each kind', async () => {
    await fold([record(1), record(2, { eventName: 'GetUser', eventSource: 'iam.amazonaws.com', resources: [] })]);
    expect(await lastUse('access-key', 'AKIAANN')).toEqual(['GetUser', 2]);
    expect(await lastUse('key', 'AKIAANN')).toBeUndefined();
    expect(await lastUse()).toEqual(['Encrypt', 1]);
  });

  test('walks along an index for each lookup, whatever the time range and the page', async () => {
    // Of a few hundred, PostgreSQL rather reads all there is.
    await fold(Array.from({ length: 2_000 }, (_, nth) => record(nth)));
    const time = Date.parse(record(0).eventTime) / 1000;
    const parts = [{}, { from: time, to: time + 30 }, { after: { time: time + 9, place: 1e9 } }];
    const lookups: [HistoryQuery['attribute'], string][] = [
      [undefined, 'history_terms_key'],
      [{ key: 'EventId', value: record(7).eventID }, 'history_records_event_id_key'],
      [{ key: 'EventName', value: 'Encrypt' }, 'history_terms_key'],
      [{ key: 'EventSource', value: 'kms.amazonaws.com' }, 'history_terms_key'],
      [{ key: 'ReadOnly', value: 'true' }, 'history_terms_key'],
      [{ key: 'Username', value: 'ann' }, 'history_terms_key'],
      [{ key: 'AccessKeyId', value: 'AKIAANN' }, 'history_terms_key'],
      [{ key: 'ResourceType', value: 'AWS::KMS::Key' }, 'history_terms_key'],
      [{ key: 'ResourceName', value: KEY }, 'history_terms_key'],
      [{ key: 'ResourceName', value: KEY.slice(-36) }, 'history_terms_key'],
    ];
    for (const [attribute, index] of lookups) {
      for (const part of parts) {
        const query = { account: CALLER, region: REGION, limit: 51, ...(attribute && { attribute }), ...part };
        const plan = await history.explain(query);
        expect(plan).toMatch(new RegExp(`Index (Only )?Scan (Backward )?using ${index} on`));
        expect(plan).not.toMatch(/Seq Scan on history_(records|terms)/);
      }
    }
  });

  test('passes over what another process has taken in of a batch', async () => {
    await history.fold('records', [entry(record(1), 1), entry(record(2), 2)], { position: 2, hash: 'h' });
    const again = record(9, { eventName: 'Decrypt' });
    await history.fold('records', [entry(again, 2), entry(record(3), 3)], { position: 3, hash: 'h' }, 1);
    expect(await find()).toEqual([3, 2, 1]);
    expect(await history.foldedTo('records')).toEqual({ position: 3, hash: 'h' });
  });

  test('leaves no gap where another process has emptied it meanwhile', async () => {
    await fold([record(1)], 1);
    await history.clear();
    const next = history.fold('records', [entry(record(2), 2)], { position: 2, hash: 'h' }, 1);
    await expect(next).rejects.toThrow(EmptiedError);
    expect(await find()).toEqual([]);
    await fold([record(1), record(2)], 2);
    expect(await find('EventName', 'Encrypt')).toEqual([2, 1]);
  });

  test('takes neither rows nor position where the transaction fails', async () => {
    const broken = { ...entry(record(2), 9), time: Number.NaN };
    await expect(history.fold('records', [entry(record(1), 9), broken], { position: 9, hash: 'h' })).rejects.toThrow(
      'invalid input syntax',
    );
    expect(await find()).toEqual([]);
    expect(await history.lastUse('key', KEY)).toEqual({});
    expect(await history.foldedTo('records')).toBeUndefined();
  });

  test('keeps texts that no column could hold as they are', async () => {
    const parameters = { keyId: 'a\0b', note: '\ud800 "quoted" \\u0000' };
    await fold([
      record(1, {
        requestParameters: parameters,
        resources: [{ accountId: CALLER, type: 'AWS::KMS::Key', ARN: `${KEY}\0${'x'.repeat(9_000)}` }],
      }),
    ]);
    const [found] = await history.find({ account: CALLER, region: REGION, limit: 1 });
    expect(JSON.parse(found!.record).requestParameters).toEqual(parameters);
  });

  test('has what it had after it was closed and opened again', async () => {
    await fold([record(1)], 3);
    await history.close();
    history = await database.open();
    expect(await find()).toEqual([1]);
    expect(await lastUse()).toEqual(['Encrypt', 1]);
    expect(await history.foldedTo('records')).toEqual({ position: 3, hash: 'hash-3' });
  });

  test('begins with nothing once it was discarded', async () => {
    await fold([record(1)], 3);
    await database.discard(history);
    history = await database.open();
    expect(await find()).toEqual([]);
    expect(await history.lastUse('key', KEY)).toEqual({});
    expect(await history.foldedTo('records')).toBeUndefined();
  });
});

test('nobody else may read what PGlite keeps, in a folder that was there before, either', async () => {
  const folder = join(mkdtempSync(join(tmpdir(), 'keytrail-history-')), 'history');
  mkdirSync(folder, { mode: 0o755 });
  const history = await embeddedDatabase(folder, pino({ level: 'silent' }), { thread: THREAD }).open();
  await history.close();
  expect(statSync(folder).mode & 0o777).toBe(0o700);
  rmSync(dirname(folder), { recursive: true });
});

test('a read model of before last uses were kept is built anew', async () => {
  const folder = join(mkdtempSync(join(tmpdir(), 'keytrail-history-')), 'history');
  const database = embeddedDatabase(folder, log, { thread: THREAD });
  let history = await database.open();
  await history.fold('records', [entry(record(1), 3)], { position: 3, hash: 'hash-3' });
  await history.close();
  const pool = await PGlitePool.open(folder, { thread: THREAD });
  const client = await pool.connect();
  await client.query('drop table history_last_uses, history_tracked_since', []);
  await client.query("delete from history_migrations where name = '0003-last-uses'", []);
  client.release();
  await pool.end();
  history = await database.open();
  expect(await history.foldedTo('records')).toBeUndefined();
  await history.close();
  rmSync(dirname(folder), { recursive: true, force: true });
});
