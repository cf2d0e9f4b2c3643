import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import type { EnvironmentContext, JestEnvironmentConfig } from '@jest/environment';
import type { Circus } from '@jest/types';
import { TestEnvironment } from 'jest-environment-node';
import type { ShownErrors, TestRun } from '../conformance/shown-errors';
import { OBSERVED, type ObservedError } from './observed-errors';

const ROOT = resolve(__dirname, '../..');

/**
 * Knows which errors of which operations each test was answered with. A test that the conformance report names for an error
 * fails once it is not answered with it any more. With KEYTRAIL_SHOWN_ERRORS, a folder, what tests were answered with is
 * written there, for scripts/conformance.
 */
export default class KeytrailEnvironment extends TestEnvironment {
  private readonly file: string;
  private readonly folder = process.env['KEYTRAIL_SHOWN_ERRORS'];
  private readonly claims: { operation: string; code: string; test: string }[] = [];
  private readonly run: TestRun;

  constructor(config: JestEnvironmentConfig, context: EnvironmentContext) {
    super(config, context);
    this.file = relative(ROOT, context.testPath);
    this.run = { file: this.file, tests: [] };
    if (this.folder === undefined) this.claims = claimsOf(this.file);
  }

  async handleTestEvent(event: Circus.AsyncEvent): Promise<void> {
    if (event.name === 'test_start') this.observed = [];
    if (event.name !== 'test_done' || event.test.errors.length > 0) return;
    const test = titleOf(event.test);
    const shown = this.observed;
    if (shown.length > 0) this.run.tests.push({ test, shown });
    for (const claim of this.claims) {
      if (claim.test !== test || shown.some((one) => one.operation === claim.operation && one.code === claim.code))
        continue;
      event.test.errors.push(
        new Error(
          `docs/conformance.md says that this test shows ${claim.code} of ${claim.operation}, which no reply to it was; ` +
            `npm run conformance -- ${this.file}`,
        ),
      );
    }
  }

  override async teardown(): Promise<void> {
    if (this.folder !== undefined) writeFileSync(join(this.folder, `${randomUUID()}.json`), JSON.stringify(this.run));
    await super.teardown();
  }

  private get observed(): ObservedError[] {
    return (this.global as { [OBSERVED]?: ObservedError[] })[OBSERVED] ?? [];
  }

  private set observed(observed: ObservedError[]) {
    (this.global as { [OBSERVED]?: ObservedError[] })[OBSERVED] = observed;
  }
}

function claimsOf(file: string): { operation: string; code: string; test: string }[] {
  const all = JSON.parse(readFileSync(join(ROOT, 'test/fixtures/shown-errors.json'), 'utf8')) as ShownErrors;
  return Object.entries(all).flatMap(([operation, codes]) =>
    Object.entries(codes).flatMap(([code, by]) => (by.file === file ? [{ operation, code, test: by.test }] : [])),
  );
}

function titleOf(test: Circus.TestEntry): string {
  const names = [test.name];
  for (let block = test.parent; block.parent; block = block.parent) names.unshift(block.name);
  return names.join(' > ');
}
