import { isTreeSize } from './merkle';
import { MalformedError } from './proof-errors';

/**
 * Tiles of C2SP tlog-tiles, "Merkle Tree": a tile is up to 256 hashes that stand side by side in one level of the tree.
 * Tiles of level 0 hold leaf hashes; hash i of a tile of level L + 1 is the root of the full tile i of level L. A full
 * tile never changes. A partial one, `width` hashes wide, is the beginning of the tile that it grows into.
 */
export interface Tile {
  level: number;
  /** Which tile of its level, from 0. */
  index: number;
  /** 1 to 255 for a partial tile, 256 for a full one. */
  width: number;
}

/** Hashes in a full tile. */
export const TILE_WIDTH = 256;

/** Levels of the tree between the hashes of a tile and its root. */
export const TILE_HEIGHT = 8;

const MAX_LEVEL = 63;

/** The path of a tile below the log's prefix: `tile/0/x001/x234/067`, with `.p/<width>` where it is partial. */
export function tilePath({ level, index, width }: Tile): string {
  const digits = String(index);
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, '0').match(/.{3}/g)!;
  const last = groups.pop()!;
  const folders = groups.map((group) => `x${group}/`).join('');
  return `tile/${level}/${folders}${last}${width === TILE_WIDTH ? '' : `.p/${width}`}`;
}

const PATH = /^tile\/([0-9]{1,2})\/((?:x[0-9]{3}\/){0,5}[0-9]{3})(?:\.p\/([0-9]{1,3}))?$/;

/** The tile of a path. Throws MalformedError for every text that `tilePath` would not write. */
export function parseTilePath(path: string): Tile {
  const parts = PATH.exec(path);
  if (!parts) throw new MalformedError('a tile path is tile/<level>/<index>, and .p/<width> for a partial tile');
  const level = Number(parts[1]);
  const index = Number(parts[2]!.replaceAll(/[x/]/g, ''));
  const width = parts[3] === undefined ? TILE_WIDTH : Number(parts[3]);
  if (level > MAX_LEVEL) throw new MalformedError(`the level of a tile is 0 to ${MAX_LEVEL}`);
  if (!Number.isSafeInteger(index)) throw new MalformedError('the index of a tile is below 2^53');
  if (parts[3] !== undefined && (width < 1 || width >= TILE_WIDTH)) {
    throw new MalformedError(`the width of a partial tile is 1 to ${TILE_WIDTH - 1}`);
  }
  const tile = { level, index, width };
  if (tilePath(tile) !== path) throw new MalformedError('a tile path has no zeros that it could do without');
  return tile;
}

/** Hashes that a level of tiles has in a tree of `size` leaves. */
const hashesInLevel = (level: number, size: number): number => Math.floor(size / 2 ** (TILE_HEIGHT * level));

/** The width of a tile in a tree of `size` leaves; 0 where that tree does not have it. */
export function tileWidth(level: number, index: number, size: number): number {
  return Math.min(TILE_WIDTH, Math.max(0, hashesInLevel(level, size) - index * TILE_WIDTH));
}

/** The partial tiles of a tree of `size` leaves, from level 0 up: where it grows. At most one a level. */
export function partialTiles(size: number): Tile[] {
  const tiles: Tile[] = [];
  for (let level = 0; hashesInLevel(level, size) > 0; level++) {
    const index = Math.floor(hashesInLevel(level, size) / TILE_WIDTH);
    const width = tileWidth(level, index, size);
    if (width > 0) tiles.push({ level, index, width });
  }
  return tiles;
}

/**
 * The tiles that a tree of `to` leaves has and one of `from` does not, level by level: full ones, then the partial one.
 * From 0 these are all of its tiles, each once.
 */
export function* tilesSince(from: number, to: number): Generator<Tile> {
  if (!isTreeSize(from) || !isTreeSize(to) || from > to)
    throw new RangeError(`no tree grows from ${from} to ${to} leaves`);
  for (let level = 0; hashesInLevel(level, to) > 0; level++) {
    const before = hashesInLevel(level, from);
    const now = hashesInLevel(level, to);
    if (before === now) continue;
    for (let index = Math.floor(before / TILE_WIDTH); index * TILE_WIDTH < now; index++) {
      yield { level, index, width: tileWidth(level, index, to) };
    }
  }
}
