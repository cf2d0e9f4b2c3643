import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { VaultDigestSigner } from './digest-signer';
import { locked, TrailFiles, type TrailFilesPorts } from './trail-files';
import { TrailFilesError } from './trail-state';

const NOW = Date.parse('2026-11-25T23:10:31.500Z');

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'keytrail-trail-files-'));
  jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask', 'performance'] });
});
afterEach(() => {
  jest.useRealTimers();
  rmSync(folder, { recursive: true, force: true });
});

function trailFiles(source: Partial<TrailFilesPorts['source']>): TrailFiles {
  const clock = { now: () => NOW };
  return new TrailFiles({
    folder,
    settings: { trailSeconds: 300, accountId: '000000000000', region: 'us-east-1', trailBucket: 'keytrail-trail' },
    source,
    signer: new VaultDigestSigner({ trailKey: (make) => make() }, clock),
    clock,
    log: { warn() {}, error() {} },
    metrics: { gauge() {} },
  } as unknown as TrailFilesPorts);
}

const unlocked = (): boolean => {
  try {
    locked(folder).release();
    return true;
  } catch (error) {
    expect(error).toBeInstanceOf(TrailFilesError);
    return false;
  }
};

test('a folder is free for another process once a stop has written what came last', async () => {
  const files = trailFiles({ after: async () => undefined });
  await files.stop();
  expect(unlocked()).toBe(true);
});

test('a folder that is still written to when a stop waits no longer is not free before that has ended', async () => {
  const answers: (() => void)[] = [];
  const after = () => new Promise<undefined>((answered) => answers.push(() => answered(undefined)));
  const stopped = trailFiles({ after }).stop();
  while (answers.length === 0) await nextTurn();
  await jest.advanceTimersByTimeAsync(5_000);
  await stopped;
  expect(unlocked()).toBe(false);
  answers[0]!();
  while (!unlocked()) await nextTurn();
});
