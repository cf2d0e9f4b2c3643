import { randomBytes } from 'node:crypto';
import { cp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { tokenOfUser, usersOf } from './cluster-users';
import { copyTokens, tokensIn } from './member-folder';

/** Its keys come from `masked/`, with ids by which one that is there already is known. */
const KEPT_BY_KMS = 'kmsuser';
const OBJECT = '.object';
const TOKEN = 'token.object';

export interface Synchronized {
  user: string;
  /** Copies of objects that were made. */
  copied: number;
}

/**
 * Has each member have every object of every user: an object is a file, encrypted under the token's key, which is the same in all
 * members, so that a copy of the file is the key, and nobody learns it. What was destroyed in one member only comes back. Harmless to
 * repeat; a crash leaves behind a file that is never looked at.
 */
export async function synchronize(folder: string, members: readonly string[]): Promise<Synchronized[]> {
  for (const to of members) for (const from of members) if (from !== to) await copyTokens(from, to);
  const done: Synchronized[] = [];
  for (const user of await usersOf(folder)) {
    if (user === KEPT_BY_KMS) continue;
    const token = await tokenOfUser(folder, user);
    let copied = 0;
    for (const to of members) for (const from of members) if (from !== to) copied += await copyObjects(token, from, to);
    done.push({ user, copied });
  }
  return done;
}

async function copyObjects(token: string, from: string, to: string): Promise<number> {
  if (!(await tokensIn(from)).includes(token) || !(await tokensIn(to)).includes(token)) return 0;
  const [source, target] = [from, to].map((member) => join(member, 'tokens', token)) as [string, string];
  const there = new Set(await readdir(target));
  let copied = 0;
  for (const name of await readdir(source)) {
    if (!name.endsWith(OBJECT) || name === TOKEN || there.has(name)) continue;
    const written = join(to, `copy-${randomBytes(8).toString('hex')}`);
    try {
      await copyWhole(join(source, name), written);
      await rename(written, join(target, name));
      copied++;
    } finally {
      await rm(written, { force: true });
    }
  }
  return copied;
}

/** Once more where it was written meanwhile: half of an object is none. */
async function copyWhole(source: string, copy: string): Promise<void> {
  for (let tries = 0; tries < 5; tries++) {
    await cp(source, copy);
    if ((await readFile(source)).equals(await readFile(copy))) return;
  }
}
