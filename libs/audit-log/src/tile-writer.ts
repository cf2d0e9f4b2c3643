import { HASH_LENGTH, isTreeSize } from './merkle';
import { readTile, subtreeRoot, type TileReader } from './tile-hashes';
import { partialTiles, TILE_WIDTH, type Tile, tileWidth } from './tiles';

export interface StoredTile {
  tile: Tile;
  bytes: Buffer;
}

/** The last tile of a level, as far as it is filled. */
interface GrowingTile {
  index: number;
  width: number;
  bytes: Buffer;
}

/**
 * The tiles that come into being when leaves are appended to a tree of `size` leaves, whose partial tiles `read` gives:
 * full ones as they fill up, a tile always after those below it, then the partial ones that are new. They do not depend
 * on how the leaves are cut into calls, save for which partial tiles there are.
 *
 * After a crash between two of these tiles the same call makes the same tiles again: it reads nothing that it writes.
 */
export function* writeTiles(
  size: number,
  read: TileReader,
  leafHashes: Iterable<Uint8Array>,
): Generator<StoredTile, number> {
  if (!isTreeSize(size)) throw new RangeError('the size of a tree is a whole number from 0 to 2^53 - 1');
  const growing: GrowingTile[] = [];
  for (const tile of partialTiles(size)) growing[tile.level] = grown(tile, readTile(tile, read));
  let now = size;
  for (const leaf of leafHashes) {
    if (leaf.length !== HASH_LENGTH) throw new RangeError(`the hash of a leaf has ${HASH_LENGTH} bytes`);
    let hash = leaf;
    for (let level = 0; ; level++) {
      growing[level] ??= empty(Math.floor(now / TILE_WIDTH ** (level + 1)));
      const tile = growing[level]!;
      tile.bytes.set(hash, tile.width * HASH_LENGTH);
      tile.width++;
      if (tile.width < TILE_WIDTH) break;
      yield { tile: { level, index: tile.index, width: TILE_WIDTH }, bytes: tile.bytes };
      hash = subtreeRoot(tile.bytes);
      growing[level] = empty(tile.index + 1);
    }
    now++;
  }
  for (const tile of partialTiles(now)) {
    if (tileWidth(tile.level, tile.index, size) === tile.width) continue;
    yield { tile, bytes: Buffer.from(growing[tile.level]!.bytes.subarray(0, tile.width * HASH_LENGTH)) };
  }
  return now;
}

function grown({ index, width }: Tile, hashes: Uint8Array): GrowingTile {
  const tile = { ...empty(index), width };
  tile.bytes.set(hashes);
  return tile;
}

const empty = (index: number): GrowingTile => ({ index, width: 0, bytes: Buffer.alloc(TILE_WIDTH * HASH_LENGTH) });
