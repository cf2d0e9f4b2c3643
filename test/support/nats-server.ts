import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';

/** Real nats-servers for suites: on loopback, with JetStream that fsyncs before it acknowledges, on fixed ports over restarts. */
export interface TestNats {
  readonly url: string;
  readonly port: number;
  readonly storeDir: string;
  /** Process id of the running server, undefined while it is down. */
  readonly pid: number | undefined;
  /** SIGKILL, as a power cut would do to the process; the store stays for `restart`. */
  kill9(): Promise<void>;
  /** Starts again on the same port and store, after a clean shutdown if it is still running. */
  restart(): Promise<void>;
  /** Stops for good, and removes the store unless the caller chose it. */
  stop(): Promise<void>;
}

export interface NatsOptions {
  storeDir?: string;
  port?: number;
  /** Further lines of the server's configuration file: users, limits, ... */
  config?: string;
}

const READY_MS = 20_000;
const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** One server with R1 streams: what the embedded default runs. */
export async function startNats(options: NatsOptions = {}): Promise<TestNats> {
  const server = new NatsServer(options.port ?? (await freePort()), options);
  await server.start();
  return server;
}

export class NatsServer implements TestNats {
  readonly url: string;
  readonly storeDir: string;
  private child: ChildProcess | undefined;
  private log = '';

  constructor(
    readonly port: number,
    private readonly options: NatsOptions,
  ) {
    this.url = `nats://127.0.0.1:${port}`;
    this.storeDir = options.storeDir ?? mkdtempSync(join(tmpdir(), 'keytrail-nats-'));
  }

  get pid(): number | undefined {
    return this.child?.pid;
  }

  async start(): Promise<void> {
    const configFile = join(this.storeDir, 'nats.conf');
    writeFileSync(
      configFile,
      `listen: 127.0.0.1:${this.port}\njetstream { store_dir: "${this.storeDir}", sync_interval: always }\n${this.options.config ?? ''}\n`,
    );
    const child = spawnTied(findNatsServer(), ['-c', configFile]);
    this.child = child;
    child.stderr?.on('data', (chunk: Buffer) => {
      this.log = (this.log + chunk.toString()).slice(-4000);
    });
    const failed = new Promise<never>((_, reject) => {
      child.once('error', reject);
      child.once('exit', (code) =>
        reject(new Error(`nats-server exited with ${code} before it was ready:\n${this.log}`)),
      );
    });
    failed.catch(() => {});
    await Promise.race([untilListening(this.port), failed]);
  }

  /** Throws if it ended by itself. */
  assertAlive(): void {
    const { child } = this;
    if (child && (child.exitCode !== null || child.signalCode !== null)) {
      throw new Error(`nats-server on port ${this.port} ended by itself:\n${this.log}`);
    }
  }

  kill9(): Promise<void> {
    return this.end('SIGKILL');
  }

  async restart(): Promise<void> {
    await this.end('SIGTERM');
    await this.start();
  }

  async stop(): Promise<void> {
    await this.end('SIGTERM');
    if (this.options.storeDir === undefined) rmSync(this.storeDir, { recursive: true, force: true });
  }

  private async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const child = this.child;
    this.child = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = new Promise((done) => child.once('exit', done));
    child.kill(signal);
    await exited;
  }
}

/** The binary of $NATS_SERVER, else of PATH, else of .tools/ under the repository. */
export function findNatsServer(): string {
  const root = resolve(__dirname, '../..');
  const places = [
    process.env['NATS_SERVER'],
    ...(process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'nats-server')),
    join(root, '.tools/nats/usr/sbin/nats-server'),
    join(root, '.tools/nats-server'),
  ];
  const found = places.find((place) => place && existsSync(place));
  if (!found) throw new Error('no nats-server in $NATS_SERVER, PATH or .tools/: run scripts/test, which fetches one');
  return found;
}

/** Spawns a child that the kernel kills when this process dies, however it dies (where setpriv exists). */
export function spawnTied(command: string, args: string[], options: SpawnOptions = {}): ChildProcess {
  const setpriv = ['/usr/bin/setpriv', '/bin/setpriv'].find((path) => existsSync(path));
  const [program, argv] = setpriv ? [setpriv, ['--pdeathsig', 'KILL', '--', command, ...args]] : [command, args];
  const child = spawn(program, argv, { stdio: ['ignore', 'ignore', 'pipe'], ...options });
  running.add(child);
  child.once('exit', () => running.delete(child));
  return child;
}

/** A nats-server greets with INFO as soon as it serves clients, whatever authentication it wants afterwards. */
async function untilListening(port: number): Promise<void> {
  const greeted = () =>
    new Promise<boolean>((done) => {
      const socket = connect(port, '127.0.0.1');
      socket.once('data', (chunk) => {
        socket.destroy();
        done(chunk.toString().startsWith('INFO '));
      });
      socket.once('error', () => done(false));
      socket.once('close', () => done(false));
    });
  await until(greeted, `nats-server on port ${port} did not listen`);
}

/** Waits for a condition, looking again every 20 ms. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  otherwise: string,
  withinMs = READY_MS,
): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`${otherwise} within ${withinMs} ms`);
    await new Promise((done) => setTimeout(done, 20));
  }
}

export const freePort = async (): Promise<number> => (await freePorts(1))[0]!;

/** Below the range of which systems give ports to outgoing connections: one of those could take it before its server. */
const FIXED_PORTS = [10_000, 32_000] as const;

/** Distinct ports, each free when asked: all are held until the last is known. */
export async function freePorts(count: number): Promise<number[]> {
  const held = new Map<number, Server>();
  while (held.size < count) {
    const port = randomInt(...FIXED_PORTS);
    const holder = await hold(port);
    if (holder) held.set(port, holder);
  }
  await Promise.all([...held.values()].map((holder) => new Promise((done) => holder.close(done))));
  return [...held.keys()];
}

/** Listens on the port; undefined if another does. */
const hold = (port: number): Promise<Server | undefined> =>
  new Promise((done, failed) => {
    const holder = createServer();
    holder.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? done(undefined) : failed(error),
    );
    holder.listen(port, '127.0.0.1', () => done(holder));
  });
