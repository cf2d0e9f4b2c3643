import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
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

export interface TestNatsCluster {
  readonly nodes: readonly TestNats[];
  /** Every node's URL, for `connect({ servers })`. */
  readonly urls: string[];
  /** Resolves once every node is up, follows the one JetStream leader, and has caught up with all that it keeps. */
  current(): Promise<void>;
  stop(): Promise<void>;
}

const READY_MS = 20_000;
/** Elections of a cluster that shares a busy machine take their time. */
const CURRENT_MS = 60_000;
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

/** Servers that route to each other; resolves once all of them are current. */
export async function startNatsCluster(size = 3, options: { config?: string } = {}): Promise<TestNatsCluster> {
  const ports = await freePorts(size * 3);
  const [clientPorts, routePorts, monitorPorts] = [0, 1, 2].map((i) => ports.slice(i * size, (i + 1) * size)) as [
    number[],
    number[],
    number[],
  ];
  const routes = routePorts.map((port) => `nats://127.0.0.1:${port}`).join(', ');
  const nodes = clientPorts.map((port, i) => {
    const config = [
      `server_name: n${i + 1}`,
      `http: 127.0.0.1:${monitorPorts[i]}`,
      `cluster { name: test, listen: 127.0.0.1:${routePorts[i]}, routes: [${routes}] }`,
      options.config ?? '',
    ].join('\n');
    return new NatsServer(port, { config });
  });
  await Promise.all(nodes.map((node) => node.start()));
  const current = () => untilCurrent(monitorPorts);
  await current();
  return {
    nodes,
    urls: nodes.map((node) => node.url),
    current,
    stop: async () => {
      await Promise.all(nodes.map((node) => node.stop()));
    },
  };
}

class NatsServer implements TestNats {
  readonly url: string;
  readonly storeDir: string;
  private child: ChildProcess | undefined;

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
    let log = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      log = (log + chunk.toString()).slice(-4000);
    });
    const failed = new Promise<never>((_, reject) => {
      child.once('error', reject);
      child.once('exit', (code) => reject(new Error(`nats-server exited with ${code} before it was ready:\n${log}`)));
    });
    failed.catch(() => {});
    await Promise.race([untilListening(this.port), failed]);
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

interface MetaCluster {
  leader?: string;
  cluster_size?: number;
  pending?: number;
  /** Only the leader knows them. */
  replicas?: { name: string; current: boolean; offline?: boolean; lag?: number }[];
}

/**
 * Resolves once each node (by its monitoring port) finds itself healthy, which takes in every stream that it keeps, all
 * name the same JetStream leader, and that one sees all others current with nothing on its way to them.
 */
export async function untilCurrent(monitorPorts: readonly number[]): Promise<void> {
  const current = async () => {
    const healthy = await Promise.all(monitorPorts.map(async (port) => (await monitor(port, 'healthz'))?.ok));
    if (!healthy.every(Boolean)) return false;
    const metas = await Promise.all(monitorPorts.map(metaCluster));
    const leaders = new Set(metas.map((meta) => meta?.leader));
    const replicas = metas.find((meta) => meta?.replicas)?.replicas ?? [];
    return (
      leaders.size === 1 &&
      metas.every((meta) => meta?.leader && meta.cluster_size === monitorPorts.length && !meta.pending) &&
      replicas.length === monitorPorts.length - 1 &&
      replicas.every((replica) => replica.current && !replica.offline && !replica.lag)
    );
  };
  await until(current, 'the nodes of the cluster were not all current', CURRENT_MS);
}

const monitor = (port: number, path: string): Promise<Response | undefined> =>
  fetch(`http://127.0.0.1:${port}/${path}`).catch(() => undefined);

async function metaCluster(port: number): Promise<MetaCluster | undefined> {
  const body = (await (await monitor(port, 'jsz'))?.json().catch(() => undefined)) as { meta_cluster?: MetaCluster };
  return body?.meta_cluster;
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

/** Distinct ports, each free when asked: all are held until the last is known. */
export async function freePorts(count: number): Promise<number[]> {
  const holders = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    holders.map(
      (holder) =>
        new Promise<number>((done, failed) => {
          holder.once('error', failed);
          holder.listen(0, '127.0.0.1', () => done((holder.address() as { port: number }).port));
        }),
    ),
  );
  await Promise.all(holders.map((holder) => new Promise((done) => holder.close(done))));
  return ports;
}
