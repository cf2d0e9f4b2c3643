import { HASH_LENGTH, type HashReader, type LeafRange, nodeHash, nodesOf } from './merkle';
import { TILE_HEIGHT, TILE_WIDTH, type Tile, tilePath, tileWidth } from './tiles';

/** Gives the bytes of a stored tile, or undefined for one that is not there. */
export type TileReader = (tile: Tile) => Uint8Array | undefined;

/** Raised where a tile that a tree must have is missing, or is not as long as it says. */
export class TileError extends Error {
  override readonly name = 'TileError';
}

/**
 * The tiles that give the hashes over these ranges in a tree of `size` leaves, each once: at most two a level for a
 * proof, 3 to 5 for one in ten million. Whoever keeps tiles elsewhere reads them first, and proves then.
 */
export function tilesOf(ranges: readonly LeafRange[], size: number): Tile[] {
  const tiles = new Map<string, Tile>();
  for (const { level, index } of ranges.flatMap(nodesOf)) {
    const { tile } = locate(level, index, size);
    tiles.set(tilePath(tile), tile);
  }
  return [...tiles.values()];
}

/** The hashes of a tree of `size` leaves, out of its tiles. Throws TileError for what is missing or too short. */
export function hashesFromTiles(size: number, read: TileReader): HashReader {
  return (level, index) => {
    const { tile, from, count } = locate(level, index, size);
    const bytes = readTile(tile, read).subarray(from * HASH_LENGTH, (from + count) * HASH_LENGTH);
    return subtreeRoot(bytes);
  };
}

/** The bytes of a tile: `width` hashes. A partial tile may be gone once it is full, and is then its beginning. */
export function readTile(tile: Tile, read: TileReader): Uint8Array {
  const whole = { ...tile, width: TILE_WIDTH };
  const stored = read(tile);
  const bytes = stored ?? (tile.width < TILE_WIDTH ? read(whole) : undefined);
  if (!bytes) throw new TileError(`${tilePath(tile)} is missing`);
  const width = stored ? tile.width : TILE_WIDTH;
  if (bytes.length !== width * HASH_LENGTH) {
    const path = tilePath(stored ? tile : whole);
    throw new TileError(`${path} has ${bytes.length} bytes, not ${width * HASH_LENGTH}`);
  }
  return bytes.subarray(0, tile.width * HASH_LENGTH);
}

/** Where a node is found: it is the root over `count` hashes of a tile, those after its first `from`. */
function locate(level: number, index: number, size: number): { tile: Tile; from: number; count: number } {
  const tileLevel = Math.floor(level / TILE_HEIGHT);
  const count = 2 ** (level % TILE_HEIGHT);
  const tileIndex = Math.floor(index / (TILE_WIDTH / count));
  const from = (index % (TILE_WIDTH / count)) * count;
  const width = tileWidth(tileLevel, tileIndex, size);
  if (from + count > width) throw new TileError(`a tree of ${size} leaves has no node ${index} at level ${level}`);
  return { tile: { level: tileLevel, index: tileIndex, width }, from, count };
}

/** The root over hashes that stand side by side; their number is a power of two. */
export function subtreeRoot(hashes: Uint8Array): Uint8Array {
  let row: Uint8Array[] = [];
  for (let at = 0; at < hashes.length; at += HASH_LENGTH) row.push(hashes.subarray(at, at + HASH_LENGTH));
  while (row.length > 1) {
    const above: Uint8Array[] = [];
    for (let at = 0; at < row.length; at += 2) above.push(nodeHash(row[at]!, row[at + 1]!));
    row = above;
  }
  return row[0]!;
}
