import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MemoryEventStore } from '#event-store/memory-event-store';
import { LiveView } from '#views/live-view';
import { GOLDEN_COMMITS } from '../../../test/support/golden-commits';
import { LogWitness } from './log-witness';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'keytrail-witness-'));
  path = join(folder, 'log-witness');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A log of the first commits of the golden one, without those at `without`. */
async function logOf(count: number): Promise<MemoryEventStore> {
  const log = new MemoryEventStore();
  for (let seq = 1; seq <= count; seq++) await append(log, seq);
  return log;
}

async function append(log: MemoryEventStore, seq: number): Promise<void> {
  const { subject, bytes } = GOLDEN_COMMITS[seq - 1]!;
  const before = GOLDEN_COMMITS.filter((commit) => commit.subject === subject && commit.seq < seq);
  await log.append({ subject, bytes, expectedLastSeq: before.at(-1)?.seq ?? 0, appendId: String(seq) });
}

/** Keeps the witness on a log, and ends; what it complained of. */
async function keep(log: MemoryEventStore, meanwhile?: () => Promise<number>): Promise<unknown[]> {
  const problems: unknown[] = [];
  const view = new LiveView();
  await view.start(log);
  try {
    const witness = await LogWitness.keep(path, log, view, (problem) => problems.push(problem));
    if (meanwhile) await view.waitFor(await meanwhile());
    await witness.stop();
  } finally {
    await view.stop();
  }
  return problems;
}

const positionIn = (): number => Number(readFileSync(path, 'utf8').split(' ')[4]);

describe('the witness of the end of the log', () => {
  test('is made for a log that had none, empty or not', async () => {
    await keep(await logOf(0));
    expect(readFileSync(path, 'utf8')).toBe('');
    await keep(await logOf(5));
    expect(positionIn()).toBe(5);
  });

  test('is as far as the log with each commit', async () => {
    const log = await logOf(2);
    await keep(log, async () => {
      for (const seq of [3, 4]) await append(log, seq);
      return 4;
    });
    expect(positionIn()).toBe(4);
  });

  test('refuses a log that is shorter, and a commit that is another one', async () => {
    await keep(await logOf(5));
    await expect(keep(await logOf(4))).rejects.toThrow(`ends at position 4, but ${path} says that it had reached 5`);
    const other = await logOf(4);
    await other.append({
      subject: 'kms.evt.us-east-1.000000000000.key.x',
      bytes: Buffer.from('{}'),
      expectedLastSeq: 0,
      appendId: 'x',
    });
    const altered = LogWitness.keep(path, other, new LiveView(), () => {});
    await expect(altered).rejects.toThrow('position 5 of KMS_EVENTS is not the commit of which');
    expect(positionIn()).toBe(5);
  });

  test('that is behind, as a crash before it is written leaves it, follows', async () => {
    await keep(await logOf(3));
    expect(await keep(await logOf(6))).toEqual([]);
    expect(positionIn()).toBe(6);
  });

  test.each([[0], [20], [60], [105], [121]])(
    'that is damaged refuses nothing, says so and is made anew: byte %i',
    async (at) => {
      await keep(await logOf(3));
      const bytes = readFileSync(path);
      bytes[at]! ^= 1;
      writeFileSync(path, bytes);
      expect(await keep(await logOf(3))).toEqual([
        new Error(`${path} is damaged: it cannot tell whether the log has lost its end`),
      ]);
      expect(positionIn()).toBe(3);
      expect(await keep(await logOf(3))).toEqual([]);
    },
  );
});
