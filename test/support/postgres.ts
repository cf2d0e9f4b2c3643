import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { Client } from 'pg';
import { freePort, until } from './nats-server';

const DEBIAN = '/usr/lib/postgresql';

/** The folder of `postgres` and `initdb`, if they are on PATH or where Debian keeps them. */
export function findPostgres(): string | undefined {
  const packaged = existsSync(DEBIAN) ? readdirSync(DEBIAN).map((version) => join(DEBIAN, version, 'bin')) : [];
  for (const folder of [...(process.env['PATH'] ?? '').split(delimiter), ...packaged]) {
    // On PATH it may be a link, without initdb beside it.
    const found = join(folder, 'postgres');
    if (!existsSync(found)) continue;
    const binaries = dirname(realpathSync(found));
    if (existsSync(join(binaries, 'initdb'))) return binaries;
  }
  return undefined;
}

/** A PostgreSQL server of its own on loopback, for one suite. */
export class TestPostgres {
  private child: ChildProcess | undefined;

  private constructor(
    private readonly folder: string,
    readonly port: number,
  ) {}

  get url(): string {
    return `postgres://keytrail:secret@127.0.0.1:${this.port}/postgres`;
  }

  static async start(binaries: string): Promise<TestPostgres> {
    const folder = mkdtempSync(join(tmpdir(), 'keytrail-postgres-'));
    const data = join(folder, 'data');
    const user = unprivileged();
    if (user) chownSync(folder, user.uid, user.gid);
    const options = ['--auth=trust', '--username=keytrail', '--encoding=UTF8', '--no-sync', '--locale=C'];
    execFileSync(join(binaries, 'initdb'), ['-D', data, ...options], { ...user, stdio: 'pipe', cwd: folder });
    const server = new TestPostgres(folder, await freePort());
    const settings = [
      `port=${server.port}`,
      'listen_addresses=127.0.0.1',
      `unix_socket_directories=${folder}`,
      'fsync=off',
    ];
    server.child = spawn(join(binaries, 'postgres'), ['-D', data, ...settings.flatMap((one) => ['-c', one])], {
      ...user,
      cwd: folder,
      stdio: 'ignore',
    });
    await until(() => server.answers(), 'PostgreSQL did not start', 30_000);
    return server;
  }

  async stop(): Promise<void> {
    const { child } = this;
    if (child) {
      const gone = new Promise((done) => child.once('exit', done));
      child.kill('SIGINT');
      await gone;
    }
    rmSync(this.folder, { recursive: true, force: true });
  }

  private async answers(): Promise<boolean> {
    const client = new Client({ connectionString: this.url });
    try {
      await client.connect();
      await client.end();
      return true;
    } catch {
      return false;
    }
  }
}

/** PostgreSQL refuses to run as root. */
function unprivileged(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const id = (flag: string): number => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}
