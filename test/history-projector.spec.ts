import { createSecretKey } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pino } from 'pino';
import { batchEntry, encodeBatch, NO_BATCH } from '#audit-log/batch';
import { type AuditRecord, splitRecord } from '#audit-log/record';
import { MemoryEventStore } from '#event-store/memory-event-store';
import type { FoundEvent } from '#operations/audit/event-history';
import { embeddedDatabase } from '#platform/history/history-database';
import { historyEntry, placeOf } from '#platform/history/history-entry';
import { Projector } from '#platform/history/projector';
import type { SealedScope } from '#platform/recording/sealing-keys';

jest.setTimeout(120_000);

const THREAD = resolve(__dirname, '../dist/libs/platform/src/history/pglite-thread.js');
const HOUR_MS = 3_600_000;
const SCOPE = { account: '000000000000', region: 'us-east-1' };

const recordOf = (nth: number): AuditRecord => ({
  eventVersion: '1.11',
  userIdentity: { type: 'Root' },
  eventTime: '2026-11-25T12:00:00Z',
  eventSource: 'kms.amazonaws.com',
  eventName: 'Encrypt',
  awsRegion: SCOPE.region,
  eventID: `00000000-0000-8000-8000-${String(nth).padStart(12, '0')}`,
  readOnly: true,
  eventType: 'AwsApiCall',
  managementEvent: true,
  recipientAccountId: SCOPE.account,
  eventCategory: 'Management',
  requestParameters: { nth },
  responseElements: null,
});

const appendTo = (log: MemoryEventStore, nth: number, bytes: Buffer = Buffer.from(String(nth))): Promise<number> =>
  log.append({ subject: `kms.aud.${nth}`, bytes, expectedLastSeq: 0, appendId: `${nth}` });

const numbersOf = (found: FoundEvent[]): number[] => found.map(({ eventId }) => Number(eventId.slice(-12)));

test('a fold that fails is tried again, although nothing comes after it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'keytrail-projector-'));
  const records = new MemoryEventStore();
  const changes = new MemoryEventStore();
  let tries = 0;
  const projector = new Projector({
    database: embeddedDatabase(join(folder, 'history'), pino({ level: 'silent' }), { thread: THREAD }),
    logs: { records, changes },
    entriesOf: {
      records: ({ seq }) => {
        const entry = historyEntry(recordOf(seq), placeOf('records', seq, 0));
        return [seq === 2 && tries++ === 0 ? { ...entry, time: Number.NaN } : entry];
      },
      changes: () => [],
    },
    log: pino({ level: 'silent' }),
    retryMs: 1,
    patienceMs: 60_000,
  });
  try {
    projector.start();
    await appendTo(records, 1);
    expect(await projector.lookUp({ ...SCOPE, limit: 9 })).toHaveLength(1);
    await appendTo(records, 2);
    const found = await projector.lookUp({ ...SCOPE, limit: 9 });
    expect(numbersOf(found)).toEqual([2, 1]);
    expect(tries).toBe(2);
    expect(projector.problem).toBeUndefined();
  } finally {
    await projector.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});

test('the thread of the database reads sealed records itself, and a lookup waits for no other work to be done', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'keytrail-projector-'));
  const records = new MemoryEventStore();
  const sealingKey = createSecretKey(Buffer.alloc(32, 7));
  const asked: SealedScope[] = [];
  const unreadable: string[] = [];
  const log = pino({ level: 'silent' });
  const projector = new Projector({
    database: embeddedDatabase(join(folder, 'history'), log, {
      thread: THREAD,
      reading: {
        keys: {
          async toUnseal(scope) {
            asked.push(scope);
            if (asked.length === 1) throw new Error('no crypto-worker is there');
            return sealingKey;
          },
        },
        unreadable: (stream, position, { message }) => unreadable.push(`${stream} ${position}: ${message}`),
      },
    }),
    logs: { records, changes: new MemoryEventStore() },
    entriesOf: { records: () => [], changes: () => [] },
    log,
    gatherMs: HOUR_MS,
    shouldGiveWay: () => true,
    retryMs: 1,
    patienceMs: 60_000,
  });
  const batch = (nth: number): Buffer => {
    const entries = [10 * nth, 10 * nth + 1].map((each) => {
      const { open, sealed } = splitRecord(recordOf(each));
      return batchEntry(open, sealed, Buffer.alloc(16, each));
    });
    return encodeBatch({ writer: 'w', batch: nth, prev: NO_BATCH }, entries, () => ({
      generation: 1,
      key: sealingKey,
    }));
  };
  try {
    projector.start();
    await appendTo(records, 1, batch(1));
    expect(numbersOf(await projector.lookUp({ ...SCOPE, limit: 9 }))).toEqual([11, 10]);
    await appendTo(records, 2, Buffer.from('no batch'));
    await appendTo(records, 3, batch(3));
    const found = await projector.lookUp({ ...SCOPE, limit: 9 });
    expect(numbersOf(found)).toEqual([31, 30, 11, 10]);
    expect(JSON.parse(found[0]!.record)).toMatchObject({ requestParameters: { nth: 31 } });
    expect(asked[0]).toEqual({ account: SCOPE.account, month: '2026-11', generation: 1, writer: 'w' });
    expect(unreadable).toEqual(['records 2: the head of a batch is no JSON']);
    expect(projector.problem).toBeUndefined();
  } finally {
    await projector.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});
