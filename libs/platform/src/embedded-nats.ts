import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { connect } from 'nats';
import { type CalloutSeeds, calloutPublicKeys, newCalloutSeeds } from './callout-keys';
import { lockDataFolder } from './data-folder-lock';
import {
  checkServerBinary,
  endLeftover,
  endProcess,
  freePort,
  lastLines,
  NatsServerError,
  spawnServer,
} from './nats-server-process';
import {
  inboxPrefix,
  NATS_USERS,
  type NatsUserName,
  natsPermissions,
  natsUserScope,
  renderAuthorization,
} from './nats-users';
import { writePrivately } from './private-file';

export interface NatsCredentials {
  user: string;
  password: string;
}

/** What `<dataDir>/nats/endpoint.json` (0600) holds, for the command line and for programs on the same machine. */
export interface NatsEndpoint {
  url: string;
  users: Record<NatsUserName, NatsCredentials>;
}

export interface EmbeddedNatsOptions {
  dataDir: string;
  /** Path of a nats-server >= 2.10.23; absent for the one on PATH. */
  serverPath?: string | undefined;
  /** 0 or absent: the last one used if it is free, else any free one. */
  port?: number;
  log?: (message: string) => void;
}

export interface EmbeddedNats extends NatsEndpoint {
  readonly callout: CalloutSeeds;
  /** Of the running server; undefined between an unexpected exit and the restart. */
  readonly pid: number | undefined;
  /** Stops the server cleanly and gives the data folder free. */
  stop(): Promise<void>;
}

const READY_MS = 20_000;
const BACK_OFF_MS = { first: 100, longest: 5_000, forgottenAfter: 60_000 };

/** Where everything of the embedded server lies. */
const layout = (dataDir: string) => {
  const folder = join(resolve(dataDir), 'nats');
  const file = (name: string): string => join(folder, name);
  return {
    folder,
    config: file('server.conf'),
    store: file('store'),
    endpoint: file('endpoint.json'),
    callout: file('callout.json'),
    log: file('server.log'),
    pid: file('pid'),
  };
};

/** Where the embedded server keeps a stream's messages. */
export const streamFiles = (dataDir: string, stream: string): string =>
  join(layout(dataDir).store, 'jetstream', '$G', 'streams', stream, 'msgs');

/** The endpoint of the data folder's server, as it was last started; undefined if there never was one. */
export function readEndpoint(dataDir: string): NatsEndpoint | undefined {
  try {
    return JSON.parse(readFileSync(layout(dataDir).endpoint, 'utf8')) as NatsEndpoint;
  } catch {
    return undefined;
  }
}

/**
 * Starts a nats-server of our own on loopback and keeps it running. Resolves once JetStream answers. Rejects with
 * DataFolderLockedError, or with NatsServerError saying what to do.
 */
export async function startEmbeddedNats(options: EmbeddedNatsOptions): Promise<EmbeddedNats> {
  const paths = layout(options.dataDir);
  try {
    mkdirSync(paths.folder, { recursive: true, mode: 0o700 });
    writePrivately(join(paths.folder, '.writable'), '');
  } catch (error) {
    throw new NatsServerError(
      `cannot write to ${paths.folder} (${(error as NodeJS.ErrnoException).code}): make it writable, or set KEYTRAIL_DATA_DIR to another folder`,
      { cause: error },
    );
  }
  await checkServerBinary(options.serverPath ?? 'nats-server');
  const lock = lockDataFolder(options.dataDir);
  try {
    const leftover = await endLeftover(paths.pid, paths.config);
    if (leftover) options.log?.(`stopped nats-server ${leftover}, left behind by a killed Keytrail`);
    const former = readEndpoint(options.dataDir);
    const port = await choosePort(options.port ?? 0, former);
    const users = credentials(former);
    const callout = calloutSeeds(paths.callout);
    writePrivately(paths.config, serverConfig(port, paths, users, callout));
    const endpoint: NatsEndpoint = { url: `nats://127.0.0.1:${port}`, users };
    const server = new Supervisor(options, endpoint, callout, lock.release);
    await server.start();
    // Written last: whoever reads it finds a server that answers. A crash before this leaves the former one, and the
    // credentials in it, or none.
    writePrivately(paths.endpoint, `${JSON.stringify(endpoint, null, 2)}\n`);
    return server;
  } catch (error) {
    lock.release();
    throw error;
  }
}

class Supervisor implements EmbeddedNats {
  readonly url: string;
  readonly users: NatsEndpoint['users'];
  private readonly paths: ReturnType<typeof layout>;
  private child: ChildProcess | undefined;
  private stopping = false;
  private backOff = BACK_OFF_MS.first;
  private restarting: NodeJS.Timeout | undefined;
  private spawning: Promise<void> | undefined;
  private readonly onExit = () => this.child?.kill('SIGTERM');

  constructor(
    private readonly options: EmbeddedNatsOptions,
    endpoint: NatsEndpoint,
    readonly callout: CalloutSeeds,
    private readonly release: () => void,
  ) {
    this.url = endpoint.url;
    this.users = endpoint.users;
    this.paths = layout(options.dataDir);
  }

  get pid(): number | undefined {
    return this.child?.pid;
  }

  async start(): Promise<void> {
    process.on('exit', this.onExit);
    try {
      await this.spawn();
      await this.untilReady();
    } catch (error) {
      await this.end();
      throw error;
    }
    this.child?.once('exit', (code, signal) => this.onUnexpectedExit(code, signal));
    // It may have gone between its answer and the line above.
    if (!this.child) this.onUnexpectedExit(null, null);
  }

  async stop(): Promise<void> {
    await this.end();
    this.release();
  }

  private async end(): Promise<void> {
    this.stopping = true;
    clearTimeout(this.restarting);
    await this.spawning?.catch(() => undefined);
    process.off('exit', this.onExit);
    const child = this.child;
    if (child?.pid) await endProcess(child.pid, () => child.exitCode !== null || child.signalCode !== null);
  }

  private async spawn(): Promise<void> {
    const child = await spawnServer(this.options.serverPath ?? 'nats-server', this.paths.config, this.paths.log);
    this.child = child;
    if (child.exitCode !== null || child.signalCode !== null) this.child = undefined;
    child.once('exit', () => {
      this.child = undefined;
    });
  }

  /** The clients reconnect by themselves. The back-off grows while the server does not stay up. */
  private onUnexpectedExit(code: number | null, signal: string | null): void {
    if (this.stopping) return;
    const wait = this.backOff;
    this.options.log?.(
      `nats-server exited (${signal ?? `code ${code}`}): starting it again in ${wait} ms; see ${this.paths.log}`,
    );
    this.backOff = Math.min(wait * 2, BACK_OFF_MS.longest);
    this.restarting = setTimeout(() => {
      this.spawning = this.respawn();
    }, wait);
  }

  private async respawn(): Promise<void> {
    const started = Date.now();
    try {
      await this.spawn();
    } catch (error) {
      this.options.log?.(`nats-server could not be started: ${(error as Error).message}`);
      this.onUnexpectedExit(null, null);
      return;
    }
    const again = (code: number | null, signal: string | null): void => {
      if (Date.now() - started > BACK_OFF_MS.forgottenAfter) this.backOff = BACK_OFF_MS.first;
      this.onUnexpectedExit(code, signal);
    };
    if (this.child) this.child.once('exit', again);
    else again(null, null);
  }

  private async untilReady(): Promise<void> {
    const deadline = Date.now() + READY_MS;
    while (!(await this.answers())) {
      const problem = this.child ? 'is not ready' : 'ended at once';
      if (this.child && Date.now() < deadline) {
        await new Promise((done) => setTimeout(done, 20));
        continue;
      }
      throw new NatsServerError(
        `nats-server ${problem}; the last lines of ${this.paths.log}:\n${lastLines(this.paths.log)}`,
      );
    }
  }

  private async answers(): Promise<boolean> {
    const { user, password: pass } = this.users.embedded;
    try {
      const nats = await connect({
        servers: this.url,
        user,
        pass,
        inboxPrefix: inboxPrefix('embedded'),
        reconnect: false,
        timeout: 1_000,
      });
      try {
        await (await nats.jetstreamManager({ timeout: 1_000 })).getAccountInfo();
        return true;
      } finally {
        await nats.close();
      }
    } catch {
      // Not listening yet, or JetStream is still recovering its streams.
      return false;
    }
  }
}

async function choosePort(wanted: number, former: NatsEndpoint | undefined): Promise<number> {
  const fixed = wanted > 0 && (await freePort(wanted));
  if (fixed) return fixed;
  if (wanted > 0) {
    throw new NatsServerError(
      `port ${wanted} is in use: free it, or set KEYTRAIL_NATS_PORT to another (0 for any free one)`,
    );
  }
  const last = Number(/:(\d+)$/.exec(former?.url ?? '')?.[1] ?? 0);
  const port = (await freePort(last)) ?? (await freePort(0));
  if (!port) throw new NatsServerError('no free port on 127.0.0.1: is the loopback interface up?');
  return port;
}

/** Made once. What cannot be read is made anew: clients log in again, and nothing else depends on it. */
function calloutSeeds(path: string): CalloutSeeds {
  try {
    const seeds = JSON.parse(readFileSync(path, 'utf8')) as CalloutSeeds;
    calloutPublicKeys(seeds);
    return seeds;
  } catch {
    const seeds = newCalloutSeeds();
    writePrivately(path, `${JSON.stringify(seeds, null, 2)}\n`);
    return seeds;
  }
}

/** Made once; users that a newer Keytrail adds get theirs when it first starts. */
function credentials(former: NatsEndpoint | undefined): NatsEndpoint['users'] {
  const entries = NATS_USERS.map((user) => {
    const password = former?.users?.[user]?.password ?? randomBytes(24).toString('base64url');
    return [user, { user, password }] as const;
  });
  return Object.fromEntries(entries) as NatsEndpoint['users'];
}

function serverConfig(
  port: number,
  paths: ReturnType<typeof layout>,
  users: NatsEndpoint['users'],
  callout: CalloutSeeds,
): string {
  const quoted = JSON.stringify;
  const { issuer, xkey } = calloutPublicKeys(callout);
  return [
    '# Written by Keytrail at each start; changes are lost.',
    `listen: "127.0.0.1:${port}"`,
    'server_name: keytrail-embedded',
    `pid_file: ${quoted(paths.pid)}`,
    `log_file: ${quoted(paths.log)}`,
    'logfile_size_limit: 1MB',
    'logfile_max_num: 2',
    // Acknowledged means fsynced: at the default an acknowledged write can be lost in a power cut.
    `jetstream { store_dir: ${quoted(paths.store)}, sync_interval: always }`,
    // Session tokens come in it.
    'max_control_line: 32KB',
    renderAuthorization(natsPermissions(natsUserScope()), (user) => quoted(users[user].password), {
      issuer: quoted(issuer),
      xkey: quoted(xkey),
    }),
  ].join('\n');
}
