import { randomBytes } from 'node:crypto';
import { cp, mkdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { copyTokens } from './member-folder';

/** What of a cluster belongs to its keys and users, beside the tokens of its members. */
const SHARED = ['masked', 'destroyed', 'users'];

/**
 * Copies a member's tokens, and what the cluster knows of its keys and users, to a backup's folder: all of it encrypted as it is.
 * Harmless to repeat, and for two at once; a crash leaves behind a folder that is never looked at.
 */
export async function backUp(member: string, cluster: string, backup: string): Promise<void> {
  if (await isThere(backup)) return;
  const written = `${backup}.${randomBytes(8).toString('hex')}`;
  await mkdir(dirname(backup), { recursive: true, mode: 0o700 });
  try {
    await copyTokens(member, written);
    for (const name of SHARED) await copyFolder(join(cluster, name), join(written, name));
    await rename(written, backup);
  } catch (error) {
    if (!(await isThere(backup))) throw error;
  } finally {
    await rm(written, { recursive: true, force: true });
  }
}

/** A member from a backup; the cluster gets what it does not have yet. */
export async function restore(backup: string, cluster: string, member: string): Promise<void> {
  await copyTokens(backup, member);
  for (const name of SHARED) await copyFolder(join(backup, name), join(cluster, name));
}

/** What is there already stays. */
async function copyFolder(from: string, to: string): Promise<void> {
  if (await isThere(from)) await cp(from, to, { recursive: true, force: false });
}

export const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );
