import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect as connectSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateKeyCommand, EncryptCommand, KMSServiceException, ListKeysCommand } from '@aws-sdk/client-kms';
import { connect, NatsError } from 'nats';
import { requestSubject } from '#domain/subjects';
import { signRequest } from '#sigv4/sign';
import { ROOT_INBOX } from './support/nats-client';
import { findNatsServer, freePort, startNats, until } from './support/nats-server';
import { type KeytrailProcess, startApp, startProcess } from './support/processes';

const ROOT_KEY = randomBytes(32).toString('base64');
const SETTINGS = {
  KEYTRAIL_ROOT_KEY: ROOT_KEY,
  KEYTRAIL_ROOT_ACCESS_KEY_ID: 'AKIAROOT',
  KEYTRAIL_ROOT_SECRET_ACCESS_KEY: 'secret',
};
const Plaintext = Buffer.from('to the last byte');

let dataDir: string;

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-stopping-'));
});

afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

const isAlive = (pid: number): boolean => existsSync(`/proc/${pid}`);
const natsPid = (): number => Number(readFileSync(join(dataDir, 'nats/pid'), 'utf8'));

/** Whether anybody listens there. */
const listens = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connectSocket(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });

describe('a signal to the embedded server', () => {
  test('under load: every request gets a whole answer or none, and everything has gone at the end', async () => {
    const server = await startProcess(dataDir);
    const nats = natsPid();
    const { KeyId } = (await server.kms.send(new CreateKeyCommand({}))).KeyMetadata!;
    let answers = 0;
    const failures: unknown[] = [];
    let ended = false;
    const load = async (request: () => Promise<unknown>): Promise<void> => {
      while (!ended) {
        try {
          await request();
          answers++;
        } catch (error) {
          failures.push(error);
        }
      }
    };
    const loads = [
      ...Array.from({ length: 6 }, () => load(() => server.kms.send(new CreateKeyCommand({})))),
      ...Array.from({ length: 6 }, () => load(() => server.kms.send(new EncryptCommand({ KeyId, Plaintext })))),
    ];
    await until(() => answers > 50, 'the load did not start');
    await server.stop();
    ended = true;
    await Promise.all(loads);
    expect(await server.exitCode).toBe(0);
    expect(isAlive(nats)).toBe(false);
    // Nothing was answered with an error, and no answer was cut off: the connection was refused or closed before one.
    expect(failures.filter((error) => error instanceof KMSServiceException)).toEqual([]);
    for (const error of failures) expect(String(error)).toMatch(/ECONNREFUSED|ECONNRESET|EPIPE|socket hang up/);
    const again = await startProcess(dataDir);
    const listed = await again.kms.send(new ListKeysCommand({ Limit: 1000 }));
    expect(listed.Keys!.length).toBeGreaterThan(0);
    await again.stop();
  });

  test('while a request is still being sent: it is answered whole', async () => {
    const server = await startProcess(dataDir);
    const port = Number(new URL(server.endpoint).port);
    const body = Buffer.from('{"Description":"sent around a signal"}');
    const headers = signRequest({
      ...(await server.kms.config.credentials()),
      region: 'us-east-1',
      service: 'kms',
      timeMs: Date.now(),
      method: 'POST',
      path: '/',
      headers: {
        host: `127.0.0.1:${port}`,
        'content-type': 'application/x-amz-json-1.1',
        'x-amz-target': 'TrentService.CreateKey',
      },
      body,
    });
    const head = Object.entries({ ...headers, 'content-length': String(body.length) })
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join('');
    let answer = '';
    const socket = connectSocket(port, '127.0.0.1');
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.on('data', (chunk: Buffer) => {
      answer += chunk.toString();
    });
    await new Promise((resolve) => socket.once('connect', resolve));
    // 100 Continue comes once the server has read the head, so the request is in its hands before the signal.
    socket.write(`POST / HTTP/1.1\r\n${head}expect: 100-continue\r\n\r\n`);
    await until(() => answer.includes('100 Continue'), 'the server did not take the head');
    answer = '';
    const stopped = server.stop();
    await until(async () => !(await listens(port)), 'the server went on listening');
    socket.write(body);
    await closed;
    await stopped;
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n'))).KeyMetadata.Description).toBe('sent around a signal');
    expect(await server.exitCode).toBe(0);
  });
});

describe('a signal to separate services', () => {
  test('under load: every request over NATS is answered, or finds nobody there', async () => {
    const server = await startNats();
    const [manager, worker] = await Promise.all(
      ['key-manager', 'crypto-worker'].map((app) =>
        startApp(app, server.url, { ...SETTINGS, KEYTRAIL_DATA_DIR: dataDir }),
      ),
    );
    const nats = await connect({ servers: server.url, inboxPrefix: ROOT_INBOX });
    let answers = 0;
    let nobody = 0;
    const load = async (): Promise<void> => {
      while (nobody === 0) {
        try {
          const subject = requestSubject('us-east-1', '000000000000', 'root', 'CreateKey');
          const reply = await nats.request(subject, '{}', { timeout: 25_000 });
          expect(reply.json()).toHaveProperty('KeyMetadata');
          answers++;
        } catch (error) {
          if (!(error instanceof NatsError) || error.code !== '503') throw error;
          nobody++;
        }
      }
    };
    const loads = Array.from({ length: 8 }, load);
    await until(() => answers > 20, 'the load did not start');
    await manager!.stop();
    await Promise.all(loads);
    await worker!.stop();
    expect(await manager!.exitCode).toBe(0);
    expect(await worker!.exitCode).toBe(0);
    await nats.close();
    await server.stop();
  });

  test('with NATS gone: they end all the same', async () => {
    const server = await startNats();
    const extra = { ...SETTINGS, KEYTRAIL_DATA_DIR: dataDir, KEYTRAIL_PORT: '0' };
    const apps = await Promise.all(
      ['key-manager', 'crypto-worker', 'deletion-scheduler', 'gateway'].map((app) => startApp(app, server.url, extra)),
    );
    await server.kill9();
    await Promise.all(apps.map((app) => app.stop()));
    expect(await Promise.all(apps.map((app) => app.exitCode))).toEqual([0, 0, 0, 0]);
    await server.stop();
  });
});

describe('a signal during the start', () => {
  test('of the embedded server ends it cleanly, and its nats-server with it', async () => {
    const extra = { KEYTRAIL_DATA_DIR: dataDir, KEYTRAIL_PORT: '0', NATS_SERVER: findNatsServer() };
    const server = await startApp('keytrail', '', extra, 'starting a nats-server');
    await server.stop();
    expect(await server.exitCode).toBe(0);
    expect(existsSync(join(dataDir, 'nats/pid')) && isAlive(natsPid())).toBe(false);
    // The data folder is free again.
    const again = await startProcess(dataDir);
    await again.stop();
    expect(await again.exitCode).toBe(0);
  });

  test('ends it cleanly where it waits for a NATS that does not come', async () => {
    const app = await startApp('key-manager', `nats://127.0.0.1:${await freePort()}`, {}, 'connecting to NATS');
    await app.stop();
    expect(await app.exitCode).toBe(0);
  });

  test('ends it cleanly where it waits for an event log that nobody makes', async () => {
    const server = await startNats();
    const app = await startApp('audit-projector', server.url, {}, 'waiting for the event log');
    await app.stop();
    expect(await app.exitCode).toBe(0);
    await server.stop();
  });
});

test('with port 0 the AWS configuration names the port that HTTP is served on', async () => {
  const server: KeytrailProcess = await startProcess(dataDir);
  expect(readFileSync(join(dataDir, 'aws/config'), 'utf8')).toContain(`endpoint_url = ${server.endpoint}\n`);
  await server.stop();
});
