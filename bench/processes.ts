import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionOptions, connect, type NatsConnection } from 'nats';
import { freePort } from '#platform/nats-server-process';

/** The repository that this bench belongs to. */
export const ROOT = join(__dirname, '..', '..');

const ANSWERS_WITHIN_MS = 30_000;

export interface NatsServer {
  url: string;
  pid: number;
}

interface StartOptions {
  /** Beside the bench's own. */
  environment?: Record<string, string>;
  /** `ignore` for a program that writes a line for each request. */
  stderr?: 'inherit' | 'ignore';
  /** Whom it runs as. Default: whom this runs as. */
  user?: { uid: number; gid: number } | undefined;
}

/** The processes and folders of one scenario; `stop` leaves nothing behind. */
export class Processes {
  private readonly children: ChildProcess[] = [];
  private readonly folders: string[] = [];
  private readonly connections: NatsConnection[] = [];

  /** A new empty folder. */
  folder(): string {
    const folder = mkdtempSync(join(tmpdir(), 'keytrail-bench-'));
    this.folders.push(folder);
    return folder;
  }

  start(
    program: string,
    args: readonly string[],
    { environment = {}, stderr = 'inherit', user = undefined }: StartOptions = {},
  ): ChildProcess {
    const child = spawn(program, args, {
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'ignore', stderr],
      ...user,
    });
    // Without a listener a program that is not there would end the bench; `untilAnswers` sees that it has no pid.
    child.once('error', () => {});
    this.children.push(child);
    return child;
  }

  /** A node program; `script` is below `root`. */
  node(script: string, environment: Record<string, string>, args: readonly string[] = [], root = ROOT): ChildProcess {
    return this.start(process.execPath, [join(root, script), ...args], { environment });
  }

  /** A nats-server with JetStream, open to everybody on loopback. `syncInterval` as in its configuration: `always`, or a time. */
  async natsServer(syncInterval: string): Promise<NatsServer> {
    const folder = this.folder();
    const port = await anyPort();
    const configFile = join(folder, 'nats.conf');
    writeFileSync(
      configFile,
      `listen: 127.0.0.1:${port}\njetstream { store_dir: ${JSON.stringify(folder)}, sync_interval: ${syncInterval} }\n`,
    );
    const child = this.start(process.env['NATS_SERVER'] ?? 'nats-server', [
      '-l',
      join(folder, 'log'),
      '-c',
      configFile,
    ]);
    const url = `nats://127.0.0.1:${port}`;
    await untilAnswers(`nats-server at ${url}`, child, async () => {
      const nats = await connect({ servers: url, reconnect: false });
      await nats.close();
      return true;
    });
    return { url, pid: child.pid! };
  }

  /** A connection of the bench's own. */
  async connect(options: ConnectionOptions): Promise<NatsConnection> {
    const nats = await connect(options);
    this.connections.push(nats);
    return nats;
  }

  async stop(): Promise<void> {
    for (const nats of this.connections) await nats.close();
    // The newest first: a service stops cleanly while its nats-server is still there.
    for (const child of this.children.reverse()) {
      if (child.pid === undefined || hasEnded(child)) continue;
      const ended = new Promise((resolve) => child.once('close', resolve));
      child.kill('SIGTERM');
      await ended;
    }
    for (const folder of this.folders) rmSync(folder, { recursive: true, force: true });
  }
}

const hasEnded = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null;

/** Asks until the answer is true. Rejects if the process ends before, or after 30 s. */
export async function untilAnswers(what: string, child: ChildProcess, ask: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + ANSWERS_WITHIN_MS;
  while (performance.now() < deadline) {
    if (await ask().catch(() => false)) return;
    if (child.pid === undefined || hasEnded(child)) throw new Error(`${what} could not be started`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${what} does not answer`);
}

/** `untilAnswers` for a URL: any answer below 500 will do. */
export const untilServed = (url: string, child: ChildProcess): Promise<void> =>
  untilAnswers(url, child, async () => (await fetch(url)).status < 500);

export async function anyPort(): Promise<number> {
  const port = await freePort(0);
  if (port === undefined) throw new Error('no port is free on 127.0.0.1');
  return port;
}

/** USER_HZ, in which /proc counts CPU time: 100 on every Linux that node runs on. */
const MS_A_TICK = 10;

/** CPU that these processes have used so far, in ms (proc(5), stat: utime and stime). */
export function cpuMs(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name before it, in brackets, may hold spaces.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks * MS_A_TICK;
}
