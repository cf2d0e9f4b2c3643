import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type KeytrailProcess, run, startProcess } from './support/processes';

const example = (name: string): string => resolve(__dirname, '../examples', name);

let dataDir: string;
let server: KeytrailProcess;

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-examples-'));
  server = await startProcess(dataDir);
});

afterAll(async () => {
  await server?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

test('a plain NATS client encrypts and decrypts', async () => {
  const { code, output } = await run([example('nats-client.mjs')], { KEYTRAIL_DATA_DIR: dataDir }).done;
  expect(output).toBe('hello over NATS\n');
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
