import { randomBytes } from 'node:crypto';
import { link, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { OpenToken } from '../pkcs11/token-calls';
import { TokenClient, TokenRefusedError } from '../pkcs11/token-client';
import { copyPins, copyTokens, environmentOf, prepareFolder, tokensIn } from './member-folder';

/** What the owner did cannot be done as it is; the message says what to do. */
export class ClusterUserError extends Error {
  override readonly name = 'ClusterUserError';
}

export interface UsersOf {
  /** Path of the PKCS#11 module. */
  module: string;
  /** That of the cluster. */
  folder: string;
  /** Those of its members. */
  members: readonly string[];
}

const USERS = 'users';
const MIN_PASSWORD = 7;
const MAX_PASSWORD = 32;

export async function usersOf(folder: string): Promise<string[]> {
  try {
    return (await readdir(join(folder, USERS))).filter((name) => !name.startsWith('.')).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/**
 * A crypto user in every member: made in a folder of its own, from which the members get copies. A crash before the first copy
 * leaves a user that no member has, which making it again replaces; after that, one that the other members still get.
 */
export async function createUser({ module, folder, members }: UsersOf, user: string, password: string): Promise<void> {
  assertName(user);
  assertPassword(password);
  if (members.length === 0) throw new ClusterUserError('the cluster has no HSM yet: create one first');
  const made = join(folder, `new-${randomBytes(8).toString('hex')}`);
  try {
    await prepareFolder(made);
    await withToken({ ...tokenOf(module, made, user, password), create: true }, async () => {});
    const [token] = await tokensIn(made);
    if (!token) throw new ClusterUserError(`${module}: it made no token in ${made}`);
    await claim(folder, members, user, token);
    for (const member of members) await copyTokens(made, member);
  } finally {
    await rm(made, { recursive: true, force: true });
  }
}

/** In the first member that lets the user in, and from there in all others. */
export async function changePassword(
  { module, folder, members }: UsersOf,
  user: string,
  password: string,
  changed: string,
): Promise<void> {
  assertPassword(changed);
  const token = await tokenOfUser(folder, user);
  const having = await membersWith(members, token);
  const [first, ...others] = having;
  if (first === undefined) throw new ClusterUserError(`no HSM of the cluster has the user ${user}`);
  await withToken(tokenOf(module, first, user, password), (client) => client.call('setPin', { pin: changed }));
  for (const other of others) await copyPins(first, other, token);
}

function assertName(user: string): void {
  if (!/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,30}$/.test(user)) {
    throw new ClusterUserError('user: expected 1 to 31 of A-Z a-z 0-9 _ . -, not beginning with . or -');
  }
}

function assertPassword(password: string): void {
  if (password.length < MIN_PASSWORD || password.length > MAX_PASSWORD || !/^[\x20-\x7e]+$/.test(password)) {
    throw new ClusterUserError(`password: expected ${MIN_PASSWORD} to ${MAX_PASSWORD} printable ASCII characters`);
  }
}

/** Of two that make the same user at once, one comes first. */
async function claim(folder: string, members: readonly string[], user: string, token: string): Promise<void> {
  const users = join(folder, USERS);
  await mkdir(users, { recursive: true, mode: 0o700 });
  const claimed = join(users, user);
  const written = join(users, `.${randomBytes(8).toString('hex')}`);
  await writeFile(written, token, { mode: 0o600 });
  try {
    const before = await readFile(claimed, 'utf8').catch(() => undefined);
    if (before !== undefined && (await membersWith(members, before)).length === 0) await rm(claimed);
    await link(written, claimed);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    throw new ClusterUserError(`there is a user ${user} already`);
  } finally {
    await rm(written, { force: true });
  }
}

/** The name of the folder of a user's token, which is the same in every member. Throws ClusterUserError. */
export async function tokenOfUser(folder: string, user: string): Promise<string> {
  assertName(user);
  try {
    return await readFile(join(folder, USERS, user), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new ClusterUserError(`the cluster has no user ${user}`);
  }
}

async function membersWith(members: readonly string[], token: string): Promise<string[]> {
  const have = await Promise.all(members.map(async (member) => (await tokensIn(member)).includes(token)));
  return members.filter((_, nth) => have[nth]);
}

const tokenOf = (module: string, folder: string, label: string, pin: string): OpenToken => ({
  ...{ module, label, pin, sessions: 1, environment: environmentOf(folder) },
});

async function withToken<T>(place: OpenToken, work: (client: TokenClient) => Promise<T>): Promise<T> {
  const client = new TokenClient(place, { callMs: 10_000, openMs: 20_000 });
  try {
    await client.info();
    return await work(client);
  } catch (error) {
    if (error instanceof TokenRefusedError) throw new ClusterUserError(`the HSM refuses: ${error.message}`);
    throw error;
  } finally {
    await client.close();
  }
}
