import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
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
   * state, leaves tiles that the same leaves make again.
   */
  append(leafHashes: readonly Uint8Array[], ends: readonly number[]): void {
    const { size } = this.current;
    const position = this.current.position + ends.length;
    this.writeEnds(ends);
    for (const { tile, bytes } of writeTiles(size, this.read, leafHashes)) {
      const path = join(this.folder, tilePath(tile));
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      writeFileSync(path, bytes, { mode: 0o600 });
    }
    const before = this.current;
    this.current = { size: size + leafHashes.length, position };
    this.writeState();
    this.dropPartialTiles(before.size);
  }

  clear(): void {
    rmSync(this.folder, { recursive: true, force: true });
    this.current = { size: 0, position: 0 };
  }

  /** Those that have grown since. */
  private dropPartialTiles(size: number): void {
    const now = new Set(partialTiles(this.current.size).map(tilePath));
    for (const tile of partialTiles(size)) {
      const path = tilePath(tile);
      if (now.has(path)) continue;
      const folder = dirname(join(this.folder, path));
      rmSync(join(this.folder, path), { force: true });
      if (readdirSync(folder).length === 0) rmSync(folder, { recursive: true });
    }
  }

  private get endsPath(): string {
    return join(this.folder, 'ends');
  }

  private writeEnds(ends: readonly number[]): void {
    mkdirSync(this.folder, { recursive: true, mode: 0o700 });
    const bytes = Buffer.alloc(ends.length * END_BYTES);
    for (const [at, end] of ends.entries()) bytes.writeBigUInt64BE(BigInt(end), at * END_BYTES);
    const { position } = this.current;
    const file = openSync(this.endsPath, position === 0 ? 'w' : 'r+', 0o600);
    try {
      for (let at = 0; at < bytes.length; )
        at += writeSync(file, bytes, at, bytes.length - at, position * END_BYTES + at);
    } finally {
      closeSync(file);
    }
  }

  private get statePath(): string {
    return join(this.folder, 'state.json');
  }

  private writeState(): void {
    mkdirSync(this.folder, { recursive: true, mode: 0o700 });
    const temporary = `${this.statePath}.tmp`;
    const root = this.root().toString('base64');
    writeFileSync(temporary, JSON.stringify({ v: STATE_VERSION, ...this.current, root }), { mode: 0o600 });
    renameSync(temporary, this.statePath);
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
