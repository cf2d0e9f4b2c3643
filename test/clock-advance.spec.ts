import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type NatsConnection } from 'nats';
import { INTERNAL, requestSubject } from '#domain/subjects';
import type { ServiceStatus } from '#platform/service';
import { ROOT_INBOX } from './support/nats-client';
import { startNats, type TestNats } from './support/nats-server';
import { type AppProcess, MAIN, run, startApp } from './support/processes';

const DAY_MS = 86_400_000;
const APPS = ['key-manager', 'key-manager', 'crypto-worker', 'rotation-scheduler', 'deletion-scheduler', 'gateway'];

let dataDir: string;
let server: TestNats;
let nats: NatsConnection;
let apps: AppProcess[] = [];

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-clock-'));
  server = await startNats();
  const extra = {
    KEYTRAIL_CLOCK: 'virtual',
    KEYTRAIL_PORT: '0',
    KEYTRAIL_DATA_DIR: dataDir,
    KEYTRAIL_ROOT_KEY: randomBytes(32).toString('base64'),
    KEYTRAIL_ROOT_ACCESS_KEY_ID: 'AKIAROOT',
    KEYTRAIL_ROOT_SECRET_ACCESS_KEY: 'secret',
  };
  apps = await Promise.all(APPS.map((app) => startApp(app, server.url, extra)));
  nats = await connect({ servers: server.url, inboxPrefix: ROOT_INBOX });
}, 60_000);

afterAll(async () => {
  await nats?.close();
  await Promise.all(apps.map((app) => app.stop()));
  await server?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

async function kms<T>(operation: string, input: object): Promise<T> {
  const subject = requestSubject('us-east-1', '000000000000', 'root', operation);
  return (await nats.request(subject, JSON.stringify(input), { timeout: 20_000 })).json<T>();
}

const cli = (...args: string[]) =>
  run([MAIN, ...args], { KEYTRAIL_NATS_URL: server.url, KEYTRAIL_LOG_LEVEL: 'silent' }).done;

test('a clock moved by two at once makes both moves in every service, and what came due is done', async () => {
  const { KeyMetadata } = await kms<{ KeyMetadata: { KeyId: string } }>('CreateKey', {});
  const KeyId = KeyMetadata.KeyId;
  await kms('ScheduleKeyDeletion', { KeyId, PendingWindowInDays: 7 });
  const before = Date.now();
  const moves = await Promise.all([cli('clock', 'advance', '4d'), cli('clock', 'advance', '3d')]);
  expect(moves.map(({ code }) => code)).toEqual([0, 0]);
  const status = await cli('status', '--json');
  const services = JSON.parse(status.output) as ServiceStatus[];
  expect(services.map(({ service }) => service).sort()).toEqual([...APPS].sort());
  for (const { now } of services) expect(Date.parse(now)).toBeGreaterThanOrEqual(before + 7 * DAY_MS);
  // Either key-manager answers, whichever has fired the timer.
  for (let asked = 0; asked < 10; asked++) {
    expect(await kms('DescribeKey', { KeyId })).toMatchObject({ __type: 'NotFoundException' });
  }
});

test('a service that is gone before it has followed is named, and not waited for', async () => {
  const ghost = { service: 'key-manager', instance: 'ghost', pid: 4_194_305, clock: 'virtual', now: '', parts: [] };
  const status = nats.subscribe(INTERNAL.status, {
    callback: (_error, message) => void message.respond(JSON.stringify({ result: ghost })),
  });
  // Killed as it was asked to follow.
  const settle = nats.subscribe(INTERNAL.settle, { callback: () => status.unsubscribe() });
  const { code, output } = await cli('clock', 'advance', '1h');
  settle.unsubscribe();
  expect(code).toBe(1);
  expect(output).toContain('key-manager (pid 4194305) answers no more');
});
