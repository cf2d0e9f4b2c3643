import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { reasonFor } from './conformance/not-shown';
import { conformanceOf, reportOf } from './conformance/report';
import { merged, problemWith, ROOT, readShownErrors, type ShownErrors, type TestRun } from './conformance/shown-errors';

const shownErrors = readShownErrors();

describe('docs/conformance.md', () => {
  test('is what npm run conformance makes', () => {
    expect(readFileSync(join(ROOT, 'docs/conformance.md'), 'utf8')).toBe(reportOf(conformanceOf(shownErrors)));
  });

  test('has a test or a reason for every error that an operation declares', () => {
    expect(conformanceOf(shownErrors).missing.map(({ operation, code }) => `${operation} ${code}`)).toEqual([]);
  });

  test('names tests that there are, and that name the error', () => {
    const problems = Object.entries(shownErrors).flatMap(([operation, codes]) =>
      Object.entries(codes).flatMap(([code, by]) => {
        const problem = problemWith(code, by);
        return problem === undefined ? [] : [`${operation} ${code}: ${by.file}: ${problem}`];
      }),
    );
    expect(problems).toEqual([]);
  });

  test('gives no reason why an error cannot happen that a test shows', () => {
    const both = Object.entries(shownErrors).flatMap(([operation, codes]) =>
      Object.keys(codes).filter((code) => reasonFor(operation, code) !== undefined),
    );
    expect(both).toEqual([]);
  });
});

describe('what suites show', () => {
  const file = 'test/conformance.spec.ts';
  const own = (title: string): string => `what suites show > ${title}`;
  const showing = (code: string, ...tests: string[]): TestRun => ({
    file,
    tests: tests.map((test) => ({ test, shown: [{ operation: 'Encrypt', code }] })),
  });
  const claimed = (code: string, test: string, of = file): ShownErrors => ({ Encrypt: { [code]: { file: of, test } } });
  const first = own('is what a test of theirs was answered with');
  const second = own('stays with the test that showed it, while that does');

  test('is what a test of theirs was answered with', () => {
    expect(merged({}, [showing('DisabledException', first)])).toEqual(claimed('DisabledException', first));
  });

  test('stays with the test that showed it, while that does', () => {
    const before = claimed('DisabledException', second);
    expect(merged(before, [showing('DisabledException', first, second)])).toEqual(before);
    expect(merged(before, [showing('DisabledException', first)])).toEqual(claimed('DisabledException', first));
    expect(merged(before, [showing('DisabledException')])).toEqual({});
  });

  test('stays where their suite was not run', () => {
    const title = 'Encrypt answers with the NotFoundException that it declares';
    const before = claimed('NotFoundException', title, 'libs/operations/src/declared-errors.spec.ts');
    expect(merged(before, [showing('NotFoundException')])).toEqual(before);
    expect(merged(claimed('NotFoundException', 'a test that there was'), [])).toEqual({});
  });

  test.each([
    ['of which there is no file', { file: 'test/none.spec.ts', test: first }],
    ['that does not name the error', { file, test: own('stays where their suite was not run') }],
    ['that has another name', { file, test: own('stays where their suite was run') }],
    ['that is in another group', { file, test: 'what nobody shows > is what a test of theirs was answered with' }],
  ])('is nothing of a test %s', (_what, by) => {
    expect(problemWith('DisabledException', { file, test: first })).toBeUndefined();
    expect(problemWith('DisabledException', by)).toBeDefined();
  });
});
