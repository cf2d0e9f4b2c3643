import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { KMS_MODEL } from './kms-model';
import { testsIn } from './written-tests';

/** The test that shows an error: its file, from the root of the project, and its title with those around it. */
export interface Showing {
  file: string;
  test: string;
}

/** By operation, then by error. */
export type ShownErrors = Record<string, Record<string, Showing>>;

/** What one test file was answered with, by test that passed. */
export interface TestRun {
  file: string;
  tests: { test: string; shown: { operation: string; code: string }[] }[];
}

export const ROOT = resolve(__dirname, __dirname.includes('/dist/') ? '../../..' : '../..');
export const SHOWN_ERRORS = join(ROOT, 'test/fixtures/shown-errors.json');

export const readShownErrors = (): ShownErrors => JSON.parse(readFileSync(SHOWN_ERRORS, 'utf8')) as ShownErrors;

/**
 * What is shown now that these files have been run: what they showed before and show no more is gone. Of several tests the one
 * that showed it before stays, else one over the wire, from the SDK.
 */
export function merged(before: ShownErrors, runs: readonly TestRun[]): ShownErrors {
  const run = new Set(runs.map(({ file }) => file));
  const after: ShownErrors = {};
  for (const [operation, { errors }] of Object.entries(KMS_MODEL.operations)) {
    for (const code of errors) {
      const candidates = candidatesFor(operation, code, runs);
      const old = before[operation]?.[code];
      const stays = old && (run.has(old.file) ? candidates.some((one) => isSame(one, old)) : !problemWith(code, old));
      const by = stays ? old : candidates[0];
      if (by) after[operation] = { ...after[operation], [code]: by };
    }
  }
  return after;
}

const candidatesFor = (operation: string, code: string, runs: readonly TestRun[]): Showing[] =>
  runs
    .flatMap(({ file, tests }) =>
      tests
        .filter(({ shown }) => shown.some((one) => one.operation === operation && one.code === code))
        .map(({ test }) => ({ file, test })),
    )
    .filter((showing) => problemWith(code, showing) === undefined)
    .sort((a, b) => Number(b.file.startsWith('test/')) - Number(a.file.startsWith('test/')) || order(a, b));

const isSame = (a: Showing, b: Showing): boolean => a.file === b.file && a.test === b.test;

const order = (a: Showing, b: Showing): number => (a.file + a.test < b.file + b.test ? -1 : 1);

const sources = new Map<string, string | undefined>();

function sourceOf(file: string): string | undefined {
  if (!sources.has(file)) {
    try {
      sources.set(file, readFileSync(join(ROOT, file), 'utf8'));
    } catch {
      sources.set(file, undefined);
    }
  }
  return sources.get(file);
}

/**
 * Why the test cannot be what shows the error, as far as its text tells: it must name it, itself or in its title, so that one
 * that is answered with it in passing does not count. Whether it is answered with it is seen whenever it runs.
 */
export function problemWith(code: string, { file, test }: Showing): string | undefined {
  const source = sourceOf(file);
  if (source === undefined) return 'there is no such file';
  const groups = test.split(' > ');
  const title = groups.pop()!;
  const written = testsIn(file, source);
  const missing = groups.find((group) => !written.some((one) => one.isGroup && one.title.test(group)));
  if (missing !== undefined) return `there is no group of tests "${missing}"`;
  const found = written.filter((one) => !one.isGroup && one.title.test(title));
  if (found.length === 0) return `there is no test "${title}"`;
  return test.includes(code) || found.some(({ text }) => text.includes(code)) ? undefined : 'the test does not name it';
}
