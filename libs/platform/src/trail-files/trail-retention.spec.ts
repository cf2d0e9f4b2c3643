import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { digestKey, logFileKey } from '#audit-log/trail-names';
import { removeDaysBefore } from './trail-retention';

const PAIR = { account: '111122223333', region: 'us-east-2' };

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'keytrail-retention-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('whole days before the day of the time are removed, log files and digests, and nothing else', () => {
  const moments = [
    '2025-12-31T23:59:59Z',
    '2026-01-01T00:00:00Z',
    '2026-01-02T23:59:59Z',
    '2026-01-03T00:00:00Z',
    '2026-02-01T00:00:00Z',
  ];
  const put = (key: string): void => {
    mkdirSync(dirname(join(folder, key)), { recursive: true });
    writeFileSync(join(folder, key), '');
  };
  for (const ms of moments.map(Date.parse)) {
    put(logFileKey(PAIR, ms, 'a'));
    put(digestKey(PAIR, 'us-east-1', ms));
  }
  put('keytrail-trail.json');
  put('AWSLogs/note.txt');
  removeDaysBefore(folder, Date.parse('2026-01-03T12:00:00Z'));
  const left = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  expect(left.filter((name) => name.endsWith('.json.gz')).sort()).toEqual(
    moments
      .slice(3)
      .map(Date.parse)
      .flatMap((ms) => [logFileKey(PAIR, ms, 'a'), digestKey(PAIR, 'us-east-1', ms)])
      .sort(),
  );
  expect(left).toEqual(expect.arrayContaining(['keytrail-trail.json', 'AWSLogs/note.txt']));
  expect(left).not.toContain('AWSLogs/111122223333/CloudTrail/us-east-2/2025');
});

test('a folder that has no files yet is left as it is', () => {
  removeDaysBefore(folder, Date.now());
  expect(readdirSync(folder)).toEqual([]);
});
