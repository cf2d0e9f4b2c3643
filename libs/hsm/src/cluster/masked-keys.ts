import { randomBytes } from 'node:crypto';
import { link, mkdir, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A key as only the HSMs of its cluster can open it. `key`: its id, in hex. */
export interface MaskedKey {
  key: string;
  masked: Uint8Array;
}

const isId = (name: string): boolean => /^[0-9a-f]{64}$/.test(name);

/**
 * What members are caught up from: a file for each key that KMS has in a cluster, and one for each that it had. It is what says
 * which key an id means where two made one at once, and that a destroyed key stays so.
 */
export class MaskedKeys {
  private readonly masked: string;
  private readonly destroyed: string;

  constructor(clusterFolder: string) {
    this.masked = join(clusterFolder, 'masked');
    this.destroyed = join(clusterFolder, 'destroyed');
  }

  /** Undefined where there is none, or it was destroyed. */
  async read(key: string): Promise<Buffer | undefined> {
    if (await contentOf(join(this.destroyed, key))) return undefined;
    return contentOf(join(this.masked, key));
  }

  async wasDestroyed(key: string): Promise<boolean> {
    return (await contentOf(join(this.destroyed, key))) !== undefined;
  }

  /** Gives what is kept under this id, which is another's where that came first. */
  async keep({ key, masked }: MaskedKey): Promise<Buffer> {
    const there = await contentOf(join(this.masked, key));
    if (there) return there;
    await mkdir(this.masked, { recursive: true, mode: 0o700 });
    const written = join(this.masked, `.${key}.${randomBytes(8).toString('hex')}`);
    const file = await open(written, 'wx', 0o600);
    try {
      await file.writeFile(masked);
      await file.sync();
    } finally {
      await file.close();
    }
    try {
      await link(written, join(this.masked, key));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    } finally {
      await rm(written, { force: true });
    }
    return readFile(join(this.masked, key));
  }

  /** From now on no member gets it. Before any member destroys it: a crash in between leaves that to the next catch-up. */
  async forget(key: string): Promise<void> {
    await mkdir(this.destroyed, { recursive: true, mode: 0o700 });
    await writeFile(join(this.destroyed, key), '', { mode: 0o600 });
    await rm(join(this.masked, key), { force: true });
  }

  async living(): Promise<string[]> {
    return namesIn(this.masked);
  }

  async gone(): Promise<string[]> {
    return namesIn(this.destroyed);
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).filter(isId);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

async function contentOf(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
