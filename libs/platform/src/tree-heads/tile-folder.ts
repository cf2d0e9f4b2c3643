import { closeSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { mkdir, open, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isTreeSize, treeRoot } from '#audit-log/merkle';
import { hashesFromTiles } from '#audit-log/tile-hashes';
import { writeTiles } from '#audit-log/tile-writer';
import { partialTiles, type Tile, tilePath } from '#audit-log/tiles';

/** How far a tree in a folder has come. */
export interface TreeState {
  size: number;
  /** Position in the stream of the message that holds the newest leaf. */
  position: number;
}

/** 1 had no ends. */
const STATE_VERSION = 2;
const END_BYTES = 8;

/**
 * A tree as tiles in a folder (C2SP tlog-tiles), how far it has come, and with how many leaves each position of the stream
 * ends. Disposable: the stream gives it again.
 */
export class TileFolder {
  private current: TreeState = { size: 0, position: 0 };

  /** Goes on where the folder was left; from nothing where it is not whole, as a power cut may leave it. */
  constructor(private readonly folder: string) {
    const state = this.readState();
    if (state) this.current = state;
    else this.clear();
  }

  get state(): TreeState {
    return this.current;
  }

  readonly read = (tile: Tile): Uint8Array | undefined => {
    try {
      return readFileSync(join(this.folder, tilePath(tile)));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  };

  root(): Buffer {
    return Buffer.from(this.rootAt(this.current.size));
  }

  rootAt(size: number): Uint8Array {
    return treeRoot(size, hashesFromTiles(this.current.size, this.read));
  }

  /** The leaves of the message at that position: from the first, to before `end`. Undefined where it is not in the tree. */
  leavesAt(position: number): { first: number; end: number } | undefined {
    if (!(position >= 1 && position <= this.current.position)) return undefined;
    const ends = Buffer.alloc(2 * END_BYTES);
    const file = openSync(this.endsPath, 'r');
    try {
      const from = Math.max(0, position - 2) * END_BYTES;
      const length = readSync(
        file,
        ends,
        position === 1 ? END_BYTES : 0,
        position === 1 ? END_BYTES : 2 * END_BYTES,
        from,
      );
      if (length !== (position === 1 ? END_BYTES : 2 * END_BYTES)) return undefined;
    } finally {
      closeSync(file);
    }
    return { first: Number(ends.readBigUInt64BE(0)), end: Number(ends.readBigUInt64BE(END_BYTES)) };
  }

  /**
   * Leaves of messages, and with how many leaves the tree ends after each of them. A crash between two tiles, or before the
   * state, leaves tiles that the same leaves make again; meanwhile the tree is read as it was before. Not for two at once.
   *
   * Nothing waits for the disk here: where the system is busy with another file's fsync, making a file takes milliseconds.
   */
  async append(leafHashes: readonly Uint8Array[], ends: readonly number[]): Promise<void> {
    const { size } = this.current;
    const position = this.current.position + ends.length;
    await this.writeEnds(ends);
    for (const { tile, bytes } of writeTiles(size, this.read, leafHashes)) await this.writeTile(tile, bytes);
    const before = this.current;
    this.current = { size: size + leafHashes.length, position };
    await this.writeState();
    await this.dropPartialTiles(before.size);
  }

  private async writeTile(tile: Tile, bytes: Buffer): Promise<void> {
    const path = join(this.folder, tilePath(tile));
    const write = (): Promise<void> => writeFile(path, bytes, { mode: 0o600 });
    try {
      await write();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      await write();
    }
  }

  clear(): void {
    rmSync(this.folder, { recursive: true, force: true });
    this.current = { size: 0, position: 0 };
  }

  /** Those that have grown since. */
  private async dropPartialTiles(size: number): Promise<void> {
    const now = new Set(partialTiles(this.current.size).map(tilePath));
    for (const tile of partialTiles(size)) {
      const path = tilePath(tile);
      if (now.has(path)) continue;
      const folder = dirname(join(this.folder, path));
      await rm(join(this.folder, path), { force: true });
      if ((await readdir(folder)).length === 0) await rm(folder, { recursive: true });
    }
  }

  private get endsPath(): string {
    return join(this.folder, 'ends');
  }

  private async writeEnds(ends: readonly number[]): Promise<void> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    const bytes = Buffer.alloc(ends.length * END_BYTES);
    for (const [at, end] of ends.entries()) bytes.writeBigUInt64BE(BigInt(end), at * END_BYTES);
    const { position } = this.current;
    const file = await open(this.endsPath, position === 0 ? 'w' : 'r+', 0o600);
    try {
      for (let at = 0; at < bytes.length; )
        at += (await file.write(bytes, at, bytes.length - at, position * END_BYTES + at)).bytesWritten;
    } finally {
      await file.close();
    }
  }

  private get statePath(): string {
    return join(this.folder, 'state.json');
  }

  private async writeState(): Promise<void> {
    const temporary = `${this.statePath}.tmp`;
    const root = this.root().toString('base64');
    await writeFile(temporary, JSON.stringify({ v: STATE_VERSION, ...this.current, root }), { mode: 0o600 });
    await rename(temporary, this.statePath);
  }

  /** Undefined unless the tiles give the root that the state says. */
  private readState(): TreeState | undefined {
    try {
      const { v, size, position, root } = JSON.parse(readFileSync(this.statePath, 'utf8')) as Record<string, unknown>;
      if (v !== STATE_VERSION || !isTreeSize(size as number) || !isTreeSize(position as number)) return undefined;
      const state = { size: size as number, position: position as number };
      const found = treeRoot(state.size, hashesFromTiles(state.size, this.read));
      if (Buffer.from(found).toString('base64') !== root) return undefined;
      this.current = state;
      return state.position === 0 || this.leavesAt(state.position)?.end === state.size ? state : undefined;
    } catch {
      return undefined;
    }
  }
}
