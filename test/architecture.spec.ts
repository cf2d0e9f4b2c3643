import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';

const ROOT = join(__dirname, '..');
const CRUISER = join(ROOT, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs');

const sourcesIn = (folder: string): string[] =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name));
const isTest = (path: string): boolean => /\.(spec|suite)\.ts$/.test(path);
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const readJson = <T>(path: string): T => JSON.parse(read(path)) as T;

interface Cruise {
  summary: { violations: { rule: { name: string }; from: string; to: string }[]; totalCruised: number };
}

function cruise(folder: string, ...paths: string[]): Cruise['summary'] {
  const { stdout, stderr } = spawnSync(
    process.execPath,
    [CRUISER, '--config', '.dependency-cruiser.cjs', '--output-type', 'json', ...paths],
    { cwd: folder, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 },
  );
  if (stdout === '') throw new Error(stderr);
  return (JSON.parse(stdout) as Cruise).summary;
}

describe('dependencies', () => {
  test('run from apps down to the domain, and never back', () => {
    const { violations, totalCruised } = cruise(ROOT, 'apps', 'libs');
    expect(totalCruised).toBeGreaterThan(80);
    expect(violations.map(({ rule, from, to }) => `${rule.name}: ${from} -> ${to}`)).toEqual([]);
  });

  test('that break a rule are found, each by its rule', () => {
    const folder = mkdtempSync(join(tmpdir(), 'keytrail-architecture-'));
    const write = (path: string, text: string): void => {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    };
    try {
      for (const file of ['.dependency-cruiser.cjs', 'tsconfig.json', 'package.json']) write(file, read(file));
      symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
      write('libs/operations/src/encrypt.ts', "import '#platform/serve';\nexport const encrypt = 1;\n");
      write('libs/platform/src/serve.ts', 'export const serve = 1;\n');
      write(
        'libs/domain/src/key.ts',
        "import '#policy/document';\nimport { readFileSync } from 'node:fs';\nreadFileSync('x');\n",
      );
      write('libs/policy/src/document.ts', 'export const document = 1;\n');
      write('libs/views/src/view.ts', "import '@nestjs/common';\nimport '#views/nowhere';\n");
      write('apps/one/src/main.ts', "import '../../two/src/main';\n");
      write('apps/two/src/main.ts', 'export const two = 2;\n');
      const broken = cruise(folder, 'apps', 'libs').violations.map(({ rule }) => rule.name);
      expect([...new Set(broken)].sort()).toEqual([
        'domain-depends-only-on-what-is-below-it',
        'every-import-resolves',
        'no-way-sideways-between-apps',
        'only-platform-and-apps-know-nest',
        'operations-depends-only-on-what-is-below-it',
        'pure-libs-touch-no-outer-world',
      ]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

const IMPURE = /Date\.now\(|new Date\(\)|Math\.random|randomBytes/;

test('the domain, policies, signatures, XKS and the audit log read no clock and draw no randomness', () => {
  const sources = ['domain', 'policy', 'sigv4', 'xks', 'audit-log']
    .flatMap((lib) => sourcesIn(`libs/${lib}/src`))
    .filter((p) => !isTest(p));
  expect(sources.length).toBeGreaterThan(20);
  expect(sources.filter((path) => IMPURE.test(read(path)))).toEqual([]);
  for (const impure of ['Date.now()', 'new Date()', 'Math.random()', 'randomBytes(4)']) expect(impure).toMatch(IMPURE);
  expect('new Date(at)').not.toMatch(IMPURE);
});

test('no file is a barrel or a drawer for what has no name', () => {
  const named = [...sourcesIn('libs'), ...sourcesIn('apps')].map((path) => [path, basename(path)] as const);
  expect(named.filter(([, name]) => /^(index|utils?|helpers?|common)\.ts$/.test(name)).map(([path]) => path)).toEqual(
    [],
  );
});

test('subjects are spelt in the subjects file alone', () => {
  // The table of NATS users states subjects a second time on purpose: as permissions.
  const spelt = [...sourcesIn('libs'), ...sourcesIn('apps')]
    .filter((path) => !isTest(path) && !/(^|\/)nats-users\.ts$/.test(path))
    .filter((path) => /['"`]kms\.(evt|mat|req|gw|int)\./.test(read(path)));
  expect(spelt).toEqual(['libs/domain/src/subjects.ts']);
});

test('node, tsc and jest resolve #lib/path alike, for every library that has sources', () => {
  const { imports } = readJson<{ imports: Record<string, string> }>('package.json');
  const { paths } = readJson<{ compilerOptions: { paths: Record<string, string[]> } }>('tsconfig.json').compilerOptions;
  const mapper = require(join(ROOT, 'jest.config.cjs')).moduleNameMapper as Record<string, string>;
  const libs = readdirSync(join(ROOT, 'libs')).filter((lib) => sourcesIn(`libs/${lib}`).length > 0);
  for (const lib of libs) {
    expect(imports[`#${lib}/*`]).toBe(`./dist/libs/${lib}/src/*.js`);
    expect(paths[`#${lib}/*`]).toEqual([`libs/${lib}/src/*`]);
    const mapped = Object.entries(mapper)
      .filter(([pattern]) => new RegExp(pattern).test(`#${lib}/some/file`))
      .map(([pattern, to]) => `#${lib}/some/file`.replace(new RegExp(pattern), to));
    expect(mapped).toEqual([`<rootDir>/libs/${lib}/src/some/file`]);
  }
  expect(Object.keys(imports).sort()).toEqual(libs.map((lib) => `#${lib}/*`).sort());
  expect(Object.keys(paths).sort()).toEqual(Object.keys(imports).sort());
});
