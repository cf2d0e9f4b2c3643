import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pino } from 'pino';
import { MemoryEventStore } from '#event-store/memory-event-store';
import { embeddedDatabase } from '#platform/history/history-database';
import { historyEntry, placeOf } from '#platform/history/history-entry';
import { Projector } from '#platform/history/projector';

jest.setTimeout(120_000);

const THREAD = resolve(__dirname, '../dist/libs/platform/src/history/pglite-thread.js');
const SCOPE = { account: '000000000000', region: 'us-east-1' };

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
        const entry = historyEntry(
          {
            eventVersion: '1.11',
            userIdentity: { type: 'Root' },
            eventTime: '2026-11-25T12:00:00Z',
            eventSource: 'kms.amazonaws.com',
            eventName: 'Encrypt',
            awsRegion: SCOPE.region,
            eventID: `00000000-0000-8000-8000-${String(seq).padStart(12, '0')}`,
            readOnly: true,
            eventType: 'AwsApiCall',
            managementEvent: true,
            recipientAccountId: SCOPE.account,
            eventCategory: 'Management',
          },
          placeOf('records', seq, 0),
        );
        return [seq === 2 && tries++ === 0 ? { ...entry, time: Number.NaN } : entry];
      },
      changes: () => [],
    },
    log: pino({ level: 'silent' }),
    retryMs: 1,
    patienceMs: 60_000,
  });
  const append = (nth: number): Promise<number> =>
    records.append({
      subject: `kms.aud.${nth}`,
      bytes: Buffer.from(String(nth)),
      expectedLastSeq: 0,
      appendId: `${nth}`,
    });
  try {
    projector.start();
    await append(1);
    expect(await projector.lookUp({ ...SCOPE, limit: 9 })).toHaveLength(1);
    await append(2);
    const found = await projector.lookUp({ ...SCOPE, limit: 9 });
    expect(found.map(({ eventId }) => Number(eventId.slice(-12)))).toEqual([2, 1]);
    expect(tries).toBe(2);
    expect(projector.problem).toBeUndefined();
  } finally {
    await projector.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});
