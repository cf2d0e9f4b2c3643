import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateKeyCommand, DisableKeyCommand, EncryptCommand, type KMSClient } from '@aws-sdk/client-kms';
import type { AuditRecord } from '#audit-log/record';
import { auditRecords, connectAsUser } from './support/audit-records';
import { until } from './support/nats-server';
import { type KeytrailProcess, startProcess } from './support/processes';

const Plaintext = Buffer.from('on record');
const ROUNDS = 6;

let dataDir: string;
let server: KeytrailProcess;
/** What was answered, good or bad: the request id, and the code that the client was told. */
const answered = new Map<string, string>();
/** Replies that say so themselves are not on record. */
const NOT_ON_RECORD = ['DependencyTimeoutException', 'ThrottlingException'];

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-records-crash-'));
  server = await startProcess(dataDir);
});

afterAll(async () => {
  await server?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

const natsPid = (): number => Number(readFileSync(join(dataDir, 'nats/pid'), 'utf8'));

/** Asks without pause, and notes every reply; `stop` resolves once none is under way. */
class Load {
  private going = true;
  private readonly ended: Promise<unknown>;
  replies = 0;

  constructor(kms: KMSClient, KeyId: string) {
    const calls = [
      () => kms.send(new EncryptCommand({ KeyId, Plaintext })),
      () => kms.send(new EncryptCommand({ KeyId: 'alias/none', Plaintext })),
      () => kms.send(new CreateKeyCommand({})),
      () => kms.send(new DisableKeyCommand({ KeyId: 'alias/none' })),
    ];
    this.ended = Promise.all([...calls, ...calls].map((call) => this.repeat(call)));
  }

  async stop(): Promise<void> {
    this.going = false;
    await this.ended;
  }

  private async repeat(call: () => Promise<{ $metadata: { requestId?: string } }>): Promise<void> {
    while (this.going) {
      try {
        this.note((await call()).$metadata.requestId, 'OK');
      } catch (error) {
        const { name, $metadata } = error as Error & { $metadata?: { requestId?: string } };
        this.note($metadata?.requestId, name);
      }
    }
  }

  private note(requestId: string | undefined, code: string): void {
    if (requestId === undefined) return;
    answered.set(requestId, code);
    this.replies++;
  }
}

async function expectAllOnRecord(): Promise<void> {
  const reader = await connectAsUser(dataDir, 'audit-projector');
  const byId = new Map<string, AuditRecord[]>();
  for (const record of await auditRecords(reader)) {
    byId.set(record.requestID!, [...(byId.get(record.requestID!) ?? []), record]);
  }
  await reader.close();
  const missing = [...answered].filter(([id, code]) => !byId.has(id) && !NOT_ON_RECORD.includes(code));
  expect(missing).toEqual([]);
  expect([...byId.values()].filter((records) => records.length > 1)).toEqual([]);
  for (const [id, code] of answered) {
    if (!NOT_ON_RECORD.includes(code)) expect(byId.get(id)![0]!.errorCode ?? 'OK').toBe(code);
  }
}

const newKey = async (): Promise<string> => (await server.kms.send(new CreateKeyCommand({}))).KeyMetadata!.KeyId!;

test('kill -9 of the server at any moment leaves no reply without its record', async () => {
  for (let round = 1; round <= ROUNDS; round++) {
    const load = new Load(server.kms, await newKey());
    await until(() => load.replies > 37 * round, 'the load did not start');
    server.signal('SIGKILL');
    await server.gone;
    await load.stop();
    server = await startProcess(dataDir);
  }
  expect([...answered.values()].filter((code) => code === 'OK').length).toBeGreaterThan(100);
  expect([...answered.values()]).toContain('NotFoundException');
  await expectAllOnRecord();
}, 120_000);

test('kill -9 of the nats-server does so neither, no record is there twice, and service goes on', async () => {
  const load = new Load(server.kms, await newKey());
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
}, 120_000);
