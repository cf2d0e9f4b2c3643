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

  test('names tests that there are, in files that name the error', () => {
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
  const own = (part: string): string => `what suites show > ${part}`;
  const showing = (...tests: string[]): TestRun => ({
    file,
    tests: tests.map((test) => ({ test, shown: [{ operation: 'Encrypt', code: 'DisabledException' }] })),
  });
  const claimed = (test: string, of = file): ShownErrors => ({ Encrypt: { DisabledException: { file: of, test } } });

  test('is what a test of theirs was answered with', () => {
    expect(merged({}, [showing(own('is what a test of theirs was answered with'))])).toEqual(
      claimed(own('is what a test of theirs was answered with')),
    );
  });

  test('stays with the test that showed it, while that does', () => {
    const [a, b] = [
      own('is what a test of theirs was answered with'),
      own('stays with the test that showed it, while that does'),
    ];
    expect(merged(claimed(b), [showing(a, b)])).toEqual(claimed(b));
    expect(merged(claimed(b), [showing(a)])).toEqual(claimed(a));
    expect(merged(claimed(b), [showing()])).toEqual({});
  });

  test('stays where their suite was not run', () => {
    expect(merged(claimed('any', 'test/other.spec.ts'), [showing()])).toEqual(claimed('any', 'test/other.spec.ts'));
  });

  test.each([
    ['of which there is no file', 'DisabledException', { file: 'test/none.spec.ts', test: 'any' }],
    [
      'of which the file does not name the error',
      ['Tag', 'Exception'].join(''),
      { file, test: own('stays where their suite was not run') },
    ],
    ['that has another name', 'DisabledException', { file, test: own('stays where their suite was run') }],
  ])('is nothing of a test %s', (_what, code, by) => {
    expect(problemWith(code, by)).toBeDefined();
  });
});
