import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type KeytrailProcess, run, startProcess } from './support/processes';

const example = (name: string): string => resolve(__dirname, '../examples', name);

let folder: string;
let dataDir: string;
let server: KeytrailProcess;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'keytrail-examples-'));
  dataDir = join(folder, 'data');
  server = await startProcess(dataDir);
});

afterAll(async () => {
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

test('a plain NATS client encrypts and decrypts', async () => {
  const { code, output } = await run([example('nats-client.mjs')], { KEYTRAIL_DATA_DIR: dataDir }).done;
  expect(output).toBe('hello over NATS\n');
  expect(code).toBe(0);
});

test('the NATS client of README.md lists keys', async () => {
  const readme = readFileSync(resolve(__dirname, '../README.md'), 'utf8');
  const program = join(folder, 'readme.js');
  writeFileSync(program, /```js\n([\s\S]*?)```/.exec(readme)![1]!);
  const { code, output } = await run([program], { NODE_PATH: resolve(__dirname, '../node_modules') }, folder).done;
  expect(JSON.parse(output)).toHaveProperty('Keys');
  expect(code).toBe(0);
});

test('the AWS SDK encrypts and decrypts with the files that the server wrote', async () => {
  const { code, output } = await run(['--no-warnings', example('aws-sdk.mjs')], {
    AWS_CONFIG_FILE: join(dataDir, 'aws/config'),
    AWS_SHARED_CREDENTIALS_FILE: join(dataDir, 'aws/credentials'),
    // The configuration file names the port asked for, and this server took a free one.
    AWS_ENDPOINT_URL: server.endpoint,
  }).done;
  expect(output).toBe('hello from the AWS SDK\n');
  expect(code).toBe(0);
});
