import { randomBytes } from 'node:crypto';
import { cp, mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const CONF = 'softhsm2.conf';
const TOKENS = 'tokens';
/** SoftHSM keeps the key of a token's objects in it, encrypted under each of the PINs. */
const PINS = 'token.object';
const COPY_TRIES = 5;

/** What SoftHSM finds the tokens of this folder by. */
export const environmentOf = (folder: string): Readonly<Record<string, string>> => ({
  SOFTHSM2_CONF: join(folder, CONF),
});

/** Makes what is missing of it; harmless to repeat, and for two at once. */
export async function prepareFolder(folder: string): Promise<void> {
  await mkdir(join(folder, TOKENS), { recursive: true, mode: 0o700 });
  const conf = join(folder, CONF);
  if (await exists(conf)) return;
  const written = `${conf}.${unique()}`;
  const lines = [`directories.tokendir = ${join(folder, TOKENS)}`, 'objectstore.backend = file', 'log.level = ERROR'];
  await writeFile(written, `${lines.join('\n')}\n`, { mode: 0o600 });
  await rename(written, conf);
}

/** Whether `prepareFolder` has been there. */
export const isThere = (folder: string): Promise<boolean> => exists(join(folder, CONF));

/** Names of the folders of its tokens; none where it is gone. */
export async function tokensIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(join(folder, TOKENS))).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** Whether it is as `prepareFolder` leaves it, and has all the tokens of `other`. */
export async function isComplete(folder: string, other: string | undefined): Promise<boolean> {
  if (!(await isThere(folder))) return false;
  const tokens = await tokensIn(folder);
  return other === undefined ? tokens.length > 0 : (await tokensIn(other)).every((each) => tokens.includes(each));
}

/**
 * Copies the tokens that `to` does not have, each with all that is in it, as encrypted as it is. Of two that do so at once one
 * comes first, and the other's copy is dropped. A crash leaves behind a folder beside the tokens that is never looked at.
 */
export async function copyTokens(from: string, to: string): Promise<void> {
  await prepareFolder(to);
  const there = await tokensIn(to);
  for (const token of await tokensIn(from)) if (!there.includes(token)) await copyToken(from, to, token);
}

/** Gives the PINs of a token in `from` to the same token in `to`, where that is. Its objects do not change with them. */
export async function copyPins(from: string, to: string, token: string): Promise<void> {
  const written = join(to, `copy-${unique()}`);
  try {
    await cp(join(from, TOKENS, token, PINS), written);
    await rename(written, join(to, TOKENS, token, PINS));
  } finally {
    await rm(written, { force: true });
  }
}

/**
 * Puts the token of `from` in the place of that in `to`, which cannot be used. A crash in between leaves a member without that token,
 * which it gets as any that it lacks, and what was there beside the tokens.
 */
export async function replaceToken(from: string, to: string, token: string): Promise<void> {
  await rename(join(to, TOKENS, token), join(to, `broken-${unique()}`));
  await copyToken(from, to, token);
}

async function copyToken(from: string, to: string, token: string): Promise<void> {
  const copy = join(to, `copy-${unique()}`);
  const source = join(from, TOKENS, token);
  try {
    await copyStable(source, copy);
    await rename(copy, join(to, TOKENS, token));
  } catch (error) {
    await rm(copy, { recursive: true, force: true });
    if (!['ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}

/** Once more where something was written meanwhile: half of an object is none. */
async function copyStable(source: string, copy: string): Promise<void> {
  for (let nth = 1; ; nth++) {
    const before = await stateOf(source);
    await cp(source, copy, { recursive: true });
    if (nth === COPY_TRIES || (await stateOf(source)) === before) return;
    await rm(copy, { recursive: true, force: true });
  }
}

async function stateOf(folder: string): Promise<string> {
  const states: string[] = [];
  for (const name of (await readdir(folder)).sort()) {
    // Taken anew by every reader.
    if (name.endsWith('.lock')) continue;
    const { size, mtimeMs } = await stat(join(folder, name));
    states.push(`${name} ${size} ${mtimeMs}`);
  }
  return states.join('\n');
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

const unique = (): string => randomBytes(8).toString('hex');
