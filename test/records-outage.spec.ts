import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateKeyCommand, EncryptCommand, ListKeysCommand } from '@aws-sdk/client-kms';
import { connect, type NatsConnection } from 'nats';
import type { AuditRecord } from '#audit-log/record';
import { auditRecords, connectAsUser } from './support/audit-records';
import { type Clients, clientsOf } from './support/identities';
import { freePort, startNats, type TestNats, until } from './support/nats-server';
import { type AppProcess, type KeytrailProcess, startApp, startProcess } from './support/processes';

const Plaintext = Buffer.from('on record');

/** The request id of a call, and the code that its client was told. */
async function outcomeOf(call: Promise<{ $metadata: { requestId?: string } }>): Promise<{ id: string; code: string }> {
  try {
    return { id: (await call).$metadata.requestId!, code: 'OK' };
  } catch (error) {
    const { name, $metadata } = error as Error & { $metadata: { requestId: string } };
    return { id: $metadata.requestId, code: name };
  }
}

const recordsOf = (all: readonly AuditRecord[], id: string): AuditRecord[] =>
  all.filter(({ requestID }) => requestID === id);

describe('in one process, with a nats-server that does not answer for a while', () => {
  let dataDir: string;
  let server: KeytrailProcess;

  beforeAll(async () => {
    dataDir = mkdtempSync(join(tmpdir(), 'keytrail-records-outage-'));
    server = await startProcess(dataDir);
  });

  afterAll(async () => {
    await server?.stop();
    rmSync(dataDir, { recursive: true, force: true });
  });

  test('calls are refused, none that was answered lacks its record, and it goes on afterwards', async () => {
    const nats = Number(readFileSync(join(dataDir, 'nats/pid'), 'utf8'));
    const KeyId = (await server.kms.send(new CreateKeyCommand({}))).KeyMetadata!.KeyId!;
    const encrypt = () => outcomeOf(server.kms.send(new EncryptCommand({ KeyId, Plaintext })));
    const answered = [await encrypt()];
    process.kill(nats, 'SIGSTOP');
    let during: { id: string; code: string }[];
    try {
      during = await Promise.all(Array.from({ length: 5 }, encrypt));
    } finally {
      process.kill(nats, 'SIGCONT');
    }
    expect(new Set(during.map(({ code }) => code))).toEqual(new Set(['DependencyTimeoutException']));
    await until(async () => {
      answered.push(await encrypt());
      return answered.at(-1)!.code === 'OK';
    }, 'service did not go on');
    const reader = await connectAsUser(dataDir, 'audit-projector');
    const all = await auditRecords(reader);
    await reader.close();
    for (const { id, code } of answered.filter((call) => call.code === 'OK')) {
      expect(recordsOf(all, id)).toMatchObject([{ eventName: 'Encrypt' }]);
      expect(code).toBe('OK');
    }
    // They were run before they were refused: what was kept for them is stored once that is possible.
    for (const { id } of during) expect(recordsOf(all, id)).toMatchObject([{ eventName: 'Encrypt' }]);
  }, 60_000);
});

describe('in one process, with a queue that is full since nats-server stands still', () => {
  const PLACES = 20;
  let dataDir: string;
  let server: KeytrailProcess;

  beforeAll(async () => {
    dataDir = mkdtempSync(join(tmpdir(), 'keytrail-records-full-'));
    const KEYTRAIL_LEASE_MS = '60000';
    server = await startProcess(dataDir, { KEYTRAIL_RECORD_QUEUE: String(PLACES), KEYTRAIL_LEASE_MS });
  });

  afterAll(async () => {
    await server?.stop();
    rmSync(dataDir, { recursive: true, force: true });
  });

  const backlog = async (): Promise<number> => {
    const metrics = await (await fetch(`${server.endpoint}/metrics`)).text();
    return Number(/^keytrail_audit_backlog(?:{.*})? (\d+)$/m.exec(metrics)![1]);
  };

  test('whoever has a place is answered in the end, and nothing is begun for anybody else', async () => {
    const nats = Number(readFileSync(join(dataDir, 'nats/pid'), 'utf8'));
    const KeyId = (await server.kms.send(new CreateKeyCommand({}))).KeyMetadata!.KeyId!;
    const encrypt = () => outcomeOf(server.kms.send(new EncryptCommand({ KeyId, Plaintext })));
    await encrypt();
    let refused: { id: string; code: string }[];
    let held: Promise<{ id: string; code: string }>[];
    process.kill(nats, 'SIGSTOP');
    try {
      held = Array.from({ length: PLACES }, encrypt);
      await until(async () => (await backlog()) === PLACES, 'the queue was not filled');
      const ways = [encrypt, () => outcomeOf(server.kms.send(new CreateKeyCommand({})))];
      refused = await Promise.all([...ways, ...ways].map((way) => way()));
      expect(await backlog()).toBe(PLACES);
    } finally {
      process.kill(nats, 'SIGCONT');
    }
    expect(refused.map(({ code }) => code)).toEqual(refused.map(() => 'ThrottlingException'));
    const answered = await Promise.all(held);
    expect(new Set(answered.map(({ code }) => code))).toEqual(new Set(['OK']));
    expect(await backlog()).toBe(0);
    answered.push(await encrypt());
    const { Keys } = await server.kms.send(new ListKeysCommand({}));
    expect(Keys!.map((key) => key.KeyId)).toEqual([KeyId]);
    const reader = await connectAsUser(dataDir, 'audit-projector');
    const all = await auditRecords(reader);
    await reader.close();
    for (const { id } of answered) expect(recordsOf(all, id)).toMatchObject([{ eventName: 'Encrypt' }]);
    for (const { id } of refused) expect(recordsOf(all, id)).toEqual([]);
  }, 60_000);
});

describe('in separate processes', () => {
  const ROOT = { accessKeyId: 'AKIAROOT', secretAccessKey: 'the-secret-of-root' };
  let dataDir: string;
  let nats: TestNats;
  let reader: NatsConnection;
  let root: Clients;
  let start: (app: string) => Promise<AppProcess>;
  const apps: Record<string, AppProcess> = {};

  beforeAll(async () => {
    dataDir = mkdtempSync(join(tmpdir(), 'keytrail-records-processes-'));
    nats = await startNats();
    reader = await connect({ servers: nats.url });
    const port = await freePort();
    root = clientsOf(`http://127.0.0.1:${port}`, ROOT);
    const settings = {
      KEYTRAIL_ROOT_KEY: randomBytes(32).toString('base64'),
      KEYTRAIL_ROOT_ACCESS_KEY_ID: ROOT.accessKeyId,
      KEYTRAIL_ROOT_SECRET_ACCESS_KEY: ROOT.secretAccessKey,
      KEYTRAIL_PORT: String(port),
      KEYTRAIL_LEASE_MS: '500',
    };
    start = (app) => startApp(app, nats.url, { ...settings, KEYTRAIL_DATA_DIR: join(dataDir, app) });
    apps['key-manager'] = await start('key-manager');
    for (const app of ['crypto-worker', 'gateway']) apps[app] = await start(app);
  }, 60_000);

  afterAll(async () => {
    await reader?.close();
    await Promise.all(Object.values(apps).map((app) => app.stop()));
    await nats?.stop();
    rmSync(dataDir, { recursive: true, force: true });
  });

  test('a call through gateway and worker has one record; where no worker is left, the gateway’s', async () => {
    const KeyId = (await root.kms.send(new CreateKeyCommand({}))).KeyMetadata!.KeyId!;
    const encrypt = () => outcomeOf(root.kms.send(new EncryptCommand({ KeyId, Plaintext })));
    const good = await encrypt();
    const wrong = await outcomeOf(root.kms.send(new EncryptCommand({ KeyId: 'alias/none', Plaintext })));
    expect([good.code, wrong.code]).toEqual(['OK', 'NotFoundException']);
    await apps['crypto-worker']!.kill9();
    const unserved = await encrypt();
    expect(unserved.code).toBe('DependencyTimeoutException');
    apps['crypto-worker'] = await start('crypto-worker');
    let all: AuditRecord[] = [];
    await until(
      async () => {
        all = await auditRecords(reader);
        return recordsOf(all, unserved.id).length > 0;
      },
      'the record of what was not served did not appear',
      30_000,
    );
    expect(recordsOf(all, unserved.id)).toMatchObject([
      {
        eventName: 'Encrypt',
        errorCode: 'DependencyTimeoutException',
        sourceIPAddress: '127.0.0.1',
        userIdentity: { type: 'Unknown', principalId: 'root', accessKeyId: ROOT.accessKeyId },
      },
    ]);
    expect(recordsOf(all, good.id)).toMatchObject([{ userIdentity: { type: 'Root' }, sourceIPAddress: '127.0.0.1' }]);
    expect(recordsOf(all, good.id)[0]!.userAgent).toMatch(/^aws-sdk-js\//);
    expect(recordsOf(all, wrong.id)).toMatchObject([{ errorCode: 'NotFoundException' }]);
    expect(new Set(all.map(({ eventID }) => eventID)).size).toBe(all.length);
  }, 120_000);
});
