import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Somebody else serves from this data folder. */
export class DataFolderInUseError extends Error {
  override readonly name = 'DataFolderInUseError';
}

/** When a process started, in the kernel's ticks: with it, a pid that was given out again is not mistaken. */
function startedAt(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}

/** Whether that very process still runs. */
const runs = (pid: number, started: string | undefined): boolean => {
  const now = startedAt(pid);
  return now !== undefined && (started === undefined || now === started);
};

/** Takes the data folder for this process, over a lock whose holder is gone. Returns how to give it back. */
export function lockDataFolder(dataDir: string): () => void {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const path = join(dataDir, 'lock');
  const own = `${process.pid} ${startedAt(process.pid) ?? ''}\n`;
  for (let tries = 0; tries < 2; tries++) {
    try {
      writeFileSync(path, own, { flag: 'wx', mode: 0o600 });
      return () => rmSync(path, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const [pid, started] = readFileSync(path, 'utf8').trim().split(' ');
    if (Number(pid) !== process.pid && runs(Number(pid), started)) {
      throw new DataFolderInUseError(
        `${dataDir} is in use by process ${pid}: stop that one, or set KEYTRAIL_DATA_DIR to another folder`,
      );
    }
    rmSync(path, { force: true });
  }
  throw new DataFolderInUseError(`${dataDir} was taken by another process just now`);
}
