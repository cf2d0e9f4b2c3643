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
  /**
   * Starts a node again, and resolves once all nodes follow one JetStream leader and have caught up with every stream.
   * A node that was killed now and then comes back with its routes up and yet takes part in no Raft group (2.10.27 on a
   * busy machine: 7 of 48 not within 20 s, some not within 60 s): it is started once more, as an operator would.
   */
  rejoin(node: TestNats): Promise<void>;
  stop(): Promise<void>;
}

const READY_MS = 20_000;
/** Elections of a cluster that shares a busy machine take their time. */
const CURRENT_MS = 60_000;
export const FORMED_MS = 20_000;
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

/**
 * nats-servers that start at the same moment on a busy machine now and then elect a JetStream leader that never takes one
 * of them in (seen with 2.10.27: `cluster_size` 2 of 3 for a minute). Such a cluster is of no use, and is made anew.
 */
export class ClusterNotFormedError extends Error {
  override readonly name = 'ClusterNotFormedError';
}

const FORMATIONS = 4;

/** Forms a cluster again as long as it does not take all its nodes in; `form` leaves nothing behind when it rejects. */
export async function formed<T>(form: () => Promise<T>): Promise<T> {
  for (let left = FORMATIONS; ; left--) {
    try {
      return await form();
    } catch (error) {
      if (!(error instanceof ClusterNotFormedError) || left === 1) throw error;
    }
  }
}

/** Starts a node until it is taken in again. */
export async function rejoined(start: () => Promise<void>, current: () => Promise<void>): Promise<void> {
  for (let left = FORMATIONS; ; left--) {
    await start();
    try {
      return await current();
    } catch (error) {
      if (left === 1) throw error;
    }
  }
}

/** Servers that route to each other; resolves once all of them are current. */
export const startNatsCluster = (size = 3, options: { config?: string } = {}): Promise<TestNatsCluster> =>
  formed(() => formNatsCluster(size, options));

async function formNatsCluster(size: number, options: { config?: string }): Promise<TestNatsCluster> {
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
  const stop = async () => {
    await Promise.all(nodes.map((node) => node.stop()));
  };
  const current = (withinMs?: number) =>
    untilCurrent(
      monitorPorts.map((monitor, i) => ({ name: `n${i + 1}`, monitor })),
      () => {
        for (const node of nodes) node.assertAlive();
      },
      withinMs,
    );
  const rejoin = (node: TestNats) =>
    rejoined(
      () => node.restart(),
      () => current(FORMED_MS),
    );
  try {
    await Promise.all(nodes.map((node) => node.start()));
    await current();
  } catch (error) {
    await stop();
    throw error;
  }
  return { nodes, urls: nodes.map((node) => node.url), rejoin, stop };
}

class NatsServer implements TestNats {
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

/** A Raft group, as one of its nodes sees it; what a node says of the replicas only counts while it leads. */
interface RaftGroup {
  leader?: string;
  /** Of the group of all nodes only. */
  cluster_size?: number;
  replicas?: { name: string; current: boolean; offline?: boolean }[];
}

interface JetStreamState {
  meta_cluster?: RaftGroup;
  account_details?: { stream_detail?: { name: string; cluster?: RaftGroup }[] }[];
}

export interface Monitored {
  /** The server's name. */
  name: string;
  /** Where it serves /jsz. */
  monitor: number;
}

/**
 * Resolves once all nodes follow one JetStream leader, and that one, as the leader of each stream, sees all others
 * current. What a node finds of itself at /healthz is not asked: one that comes back to an idle cluster may call itself
 * not current until something is proposed (seen with nats-server 2.10.27).
 */
export async function untilCurrent(
  nodes: readonly Monitored[],
  assertAlive: () => void,
  withinMs = CURRENT_MS,
): Promise<void> {
  let seen: unknown;
  const formedBy = performance.now() + FORMED_MS;
  const current = async () => {
    assertAlive();
    const states = await Promise.all(nodes.map(({ monitor }) => jetStreamState(monitor)));
    const metas = states.map((state) => state?.meta_cluster);
    if (performance.now() > formedBy && metas.some((meta) => meta?.cluster_size !== nodes.length)) {
      throw new ClusterNotFormedError(`the nodes did not find each other: ${JSON.stringify(metas)}`);
    }
    const streams = states.map(
      (state) => state?.account_details?.flatMap((account) => account.stream_detail ?? []) ?? [],
    );
    seen = { metas, streams };
    const names = new Set(streams.flat().map(({ name }) => name));
    const groups = [
      metas,
      ...[...names].map((name) => streams.map((all) => all.find((one) => one.name === name)?.cluster)),
    ];
    return groups.every((group) => isCurrent(nodes, group));
  };
  try {
    await until(current, 'the nodes of the cluster were not all current', withinMs);
  } catch (error) {
    if (error instanceof ClusterNotFormedError) throw error;
    throw new Error(`${(error as Error).message}: ${JSON.stringify(seen)}`);
  }
}

/** `views` is the same group as each of the nodes sees it. */
function isCurrent(nodes: readonly Monitored[], views: readonly (RaftGroup | undefined)[]): boolean {
  const leader = views[0]?.leader;
  if (!leader || views.some((view) => view?.leader !== leader)) return false;
  const replicas = views[nodes.findIndex(({ name }) => name === leader)]?.replicas ?? [];
  return replicas.length === nodes.length - 1 && replicas.every((replica) => replica.current && !replica.offline);
}

const jetStreamState = (port: number): Promise<JetStreamState | undefined> =>
  fetch(`http://127.0.0.1:${port}/jsz?accounts=true&streams=true`)
    .then((reply) => reply.json() as Promise<JetStreamState>)
    .catch(() => undefined);

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
