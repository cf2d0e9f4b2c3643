import { createCipheriv } from 'node:crypto';
import { HASH_LENGTH, treeRoot } from '#audit-log/merkle';
import { inclusionRanges, proveInclusion } from '#audit-log/merkle-proof';
import { hashesFromTiles, type TileReader, tilesOf } from '#audit-log/tile-hashes';
import { writeTiles } from '#audit-log/tile-writer';
import { TILE_WIDTH, type Tile, tilePath } from '#audit-log/tiles';
import { verifyInclusion } from '#audit-log/verify-merkle-proof';
import type { Scenario } from '../case';
import { Latencies } from '../measured';

const PROVE = 'audit: prove one record of 10,000,000';

const LEAVES = 10_000_000;

/**
 * Proofs of records far apart in a tree of 10 million leaves, from tiles that are at hand; each is checked, outside of what
 * is measured. The leaves are a key stream, so that a tile of them can be made when it is read; those above are kept.
 */
export const proveRecord: Scenario = {
  cases: [{ name: PROVE, connections: 1 }],
  onlyByName: true,
  async open() {
    const above = new Map<string, Uint8Array>();
    for (const { tile, bytes } of writeTiles(0, () => undefined, leaves())) {
      if (tile.level > 0) above.set(tilePath(tile), bytes);
    }
    const read: TileReader = (tile) => (tile.level === 0 ? leafTile(tile) : above.get(tilePath(tile)));
    const hashAt = hashesFromTiles(LEAVES, read);
    const head = { size: LEAVES, root: treeRoot(LEAVES, hashAt) };
    return {
      [PROVE]: async (_, seconds) => {
        const latencies = new Latencies();
        const started = performance.now();
        let count = 0;
        do {
          const index = (count * 6_180_339 + 271_828) % LEAVES;
          const before = performance.now();
          const proof = prove(index, read);
          latencies.add(performance.now() - before);
          verifyInclusion(head, index, hashAt(0, index), proof);
          count++;
        } while (performance.now() < started + seconds * 1000);
        return { perSecond: (count * 1000) / (performance.now() - started), ...latencies.percentiles };
      },
    };
  },
};

/** What serving a proof does: the tiles that it takes, each read once, then the hashes. */
function prove(index: number, read: TileReader): Uint8Array[] {
  const tiles = new Map(tilesOf(inclusionRanges(index, LEAVES), LEAVES).map((tile) => [tilePath(tile), read(tile)]));
  const fromThese = hashesFromTiles(LEAVES, (tile) => tiles.get(tilePath(tile)));
  return proveInclusion(index, LEAVES, fromThese);
}

const ZEROS = Buffer.alloc(TILE_WIDTH * HASH_LENGTH);
const AES_BLOCK = 16;

function leafTile({ index, width }: Tile): Uint8Array {
  const counter = Buffer.alloc(AES_BLOCK);
  counter.writeBigUInt64BE(BigInt((index * ZEROS.length) / AES_BLOCK), AES_BLOCK / 2);
  const cipher = createCipheriv('aes-256-ctr', Buffer.alloc(32), counter);
  return cipher.update(ZEROS.subarray(0, width * HASH_LENGTH));
}

function* leaves(): Generator<Uint8Array> {
  for (let from = 0; from < LEAVES; from += TILE_WIDTH) {
    const width = Math.min(TILE_WIDTH, LEAVES - from);
    const bytes = leafTile({ level: 0, index: from / TILE_WIDTH, width });
    for (let at = 0; at < bytes.length; at += HASH_LENGTH) yield bytes.subarray(at, at + HASH_LENGTH);
  }
}
