import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type NatsConnection } from 'nats';
import { findNatsServer, freePort, until } from '../../../test/support/nats-server';
import { lockDataFolder } from './data-folder-lock';
import { type EmbeddedNats, readEndpoint, startEmbeddedNats } from './embedded-nats';

const serverPath = findNatsServer();

let dataDir: string;
let running: EmbeddedNats[];
let connections: NatsConnection[];
let logged: string[];

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-embedded-'));
  running = [];
  connections = [];
  logged = [];
});

afterEach(async () => {
  for (const nats of connections) await nats.close();
  for (const server of running) await server.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

async function start(options: { port?: number; serverPath?: string } = {}): Promise<EmbeddedNats> {
  const server = await startEmbeddedNats({
    dataDir,
    serverPath,
    log: (line) => logged.push(line),
    ...options,
  });
  running.push(server);
  return server;
}

async function client(server: Pick<EmbeddedNats, 'url' | 'users'>): Promise<NatsConnection> {
  const { user, password: pass } = server.users.embedded;
  const nats = await connect({ servers: server.url, user, pass, reconnectTimeWait: 20, maxReconnectAttempts: -1 });
  connections.push(nats);
  return nats;
}

async function stop(server: EmbeddedNats): Promise<void> {
  await server.stop();
  running = running.filter((other) => other !== server);
}

const isAlive = (pid: number): boolean => existsSync(`/proc/${pid}`) && !/\) Z /.test(stat(pid));
const stat = (pid: number): string => {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return ') Z ';
  }
};

async function listenOn(port: number): Promise<Server> {
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

describe('the embedded nats-server', () => {
  it('serves JetStream to whoever has the credentials, and to nobody else', async () => {
    const server = await start();
    const nats = await client(server);
    await (await nats.jetstreamManager()).streams.add({ name: 'S', subjects: ['s'] });
    expect((await nats.jetstream().publish('s')).seq).toBe(1);
    await expect(connect({ servers: server.url })).rejects.toMatchObject({ code: 'AUTHORIZATION_VIOLATION' });
    expect(server.url).toMatch(/^nats:\/\/127\.0\.0\.1:\d+$/);
    expect(readFileSync(join(dataDir, 'nats/server.conf'), 'utf8')).toContain('sync_interval: always');
  });

  it('keeps its secrets in files that only their owner can read', async () => {
    await start();
    for (const file of ['server.conf', 'endpoint.json', 'callout.json']) {
      expect(statSync(join(dataDir, 'nats', file)).mode & 0o777).toBe(0o600);
    }
    expect(statSync(join(dataDir, 'nats')).mode & 0o777).toBe(0o700);
  });

  it('keeps port, credentials and streams over a restart', async () => {
    const first = await start();
    await (await (await client(first)).jetstreamManager()).streams.add({ name: 'S', subjects: ['s'] });
    await stop(first);
    const second = await start();
    expect({ url: second.url, users: second.users }).toEqual({ url: first.url, users: first.users });
    expect(second.callout).toEqual(first.callout);
    expect(readEndpoint(dataDir)).toEqual({ url: first.url, users: first.users });
    expect((await (await (await client(second)).jetstreamManager()).streams.info('S')).config.name).toBe('S');
  });

  it('takes another port when the last one has been taken', async () => {
    const first = await start();
    await stop(first);
    const squatter = await listenOn(Number(new URL(first.url).port));
    const second = await start();
    expect(second.url).not.toBe(first.url);
    expect(readEndpoint(dataDir)?.url).toBe(second.url);
    squatter.close();
  });

  it('leaves no process when stopped', async () => {
    const server = await start();
    const pid = server.pid!;
    await stop(server);
    expect(isAlive(pid)).toBe(false);
    expect(existsSync(join(dataDir, 'keytrail.lock'))).toBe(false);
  });

  it('is not in the process group that Ctrl-C in the terminal reaches', async () => {
    const server = await start();
    const group = stat(server.pid!).split(') ')[1]?.split(' ')[2];
    expect(group).toBe(String(server.pid));
  });

  it('is started again after a kill -9, and clients go on', async () => {
    const server = await start();
    const nats = await client(server);
    await (await nats.jetstreamManager()).streams.add({ name: 'S', subjects: ['s'] });
    const pid = server.pid!;
    for (let seq = 1; seq <= 2; seq++) {
      const before = server.pid!;
      process.kill(before, 'SIGKILL');
      await until(() => server.pid !== undefined && server.pid !== before, 'the server was not started again');
      await until(
        () =>
          nats
            .jetstream({ timeout: 500 })
            .publish('s', '', { msgID: `m${seq}` })
            .then(
              () => true,
              () => false,
            ),
        'the client could not go on',
      );
    }
    expect(server.pid).not.toBe(pid);
    expect((await (await nats.jetstreamManager()).streams.info('S')).state.messages).toBe(2);
    expect(logged.filter((line) => line.includes('SIGKILL'))).toHaveLength(2);
  });

  it('can be stopped while it waits to be started again', async () => {
    const server = await start();
    process.kill(server.pid!, 'SIGKILL');
    await until(() => server.pid === undefined, 'the exit was not seen');
    await stop(server);
    expect(server.pid).toBeUndefined();
  });
});

describe('after a kill -9 of Keytrail', () => {
  it('stops the server left behind, takes over the lock and starts', async () => {
    const first = await start();
    await stop(first);
    const conf = join(dataDir, 'nats/server.conf');
    const leftover = spawn(serverPath, ['-c', conf], { stdio: 'ignore' });
    try {
      await until(
        () =>
          client(first).then(
            () => true,
            () => false,
          ),
        'the left-over server did not start',
      );
      const dead = spawn('true');
      await once(dead, 'exit');
      writeFileSync(join(dataDir, 'keytrail.lock'), JSON.stringify({ pid: dead.pid, startTime: '1' }));
      const second = await start();
      expect(leftover.exitCode ?? leftover.signalCode).not.toBeNull();
      expect(second.url).toBe(first.url);
      expect(logged).toEqual([`stopped nats-server ${leftover.pid}, left behind by a killed Keytrail`]);
    } finally {
      leftover.kill('SIGKILL');
    }
  });

  it('does not stop a stranger that has the pid of the former server', async () => {
    await stop(await start());
    const stranger = spawn('sleep', ['600']);
    try {
      writeFileSync(join(dataDir, 'nats/pid'), String(stranger.pid));
      await start();
      expect(stranger.exitCode ?? stranger.signalCode).toBeNull();
    } finally {
      stranger.kill('SIGKILL');
    }
  });
});

describe('what keeps it from starting', () => {
  it('names the pid of the Keytrail that has the data folder', async () => {
    await start();
    await expect(start()).rejects.toThrow(`in use by another Keytrail (pid ${process.pid})`);
  });

  it('names a fixed port that is in use', async () => {
    const port = await freePort();
    const squatter = await listenOn(port);
    await expect(start({ port })).rejects.toThrow(`port ${port} is in use: free it, or set KEYTRAIL_NATS_PORT`);
    squatter.close();
    await once(squatter, 'close');
    expect((await start({ port })).url).toBe(`nats://127.0.0.1:${port}`);
  });

  it.each([
    ['a server that does not exist', () => '/nonexistent/nats-server', 'does not exist: set NATS_SERVER'],
    ['a file that is not executable', () => fake('', 0o644), 'is not executable: set NATS_SERVER'],
    ['a program that is no nats-server', () => fake('#!/bin/sh\necho hello\n'), 'is no nats-server: set NATS_SERVER'],
    ['a server that is too old', () => fake('#!/bin/sh\necho nats-server: v2.9.10\n'), 'is 2.9.10: at least 2.10.23'],
    ['one just too old', () => fake('#!/bin/sh\necho nats-server: v2.10.22\n'), 'is 2.10.22: at least 2.10.23'],
  ])('says what to do about %s', async (_, path, message) => {
    await expect(start({ serverPath: path() })).rejects.toThrow(message);
  });

  it('shows the last lines of the log of a server that ends at once', async () => {
    const script =
      '#!/bin/sh\n[ "$1" = --version ] && echo "nats-server: v2.10.27" && exit\necho "the disk is full" >&2\nexit 1\n';
    await expect(start({ serverPath: fake(script) })).rejects.toThrow(/ended at once[\s\S]*the disk is full/);
    expect(existsSync(join(dataDir, 'keytrail.lock'))).toBe(false);
  });

  it('says that the data folder cannot be written', async () => {
    writeFileSync(join(dataDir, 'nats'), 'a file where the folder should be');
    await expect(start()).rejects.toThrow(/cannot write to .*nats \(\w+\): make it writable, or set KEYTRAIL_DATA_DIR/);
  });

  function fake(text: string, mode = 0o755): string {
    const path = join(dataDir, 'fake-server');
    writeFileSync(path, text, { mode });
    return path;
  }
});

describe('the lock of a data folder', () => {
  const path = () => join(dataDir, 'keytrail.lock');

  it('is taken over from a later process with the same pid', () => {
    writeFileSync(path(), JSON.stringify({ pid: process.ppid, startTime: '1' }));
    lockDataFolder(dataDir).release();
    expect(existsSync(path())).toBe(false);
  });

  it('is taken over when it cannot be read, or when its claimant died', () => {
    writeFileSync(path(), 'not a lock');
    writeFileSync(`${path()}.claim`, JSON.stringify({ pid: process.ppid, startTime: '1' }));
    const lock = lockDataFolder(dataDir);
    expect(() => lockDataFolder(dataDir)).toThrow('in use by another Keytrail');
    lock.release();
    lockDataFolder(dataDir).release();
  });

  it('is left alone by the release of one who has lost it', () => {
    const lock = lockDataFolder(dataDir);
    writeFileSync(path(), JSON.stringify({ pid: process.ppid }));
    lock.release();
    expect(existsSync(path())).toBe(true);
  });
});
