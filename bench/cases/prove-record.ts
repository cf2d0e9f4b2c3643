import { createCipheriv } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { HASH_LENGTH, treeRoot } from '#audit-log/merkle';
import { inclusionRanges, proveInclusion } from '#audit-log/merkle-proof';
import { hashesFromTiles, type TileReader, tilesOf } from '#audit-log/tile-hashes';
import { writeTiles } from '#audit-log/tile-writer';
import { type Tile, tilePath } from '#audit-log/tiles';
import { verifyInclusion } from '#audit-log/verify-merkle-proof';
import type { Scenario } from '../case';
import { Latencies } from '../measured';

const PROVE = 'audit: prove one record of 10,000,000, from tiles on disk';

const LEAVES = 10_000_000;

/** Proofs of records far apart in a tree of 10 million leaves, each from tiles that are read anew, and each checked. */
export const proveRecord: Scenario = {
  cases: [{ name: PROVE, connections: 1 }],
  async open(processes) {
    const folder = processes.folder();
    writeTree(folder);
    const onDisk: TileReader = (tile) => readFileSync(join(folder, tilePath(tile)));
    const hashAt = hashesFromTiles(LEAVES, onDisk);
    const head = { size: LEAVES, root: treeRoot(LEAVES, hashAt) };
    return {
      [PROVE]: async (_, seconds) => {
        const latencies = new Latencies();
        const started = performance.now();
        let count = 0;
        do {
          const index = (count * 6_180_339 + 271_828) % LEAVES;
          const before = performance.now();
          const proof = proveFrom(onDisk, index);
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
function proveFrom(read: TileReader, index: number): Uint8Array[] {
  const tiles = new Map(tilesOf(inclusionRanges(index, LEAVES), LEAVES).map((tile) => [tilePath(tile), read(tile)]));
  return proveInclusion(
    index,
    LEAVES,
    hashesFromTiles(LEAVES, (tile: Tile) => tiles.get(tilePath(tile))),
  );
}

function writeTree(folder: string): void {
  for (const { tile, bytes } of writeTiles(0, () => undefined, leafHashes())) {
    const file = join(folder, tilePath(tile));
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, bytes);
  }
}

/** Bytes that look like hashes, of no record: the same in every run, and quicker than hashing. */
function* leafHashes(): Generator<Uint8Array> {
  const cipher = createCipheriv('aes-256-ctr', Buffer.alloc(32), Buffer.alloc(16));
  const zeros = Buffer.alloc(1000 * HASH_LENGTH);
  for (let from = 0; from < LEAVES; from += 1000) {
    const bytes = cipher.update(zeros);
    for (let at = 0; at < bytes.length; at += HASH_LENGTH) yield bytes.subarray(at, at + HASH_LENGTH);
  }
}
