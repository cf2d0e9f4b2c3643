import fc from 'fast-check';
import { HASH_LENGTH, treeRoot } from './merkle';
import { consistencyRanges, inclusionRanges, proveConsistency, proveInclusion } from './merkle-proof';
import { hashesOf, leafHashes, naiveRoot } from './reference-tree.suite';
import { hashesFromTiles, TileError, type TileReader, tilesOf } from './tile-hashes';
import { writeTiles } from './tile-writer';
import { tilePath, tilesSince } from './tiles';
import { verifyConsistency, verifyInclusion } from './verify-merkle-proof';

/** Tiles by their paths, and which of them were read. */
class Store {
  readonly tiles = new Map<string, Buffer>();
  readonly asked: string[] = [];

  readonly read: TileReader = (tile) => {
    this.asked.push(tilePath(tile));
    return this.tiles.get(tilePath(tile));
  };

  append(size: number, leaves: Iterable<Uint8Array>): void {
    for (const { tile, bytes } of writeTiles(size, this.read, leaves)) {
      expect(this.tiles.has(tilePath(tile))).toBe(false);
      expect(bytes).toHaveLength(tile.width * HASH_LENGTH);
      this.tiles.set(tilePath(tile), bytes);
    }
  }
}

const LEAVES = leafHashes(70_000);
const hex = (hash: Uint8Array): string => Buffer.from(hash).toString('hex');

function storeOf(size: number): Store {
  const store = new Store();
  store.append(0, LEAVES.slice(0, size));
  return store;
}

describe('tiles', () => {
  it('give the root of the definition at each size to 600, written leaf by leaf', () => {
    const store = new Store();
    for (let size = 0; size <= 600; size++) {
      expect(hex(treeRoot(size, hashesFromTiles(size, store.read)))).toBe(hex(naiveRoot(LEAVES.slice(0, size))));
      store.append(size, LEAVES.slice(size, size + 1));
    }
  });

  it('are those that a tree of their size has, with the hashes that belong there', () => {
    const store = storeOf(70_000);
    expect([...store.tiles.keys()].sort()).toEqual([...tilesSince(0, 70_000)].map(tilePath).sort());
    const nodes = hashesOf(LEAVES);
    for (const { level, index, width } of tilesSince(0, 70_000)) {
      const bytes = store.tiles.get(tilePath({ level, index, width }))!;
      for (let at = 0; at < width; at += 1) {
        const hash = bytes.subarray(at * HASH_LENGTH, (at + 1) * HASH_LENGTH);
        if (!hash.equals(nodes(level * 8, index * 256 + at)))
          throw new Error(`hash ${at} of ${level}/${index} is wrong`);
      }
    }
  });

  it('are the same however the leaves are cut', () => {
    const cuts = fc.array(fc.integer({ min: 1, max: 700 }), { maxLength: 6 });
    const sizes = fc.oneof(fc.nat(1500), fc.integer({ min: 64_500, max: 65_800 }));
    fc.assert(
      fc.property(sizes, cuts, (from, steps) => {
        const store = storeOf(from);
        let size = from;
        for (const step of steps) {
          store.append(size, LEAVES.slice(size, size + step));
          size += step;
        }
        const atOnce = storeOf(size);
        for (const [path, bytes] of atOnce.tiles) {
          if (!store.tiles.get(path)?.equals(bytes)) throw new Error(`${path} differs`);
        }
      }),
      { numRuns: 12 },
    );
  });

  it('go on behind a last one that is full, at every level', () => {
    for (const from of [256, 512, 65_280, 65_536]) {
      const [store, atOnce] = [storeOf(from), storeOf(from + 600)];
      store.append(from, LEAVES.slice(from, from + 600));
      for (const [path, bytes] of atOnce.tiles) {
        if (!store.tiles.get(path)?.equals(bytes)) throw new Error(`${path} differs`);
      }
    }
  });

  it('are read from the partial ones alone when the tree grows', () => {
    const store = storeOf(66_000);
    store.asked.length = 0;
    store.append(66_000, LEAVES.slice(66_000, 67_000));
    expect(store.asked).toEqual(['tile/0/257.p/208', 'tile/1/001.p/1', 'tile/2/000.p/1']);
  });

  it('prove any leaf, and any older tree, from a handful of them that are known beforehand', () => {
    const store = storeOf(70_000);
    const newer = { size: 70_000, root: treeRoot(70_000, hashesFromTiles(70_000, store.read)) };
    fc.assert(
      fc.property(fc.nat(69_999), (at) => {
        const inclusion = tilesOf(inclusionRanges(at, 70_000), 70_000).map(tilePath);
        const consistency = tilesOf(consistencyRanges(at + 1, 70_000), 70_000).map(tilePath);
        for (const paths of [inclusion, consistency]) expect(paths.length).toBeLessThanOrEqual(5);
        const readOnly = (paths: string[]) =>
          hashesFromTiles(70_000, (tile) => (paths.includes(tilePath(tile)) ? store.read(tile) : undefined));
        verifyInclusion(newer, at, LEAVES[at]!, proveInclusion(at, 70_000, readOnly(inclusion)));
        const older = { size: at + 1, root: treeRoot(at + 1, hashesFromTiles(70_000, store.read)) };
        verifyConsistency(older, newer, proveConsistency(at + 1, 70_000, readOnly(consistency)));
      }),
      { numRuns: 200 },
    );
  });

  it('that are partial may be gone once they are full', () => {
    const store = storeOf(300);
    store.append(300, LEAVES.slice(300, 600));
    expect(store.tiles.delete('tile/0/001.p/44')).toBe(true);
    expect(hex(treeRoot(300, hashesFromTiles(300, store.read)))).toBe(hex(naiveRoot(LEAVES.slice(0, 300))));
  });

  it('that are missing, too short or too long are named', () => {
    const store = storeOf(300);
    const root = () => treeRoot(300, hashesFromTiles(300, store.read));
    const whole = store.tiles.get('tile/0/001.p/44')!;
    store.tiles.set('tile/0/001.p/44', whole.subarray(1));
    expect(root).toThrow(new TileError('tile/0/001.p/44 has 1407 bytes, not 1408'));
    store.tiles.set('tile/0/001.p/44', Buffer.concat([whole, whole]));
    expect(root).toThrow(new TileError('tile/0/001.p/44 has 2816 bytes, not 1408'));
    store.tiles.delete('tile/0/001.p/44');
    expect(root).toThrow(new TileError('tile/0/001.p/44 is missing'));
    store.tiles.set('tile/0/001', whole);
    expect(root).toThrow(new TileError('tile/0/001 has 1408 bytes, not 8192'));
    expect(() => [...writeTiles(300, store.read, [])]).toThrow(TileError);
  });

  it('hold no node that the tree does not have', () => {
    const hashAt = hashesFromTiles(300, storeOf(300).read);
    expect(hex(hashAt(0, 299))).toBe(hex(LEAVES[299]!));
    expect(() => hashAt(0, 300)).toThrow('a tree of 300 leaves has no node 300 at level 0');
    expect(() => hashAt(9, 0)).toThrow(TileError);
    expect(() => [...writeTiles(0, () => undefined, [Buffer.alloc(31)])]).toThrow('the hash of a leaf has 32 bytes');
    expect(() => [...writeTiles(-1, () => undefined, [])]).toThrow(RangeError);
  });
});
