import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { promisify } from 'node:util';

/** The server cannot run; the message says what to do next. */
export class NatsServerError extends Error {
  override readonly name = 'NatsServerError';
}

const run = promisify(execFile);
const MINIMUM = [2, 10, 23] as const;
const KILL_AFTER_MS = 10_000;
/** Of the server that run Go code at once. More of them wake each other up for what one does: a quarter of its CPU on two cores. */
const THREADS = '1';

/** Rejects with NatsServerError unless the binary is a nats-server that is new enough to be durable. */
export async function checkServerBinary(path: string): Promise<void> {
  let printed: string;
  try {
    printed = (await run(path, ['--version'], { timeout: 10_000 })).stdout;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'does not exist' : code === 'EACCES' ? 'is not executable' : 'does not run';
    throw new NatsServerError(`${path} ${why}: set NATS_SERVER to a nats-server, or run scripts/setup`, {
      cause: error,
    });
  }
  const version = /v(\d+)\.(\d+)\.(\d+)/.exec(printed);
  if (!version) throw new NatsServerError(`${path} is no nats-server: set NATS_SERVER to one, or run scripts/setup`);
  const found = version.slice(1).map(Number);
  const at = MINIMUM.findIndex((part, i) => part !== found[i]);
  if (at >= 0 && found[at]! < MINIMUM[at]!) {
    throw new NatsServerError(
      `${path} is ${found.join('.')}: at least ${MINIMUM.join('.')} is needed, since older ones can lose a stream at kill -9; ` +
        'set NATS_SERVER to a newer one, or run scripts/setup',
    );
  }
}

/**
 * Spawns the server in a session of its own, so that Ctrl-C in the terminal does not reach it before Keytrail stops it.
 * Where util-linux's setpriv exists the kernel stops it when this process dies, however that dies.
 */
export async function spawnServer(path: string, configFile: string, logFile: string): Promise<ChildProcess> {
  const tie = ['--pdeathsig', 'TERM', '--'];
  const tied = await run('setpriv', [...tie, 'true']).then(
    () => true,
    () => false,
  );
  const [program, args] = tied ? ['setpriv', [...tie, path, '-c', configFile]] : [path, ['-c', configFile]];
  // Only what the server prints before it opens its log, and a panic; both belong with the log.
  const log = openSync(logFile, 'a', 0o600);
  try {
    const child = spawn(program, args, {
      detached: true,
      stdio: ['ignore', 'ignore', log],
      env: { GOMAXPROCS: THREADS, ...process.env },
    });
    await new Promise<void>((done, failed) => {
      child.once('spawn', done);
      child.once('error', failed);
    });
    return child;
  } finally {
    closeSync(log);
  }
}

/** SIGTERM, then SIGKILL after 10 s; resolves once the process is gone. */
export async function endProcess(pid: number, isGone: () => boolean): Promise<void> {
  const killAt = Date.now() + KILL_AFTER_MS;
  signal(pid, 'SIGTERM');
  let killed = false;
  while (!isGone()) {
    if (!killed && Date.now() > killAt) {
      signal(pid, 'SIGKILL');
      killed = true;
    }
    await new Promise((done) => setTimeout(done, 10));
  }
}

/** Stops a server that an earlier, killed Keytrail left behind: the one in the pid file if it runs on our configuration. */
export async function endLeftover(pidFile: string, configFile: string): Promise<number | undefined> {
  let pid: number;
  try {
    pid = Number(readFileSync(pidFile, 'utf8').trim());
  } catch {
    return undefined;
  }
  const isOurs = (): boolean => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(configFile);
    } catch {
      return false;
    }
  };
  if (!Number.isSafeInteger(pid) || pid < 2 || !isOurs()) return undefined;
  await endProcess(pid, () => !isOurs());
  return pid;
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** The port if it is free on loopback, else undefined; 0 asks for any free one. */
export function freePort(wanted: number): Promise<number | undefined> {
  return new Promise((done) => {
    const probe = createServer();
    probe.once('error', () => done(undefined));
    probe.listen(wanted, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => done(typeof address === 'object' ? address?.port : undefined));
    });
  });
}

export function lastLines(file: string, count = 10): string {
  try {
    return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-count).join('\n');
  } catch {
    return '(no server.log)';
  }
}
