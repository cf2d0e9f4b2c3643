import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateKeyCommand, DisableKeyCommand, EncryptCommand } from '@aws-sdk/client-kms';
import type { AuditRecord } from '#audit-log/record';
import { connectAsUser } from './support/audit-records';
import { until } from './support/nats-server';
import { type KeytrailProcess, startProcess } from './support/processes';
import { type LoadedCall, outcomeOf, RecordedLoad } from './support/recorded-load';

jest.setTimeout(180_000);

const Plaintext = Buffer.from('on record');
const ROUNDS = 6;

let dataDir: string;
let server: KeytrailProcess;
const load = new RecordedLoad();

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-records-crash-'));
  server = await startProcess(dataDir);
});

afterAll(async () => {
  await server?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

const natsPid = (): number => Number(readFileSync(join(dataDir, 'nats/pid'), 'utf8'));
const newKey = async (): Promise<string> => (await server.kms.send(new CreateKeyCommand({}))).KeyMetadata!.KeyId!;

/** Allowed and refused ones, of both planes, eight at once. */
function calls(KeyId: string): LoadedCall[] {
  const { kms } = server;
  const each = [
    () => outcomeOf(kms.send(new EncryptCommand({ KeyId, Plaintext }))),
    () => outcomeOf(kms.send(new EncryptCommand({ KeyId: 'alias/none', Plaintext }))),
    () => outcomeOf(kms.send(new CreateKeyCommand({}))),
    () => outcomeOf(kms.send(new DisableKeyCommand({ KeyId: 'alias/none' }))),
  ];
  return [...each, ...each];
}

async function expectAllOnRecord(): Promise<Map<string, AuditRecord[]>> {
  const reader = await connectAsUser(dataDir, 'audit-projector');
  const byRequest = await load.expectAllOnRecord(reader);
  await reader.close();
  // In one process nothing is sent twice.
  expect([...byRequest.values()].filter((records) => records.length > 1)).toEqual([]);
  return byRequest;
}

test('kill -9 of the server at any moment leaves no reply without its record', async () => {
  for (let round = 1; round <= ROUNDS; round++) {
    load.start(calls(await newKey()));
    const before = load.replies;
    await until(() => load.replies > before + 37 * round, 'the load did not start');
    server.signal('SIGKILL');
    await server.gone;
    await load.stop();
    server = await startProcess(dataDir);
  }
  expect([...load.answered.values()].filter((code) => code === 'OK').length).toBeGreaterThan(100);
  expect([...load.answered.values()]).toContain('NotFoundException');
  await expectAllOnRecord();
});

test.each([1, 9].flatMap((nth) => [`before-append:records#${nth}`, `after-append:records#${nth}`]))(
  'a crash at %s does so neither',
  async (KEYTRAIL_FAIL_POINT) => {
    const KeyId = await newKey();
    await server.stop();
    server = await startProcess(dataDir, { KEYTRAIL_FAIL_POINT });
    load.start(calls(KeyId));
    expect(await server.gone).toBe('SIGKILL');
    await load.stop();
    server = await startProcess(dataDir);
    const byRequest = await expectAllOnRecord();
    // What was stored just before the crash is on record, although its client heard nothing of it.
    const unheard = [...byRequest.keys()].filter((requestId) => !load.answered.has(requestId));
    if (KEYTRAIL_FAIL_POINT.startsWith('after')) expect(unheard.length).toBeGreaterThan(0);
  },
);

test('kill -9 of the nats-server does so neither, no record is there twice, and service goes on', async () => {
  load.start(calls(await newKey()));
  for (let round = 1; round <= 3; round++) {
    const before = load.replies;
    await until(() => load.replies > before + 100, 'the load did not go on');
    const killed = natsPid();
    process.kill(killed, 'SIGKILL');
    await until(() => natsPid() !== killed, 'nats-server was not started again');
  }
  const before = load.replies;
  await until(() => load.replies > before + 100, 'the load did not go on');
  await load.stop();
  await expectAllOnRecord();
});
