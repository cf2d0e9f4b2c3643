import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateKeyCommand,
  DecryptCommand,
  EncryptCommand,
  KMSServiceException,
  ListKeysCommand,
} from '@aws-sdk/client-kms';
import { until } from './support/nats-server';
import { type KeytrailProcess, startProcess } from './support/processes';

const Plaintext = Buffer.from('through the outage');

let dataDir: string;
let server: KeytrailProcess;

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-outage-'));
  server = await startProcess(dataDir);
});

afterAll(async () => {
  await server?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

const natsPid = (): number => Number(readFileSync(join(dataDir, 'nats/pid'), 'utf8'));
const healthy = async (): Promise<boolean> => (await fetch(`${server.endpoint}/healthz`)).ok;

test('a nats-server killed under load costs no acknowledged key, and service goes on', async () => {
  const first = (await server.kms.send(new CreateKeyCommand({}))).KeyMetadata!.KeyId!;
  const created = [first];
  const ciphertexts: Uint8Array[] = [];
  const failures: unknown[] = [];
  let loaded = true;
  const load = async (request: () => Promise<unknown>): Promise<void> => {
    while (loaded) await request().catch((error: unknown) => failures.push(error));
  };
  const create = async () => created.push((await server.kms.send(new CreateKeyCommand({}))).KeyMetadata!.KeyId!);
  const encrypt = async () =>
    ciphertexts.push((await server.kms.send(new EncryptCommand({ KeyId: first, Plaintext }))).CiphertextBlob!);
  const loads = [create, create, encrypt, encrypt].map(load);

  await until(() => created.length > 10 && ciphertexts.length > 10, 'the load did not start');
  const killed = natsPid();
  process.kill(killed, 'SIGKILL');
  await until(() => natsPid() !== killed, 'nats-server was not started again');
  await until(healthy, 'healthz did not become ready again');
  const [keysThen, ciphertextsThen] = [created.length, ciphertexts.length];
  await until(
    () => created.length > keysThen + 10 && ciphertexts.length > ciphertextsThen + 10,
    'service did not go on',
  );
  loaded = false;
  await Promise.all(loads);

  for (const failure of failures) {
    expect(failure).toBeInstanceOf(KMSServiceException);
    expect((failure as KMSServiceException).$metadata.httpStatusCode).toBeGreaterThanOrEqual(500);
  }
  const listed = new Set<string>();
  let Marker: string | undefined;
  do {
    const page = await server.kms.send(new ListKeysCommand({ Limit: 1000, Marker }));
    for (const { KeyId } of page.Keys ?? []) listed.add(KeyId!);
    Marker = page.NextMarker;
  } while (Marker);
  expect(created.filter((id) => !listed.has(id))).toEqual([]);
  for (const CiphertextBlob of [ciphertexts[0]!, ciphertexts.at(-1)!]) {
    const opened = await server.kms.send(new DecryptCommand({ CiphertextBlob }));
    expect(Buffer.from(opened.Plaintext!).equals(Plaintext)).toBe(true);
  }
});
