import { createHash } from 'node:crypto';

/**
 * The Merkle tree of RFC 6962, section 2.1 (the same in RFC 9162, section 2.1.1), with SHA-256. A tree of n leaves is
 * split at the largest power of two below n, again and again; what is left are perfect subtrees, whose hashes never
 * change once they are complete. A node is one of these: `level` 0 is a leaf, and node `index` of a level spans the
 * leaves from index * 2^level on, 2^level of them.
 *
 * Sizes and indexes are safe integers: a log ends at 2^53 - 1 leaves, where its specifications allow 2^63 - 1.
 */
export interface TreeNode {
  level: number;
  index: number;
}

/** The leaves from `start` up to `end`, which is not one of them. */
export interface LeafRange {
  start: number;
  end: number;
}

/** Gives the hash of a complete node. Throws for a node that it does not have. */
export type HashReader = (level: number, index: number) => Uint8Array;

/** Bytes of a hash. */
export const HASH_LENGTH = 32;

/** Hash of a tree without leaves: SHA-256 of nothing. */
export const EMPTY_ROOT: Uint8Array = createHash('sha256').digest();

/** MTH({d}) = SHA-256(0x00 || d): no leaf can pass for a node. */
export const leafHash = (leaf: Uint8Array): Buffer => createHash('sha256').update(LEAF_PREFIX).update(leaf).digest();

/** SHA-256(0x01 || left || right). */
export function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  nodeInput.set(left, 1);
  nodeInput.set(right, 1 + HASH_LENGTH);
  return createHash('sha256').update(nodeInput).digest();
}

const LEAF_PREFIX = Buffer.of(0);
// One buffer for all nodes: most of the time of a tree goes into this function.
const nodeInput = Buffer.alloc(1 + 2 * HASH_LENGTH, 1);

/** Whether this can be the number of leaves of a tree. */
export const isTreeSize = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;

/** The largest power of two below `count`, where RFC 6962 splits that many leaves; count > 1. */
export function splitPoint(count: number): number {
  let split = 1;
  while (split * 2 < count) split *= 2;
  return split;
}

/**
 * The complete nodes that span a range, from left to right. The range must be one that trees are split into: its start
 * is a multiple of a power of two that is not below its length.
 */
export function nodesOf({ start, end }: LeafRange): TreeNode[] {
  const nodes: TreeNode[] = [];
  for (let from = start; from < end; ) {
    let level = 0;
    let width = 1;
    while (width * 2 <= end - from) {
      width *= 2;
      level++;
    }
    nodes.push({ level, index: from / width });
    from += width;
  }
  return nodes;
}

/** MTH of a range as `nodesOf` takes it. */
export const rangeHash = (range: LeafRange, hashAt: HashReader): Uint8Array =>
  foldRight(nodesOf(range).map(({ level, index }) => hashAt(level, index)));

/** The root of the tree of the first `size` leaves. */
export const treeRoot = (size: number, hashAt: HashReader): Uint8Array => rangeHash({ start: 0, end: size }, hashAt);

/** The hash over complete nodes that stand side by side, each smaller than the one before it. */
function foldRight(hashes: readonly Uint8Array[]): Uint8Array {
  if (hashes.length === 0) return EMPTY_ROOT;
  return hashes.reduceRight((right, left) => nodeHash(left, right));
}

/**
 * A tree that grows at its right edge and keeps only what it needs for that: the nodes of `nodesOf` the whole tree, at
 * most 53 hashes (a compact range from 0).
 */
export class CompactTree {
  private readonly edge: Uint8Array[];
  private leaves: number;

  /** Goes on where a tree of `size` leaves was left, whose `hashes` were kept. */
  constructor(size = 0, hashes: readonly Uint8Array[] = []) {
    if (!isTreeSize(size)) throw new RangeError('the size of a tree is a whole number from 0 to 2^53 - 1');
    const nodes = nodesOf({ start: 0, end: size }).length;
    if (hashes.length !== nodes || hashes.some(({ length }) => length !== HASH_LENGTH)) {
      throw new RangeError(`a tree of ${size} leaves goes on from ${nodes} hashes of ${HASH_LENGTH} bytes`);
    }
    this.leaves = size;
    this.edge = [...hashes];
  }

  get size(): number {
    return this.leaves;
  }

  /** What the constructor takes to go on from here. */
  get hashes(): readonly Uint8Array[] {
    return [...this.edge];
  }

  append(leaf: Uint8Array): void {
    if (leaf.length !== HASH_LENGTH) throw new RangeError(`the hash of a leaf has ${HASH_LENGTH} bytes`);
    this.edge.push(Buffer.from(leaf));
    for (let nodes = this.leaves; nodes % 2 === 1; nodes = Math.floor(nodes / 2)) {
      const right = this.edge.pop()!;
      this.edge.push(nodeHash(this.edge.pop()!, right));
    }
    this.leaves++;
  }

  root(): Uint8Array {
    return foldRight(this.edge);
  }
}
