import fc from 'fast-check';
import type { KnownUse } from './last-uses';
import { trackingStart, trailingDays } from './trailing-days';

const CREATED = '2026-01-10T12:00:00.500Z';
const seconds = (iso: string): number => Date.parse(iso) / 1000;
const used = (iso: string): KnownUse => ({
  trackedSince: seconds('2026-01-01T00:00:00Z'),
  last: {
    time: seconds(iso),
    eventName: 'Encrypt',
    eventSource: 'kms.amazonaws.com',
    region: 'us-east-1',
    eventId: 'e',
    requestId: null,
  },
});
const unused = (since: string): KnownUse => ({ trackedSince: seconds(since) });

test.each<[string, KnownUse, string, number]>([
  ['since the last use', used('2026-02-01T00:00:00Z'), '2026-02-11T00:00:00.000Z', 10],
  ['rounded down', used('2026-02-01T00:00:00Z'), '2026-02-10T23:59:59.999Z', 9],
  ['none on the day of the use', used('2026-02-01T00:00:00Z'), '2026-02-01T23:59:59.999Z', 0],
  ['since its creation, of a key never used', unused('2026-01-01T00:00:00Z'), '2026-01-20T12:00:00.500Z', 10],
  ['since tracking began, of an older key', unused('2026-02-01T00:00:00Z'), '2026-02-04T00:00:00.000Z', 3],
  ['none where nothing is on record', {}, '2026-03-01T00:00:00.000Z', 0],
  ['never below none, where clocks differ', used('2026-02-01T00:00:05Z'), '2026-02-01T00:00:00.000Z', 0],
])('days without use are %s', (_, known, now, days) => {
  expect(trailingDays(known, CREATED, now)).toBe(days);
});

test('tracking never starts before the key was made', () => {
  const time = fc.integer({ min: 1_600_000_000, max: 1_900_000_000 });
  fc.assert(
    fc.property(time, fc.option(time, { nil: undefined }), time, (created, trackedSince, now) => {
      const createdAt = new Date(created * 1000).toISOString();
      const known = trackedSince === undefined ? {} : { trackedSince };
      const start = trackingStart(known, createdAt, new Date(now * 1000).toISOString());
      expect(start).toBeGreaterThanOrEqual(created * 1000);
      expect([created, trackedSince ?? now]).toContain(start / 1000);
    }),
  );
});

test('a later use never makes more days', () => {
  const time = fc.integer({ min: 1_600_000_000, max: 1_900_000_000 });
  fc.assert(
    fc.property(time, time, time, (a, b, now) => {
      const [earlier, later] = a < b ? [a, b] : [b, a];
      const days = (at: number): number =>
        trailingDays(used(new Date(at * 1000).toISOString()), CREATED, new Date(now * 1000).toISOString());
      expect(days(later)).toBeLessThanOrEqual(days(earlier));
    }),
  );
});
