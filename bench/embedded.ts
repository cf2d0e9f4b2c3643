import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT_CREDENTIALS } from './kms-requests';
import type { Target } from './load';
import { anyPort, type Processes, ROOT, untilServed } from './processes';

/** A Keytrail that serves everything from one process, beside its own nats-server. */
export interface Embedded extends Target {
  dataDir: string;
}

/** Made a while after the start, which takes both cores for seconds. */
const HISTORY_MADE = join('history', 'PG_VERSION');
const COMPILED_MS = 4_000;

/** Resolves once nothing of the start is under way any more: the event history is opened when calls are served already. */
async function atRest(dataDir: string): Promise<void> {
  const pause = (ms: number): Promise<void> => new Promise((resume) => setTimeout(resume, ms));
  for (let tries = 0; tries < 300 && !existsSync(join(dataDir, HISTORY_MADE)); tries++) await pause(100);
  await pause(COMPILED_MS);
}

/** Starts it from the build in `root`, which may be of another version. `more`: further variables of its environment. */
export async function startEmbedded(
  processes: Processes,
  root = ROOT,
  more: Record<string, string> = {},
): Promise<Embedded> {
  const dataDir = processes.folder();
  const port = await anyPort();
  const environment = {
    ...ROOT_CREDENTIALS,
    KEYTRAIL_DATA_DIR: dataDir,
    KEYTRAIL_PORT: String(port),
    KEYTRAIL_LOG_LEVEL: 'error',
    ...more,
  };
  const child = processes.node('dist/apps/keytrail/src/main.js', environment, ['start'], root);
  await untilServed(`http://127.0.0.1:${port}/healthz`, child);
  const natsPidFile = join(dataDir, 'nats', 'pid');
  const natsPids = existsSync(natsPidFile) ? [Number(readFileSync(natsPidFile, 'utf8'))] : [];
  if (more['KEYTRAIL_RECORDS'] !== 'off' && root === ROOT) await atRest(dataDir);
  return { port, pids: [child.pid!, ...natsPids], dataDir };
}
