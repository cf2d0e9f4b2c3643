import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Another Keytrail serves from the same data folder. */
export class DataFolderLockedError extends Error {
  override readonly name = 'DataFolderLockedError';
}

export interface DataFolderLock {
  release(): void;
}

/** A process; the start time tells it from a later one with the same pid. */
interface Holder {
  pid: number;
  /** Clock ticks since boot, field 22 of /proc/<pid>/stat (proc(5)); absent where there is no /proc. */
  startTime?: string | undefined;
}

const ATTEMPTS = 10;

/**
 * Holds the folder for this process until it releases it or dies. Throws DataFolderLockedError while another live
 * process holds it; the lock of a dead one is taken over.
 */
export const lockDataFolder = (dataDir: string): DataFolderLock =>
  hold(join(dataDir, 'keytrail.lock'), (pid) => {
    const by = `another Keytrail (pid ${pid}): stop that one, or set KEYTRAIL_DATA_DIR to another folder`;
    return new DataFolderLockedError(`${dataDir} is in use by ${by}`);
  });

/** The same for a lock of any name: throws what `inUse` makes of the pid that holds it. */
export function hold(path: string, inUse: (pid: number) => Error): DataFolderLock {
  const own: Holder = { pid: process.pid, startTime: startTimeOf(process.pid) };
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, JSON.stringify(own), { mode: 0o600 });
  try {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      if (linked(draft, path)) return { release: () => release(path, own) };
      const holder = holderOf(path);
      if (holder && isAlive(holder)) throw inUse(holder.pid);
      takeOver(path, holder, draft);
      if (sameHolder(holderOf(path), own)) return { release: () => release(path, own) };
    }
  } finally {
    rmSync(draft, { force: true });
  }
  throw new DataFolderLockedError(`${path} cannot be taken over: remove it if no Keytrail uses ${dirname(path)}`);
}

/**
 * Replaces a dead holder's lock. Only one process at a time holds the claim, and it looks again before it replaces, so
 * that a lock taken over a moment ago is left alone. A crash while claiming leaves a claim whose owner is dead.
 */
function takeOver(path: string, dead: Holder | undefined, draft: string): void {
  const claim = `${path}.claim`;
  if (!linked(draft, claim)) {
    const claimant = holderOf(claim);
    if (!claimant || !isAlive(claimant)) rmSync(claim, { force: true });
    return;
  }
  try {
    if (!sameHolder(holderOf(path), dead)) return;
    const replacement = `${draft}.new`;
    writeFileSync(replacement, readFileSync(draft), { mode: 0o600 });
    renameSync(replacement, path);
  } finally {
    rmSync(claim, { force: true });
  }
}

/** Whether `path` now is another name of the draft: the one who makes it is alone. */
function linked(draft: string, path: string): boolean {
  try {
    linkSync(draft, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function release(path: string, own: Holder): void {
  if (sameHolder(holderOf(path), own)) rmSync(path, { force: true });
}

function holderOf(path: string): Holder | undefined {
  try {
    const holder = JSON.parse(readFileSync(path, 'utf8')) as Partial<Holder>;
    return Number.isSafeInteger(holder.pid) && holder.pid! > 0 ? (holder as Holder) : undefined;
  } catch {
    // Gone, or no lock of ours: nobody that could be alive.
    return undefined;
  }
}

const sameHolder = (a: Holder | undefined, b: Holder | undefined): boolean =>
  a?.pid === b?.pid && a?.startTime === b?.startTime;

function isAlive({ pid, startTime }: Holder): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  const now = startTimeOf(pid);
  return startTime === undefined || now === undefined || now === startTime;
}

function startTimeOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field, the command's name in parentheses, may itself hold spaces and parentheses.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}
