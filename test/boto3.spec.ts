import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { findOpenssl } from './support/certificates';
import { MisbehavingProxy } from './support/misbehaving-proxy';
import { type KeytrailProcess, startProcess } from './support/processes';

const TOUR = resolve(__dirname, 'fixtures/boto3_tour.py');
/** As the script declares them. */
const SECTIONS = [...readFileSync(TOUR, 'utf8').matchAll(/^@section\(.*\)\ndef (\w+)/gm)].map(([, name]) => name!);

function boto3Version(): string | undefined {
  try {
    const args = ['-c', 'import boto3; print(boto3.__version__)'];
    return execFileSync('python3', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return undefined;
  }
}

const version = boto3Version();
if (version === undefined) console.warn('SKIPPED: the tour with boto3, since python3 does not find it');
const tour = version === undefined ? describe.skip : describe;

interface Section {
  section?: string;
  skipped?: string;
  /** A traceback. */
  failed?: string;
  /** Operations that no section called. */
  uncalled?: string[];
}

tour('boto3', () => {
  let dataDir: string;
  let server: KeytrailProcess | undefined;
  let proxy: MisbehavingProxy | undefined;
  let told: Section[] = [];

  beforeAll(async () => {
    dataDir = mkdtempSync(join(tmpdir(), 'keytrail-boto3-'));
    proxy = await MisbehavingProxy.start();
    server = await startProcess(dataDir, { KEYTRAIL_XKS_STORE_LOOPBACK: 'true' });
    const outer = Object.entries(process.env).filter(([name]) => !name.startsWith('AWS_'));
    const env = {
      ...Object.fromEntries(outer),
      AWS_CONFIG_FILE: join(dataDir, 'aws/config'),
      AWS_SHARED_CREDENTIALS_FILE: join(dataDir, 'aws/credentials'),
      // The configuration file names the port asked for, and this server took a free one.
      KEYTRAIL_ENDPOINT: server.endpoint,
      KEYTRAIL_XKS_PROXY: proxy.endpoint,
    };
    const output = await new Promise<string>((done, failed) => {
      execFile('python3', [TOUR], { env, encoding: 'utf8' }, (error, stdout, stderr) =>
        error ? failed(new Error(`${stdout}${stderr}`)) : done(stdout),
      );
    });
    told = output
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Section);
  });

  afterAll(async () => {
    await server?.stop();
    await proxy?.stop();
    rmSync(dataDir, { recursive: true, force: true });
  });

  test.each(SECTIONS)('understands %s: what is answered, page by page, and each refusal by its class', (name) => {
    const found = told.find(({ section }) => section === name);
    if (found?.skipped !== undefined) console.warn(`SKIPPED: ${name}: ${found.skipped}`);
    const needsOpenssl = name === 'imported_material' && findOpenssl() === undefined;
    if (needsOpenssl) return;
    expect(found?.failed ?? '').toBe('');
    expect(found).toBeDefined();
  });

  test('has called every operation of its own', () => {
    if (told.some(({ skipped }) => skipped !== undefined)) return;
    const uncalled = told.find((line) => line.uncalled)?.uncalled ?? ['nothing was told'];
    expect(uncalled).toEqual([]);
  });
});
