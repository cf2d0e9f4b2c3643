import { execFileSync } from 'node:child_process';
import { chownSync, existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { Client } from 'pg';
import { anyPort, type Processes, untilAnswers } from './processes';

export interface PostgresServer {
  url: string;
  pid: number;
}

/** A PostgreSQL server of its own on loopback, with the settings that it comes with. Undefined where there is none. */
export async function startPostgres(processes: Processes): Promise<PostgresServer | undefined> {
  const binaries = findPostgres();
  if (binaries === undefined) return undefined;
  const folder = processes.folder();
  const data = join(folder, 'data');
  const user = unprivileged();
  if (user) chownSync(folder, user.uid, user.gid);
  const options = ['--auth=trust', '--username=keytrail', '--encoding=UTF8', '--locale=C'];
  execFileSync(join(binaries, 'initdb'), ['-D', data, ...options], { ...user, stdio: 'pipe', cwd: folder });
  const port = await anyPort();
  const settings = [`port=${port}`, 'listen_addresses=127.0.0.1', `unix_socket_directories=${folder}`];
  const child = processes.start(
    join(binaries, 'postgres'),
    ['-D', data, ...settings.flatMap((one) => ['-c', one])],
    // Its log goes there.
    { stderr: 'ignore', user },
  );
  const url = `postgres://keytrail@127.0.0.1:${port}/postgres`;
  await untilAnswers('PostgreSQL', child, async () => {
    const client = new Client({ connectionString: url });
    await client.connect();
    await client.end();
    return true;
  });
  return { url, pid: child.pid! };
}

const DEBIAN = '/usr/lib/postgresql';

function findPostgres(): string | undefined {
  const packaged = existsSync(DEBIAN) ? readdirSync(DEBIAN).map((version) => join(DEBIAN, version, 'bin')) : [];
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), ...packaged];
  return folders.find((folder) => ['postgres', 'initdb'].every((program) => existsSync(join(folder, program))));
}

/** PostgreSQL refuses to run as root. */
function unprivileged(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const id = (flag: string): number => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}
