import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateKeyCommand, DisableKeyCommand, EncryptCommand } from '@aws-sdk/client-kms';
import { connect, headers, type NatsConnection } from 'nats';
import { HEADER_ERROR, HEADER_REQUEST_ID, requestSubject } from '#domain/subjects';
import { type Clients, clientsOf } from './support/identities';
import { requestAs } from './support/nats-client';
import { freePort, startNats, type TestNats, until } from './support/nats-server';
import { type AppProcess, startApp } from './support/processes';
import { type LoadedCall, type Outcome, outcomeOf, RecordedLoad } from './support/recorded-load';
import { ACCOUNT, REGION } from './support/root-over-nats';

jest.setTimeout(300_000);

/**
 * Each service a process of its own, two of those that answer, and clients over HTTP and over NATS that ask without pause:
 * whichever is killed at whatever moment, no reply is without its record.
 */
const ROOT = { accessKeyId: 'AKIAROOT', secretAccessKey: 'the-secret-of-root' };
const Plaintext = Buffer.from('on record');

let dataDir: string;
let server: TestNats;
let nats: NatsConnection;
let clients: Clients[];
let settings: Record<string, string>;
const apps = new Map<string, AppProcess>();
const load = new RecordedLoad();
let calls: LoadedCall[];

/** `crypto-worker-2` is the second one. */
const start = async (name: string, extra: Record<string, string> = {}): Promise<void> => {
  const app = name.replace(/-\d$/, '');
  const own = { KEYTRAIL_DATA_DIR: join(dataDir, name), ...settings, ...extra };
  apps.set(name, await startApp(app, server.url, own));
};
const SERVICES = ['key-manager-1', 'key-manager-2', 'crypto-worker-1', 'crypto-worker-2', 'audit-projector'];

const startGateway = async (nth: number, extra: Record<string, string> = {}): Promise<void> =>
  start(`gateway-${nth}`, { KEYTRAIL_PORT: new URL(endpoints[nth - 1]!).port, ...extra });
let endpoints: string[];

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-records-processes-'));
  server = await startNats();
  settings = {
    KEYTRAIL_ROOT_KEY: randomBytes(32).toString('base64'),
    KEYTRAIL_ROOT_ACCESS_KEY_ID: ROOT.accessKeyId,
    KEYTRAIL_ROOT_SECRET_ACCESS_KEY: ROOT.secretAccessKey,
    KEYTRAIL_LEASE_MS: '500',
    // A key-manager takes the requests that it was killed over with it.
    KEYTRAIL_REPLY_TIMEOUT_MS: '2000',
  };
  endpoints = [await freePort(), await freePort()].map((port) => `http://127.0.0.1:${port}`);
  clients = endpoints.map((endpoint) => clientsOf(endpoint, ROOT));
  await start('key-manager-1');
  await Promise.all(SERVICES.slice(1).map((name) => start(name)));
  await Promise.all([startGateway(1), startGateway(2)]);
  nats = await connect({ servers: server.url, maxReconnectAttempts: -1, reconnectTimeWait: 100 });
  const { KeyMetadata } = await clients[0]!.kms.send(new CreateKeyCommand({}));
  calls = callsOf(KeyMetadata!.KeyId!);
});

afterEach(() => load.stop());

afterAll(async () => {
  await nats?.close();
  await Promise.all([...apps.values()].map((app) => app.kill9()));
  await server?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

async function overNats(operation: string, body: object): Promise<Outcome | undefined> {
  const requestId = randomUUID();
  const sent = headers();
  sent.set(HEADER_REQUEST_ID, requestId);
  try {
    const subject = requestSubject(REGION, ACCOUNT, 'root', operation);
    const reply = await requestAs(nats, subject, JSON.stringify(body), sent, 3_000);
    return { requestId, code: reply.headers?.get(HEADER_ERROR) || 'OK' };
  } catch {
    return undefined;
  }
}

function callsOf(KeyId: string): LoadedCall[] {
  const overHttp = clients.flatMap(({ kms }) => [
    () => outcomeOf(kms.send(new EncryptCommand({ KeyId, Plaintext }))),
    () => outcomeOf(kms.send(new EncryptCommand({ KeyId: 'alias/none', Plaintext }))),
    () => outcomeOf(kms.send(new CreateKeyCommand({}))),
    () => outcomeOf(kms.send(new DisableKeyCommand({ KeyId: 'alias/none' }))),
  ]);
  return [
    ...overHttp,
    () => overNats('Encrypt', { KeyId, Plaintext: Plaintext.toString('base64') }),
    () => overNats('CreateKey', {}),
    () => overNats('DescribeKey', { KeyId: 'alias/none' }),
  ];
}

/** That many replies more, so that whoever was killed is answering again, or was not needed. */
async function replies(more: number): Promise<void> {
  const before = load.replies;
  await until(() => load.replies >= before + more, 'the load did not go on', 60_000);
}

const again = (name: string, extra?: Record<string, string>): Promise<void> =>
  name.startsWith('gateway') ? startGateway(Number(name.at(-1)), extra) : start(name, extra);

test.each(['gateway-1', 'crypto-worker-1', 'key-manager-1', 'audit-projector', 'crypto-worker-2', 'gateway-2'])(
  'kill -9 of %s under load leaves no reply without its record',
  async (name) => {
    load.start(calls);
    await replies(40);
    await apps.get(name)!.kill9();
    await replies(20);
    await again(name);
    await replies(40);
    await load.stop();
    await load.expectAllOnRecord(nats);
  },
);

test.each(
  ['gateway-1', 'crypto-worker-1', 'key-manager-1'].flatMap((name) =>
    ['before', 'after'].map((when) => [name, when] as const),
  ),
)('a crash of %s right %s its records are stored does so neither', async (name, when) => {
  await apps.get(name)!.kill9();
  await again(name, { KEYTRAIL_FAIL_POINT: `${when}-append:records#2` });
  load.start(calls);
  // A gateway records only what reached no operation.
  const refused = name.startsWith('gateway') ? refuse(endpoints[0]!) : undefined;
  expect(await apps.get(name)!.exitCode).toBeNull();
  refused?.stop();
  await replies(20);
  await again(name);
  await replies(40);
  await load.stop();
  await load.expectAllOnRecord(nats);
});

/** Asks with a bad signature, time after time. */
function refuse(endpoint: string): { stop(): void } {
  const { kms } = clientsOf(endpoint, { ...ROOT, secretAccessKey: 'another secret' });
  let going = true;
  void (async () => {
    while (going) {
      const outcome = await outcomeOf(kms.send(new EncryptCommand({ KeyId: 'alias/none', Plaintext })));
      if (outcome) load.answered.set(outcome.requestId, outcome.code);
    }
  })();
  return {
    stop: () => {
      going = false;
    },
  };
}

test('kill -9 of the nats-server does so neither, and service goes on', async () => {
  load.start(calls);
  for (let round = 1; round <= 3; round++) {
    await replies(30);
    await server.kill9();
    await server.restart();
  }
  await replies(60);
  await load.stop();
  await load.expectAllOnRecord(nats);
  const codes = [...load.answered.values()];
  expect(codes.filter((code) => code === 'OK').length).toBeGreaterThan(200);
  expect(codes).toEqual(expect.arrayContaining(['NotFoundException', 'InvalidSignatureException']));
});
