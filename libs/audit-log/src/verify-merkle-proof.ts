import { EMPTY_ROOT, HASH_LENGTH, isTreeSize, nodeHash } from './merkle';
import { NotProvedError } from './proof-errors';

/** The root hash of the tree of the first `size` leaves. */
export interface TreeHead {
  size: number;
  root: Uint8Array;
}

/**
 * Checks that the leaf of this hash is leaf `index` of the tree (RFC 9162, section 2.1.3.2). Throws NotProvedError,
 * whatever it is given.
 *
 * A proof says nothing of `size` beyond the shape of its path: that size and root belong together is what the signature
 * of a checkpoint says.
 */
export function verifyInclusion(head: TreeHead, index: number, leaf: Uint8Array, proof: readonly Uint8Array[]): void {
  checkHead('tree', head);
  if (!isTreeSize(index) || index >= head.size) {
    throw new NotProvedError(`leaf ${index} is not in a tree of ${head.size} leaves`);
  }
  checkHash('the hash of the leaf', leaf);
  proof.forEach((hash, at) => {
    checkHash(`hash ${at} of the proof`, hash);
  });
  let node = index;
  let last = head.size - 1;
  let hash = leaf;
  for (const sibling of proof) {
    if (last === 0) throw new NotProvedError('the inclusion proof is too long');
    if (isOdd(node) || node === last) {
      hash = nodeHash(sibling, hash);
      [node, last] = skipLoneNodes(node, last);
    } else {
      hash = nodeHash(hash, sibling);
    }
    node = half(node);
    last = half(last);
  }
  if (last !== 0) throw new NotProvedError('the inclusion proof is too short');
  if (!isSame(hash, head.root)) {
    throw new NotProvedError(`the inclusion proof of leaf ${index} leads to another root than that of the tree`);
  }
}

/**
 * Checks that the new tree begins with all that the old one had, in the same order (RFC 9162, section 2.1.4.2). Throws
 * NotProvedError, whatever it is given. An empty tree is consistent with every other, and proves nothing.
 */
export function verifyConsistency(older: TreeHead, newer: TreeHead, proof: readonly Uint8Array[]): void {
  checkHead('older tree', older);
  checkHead('newer tree', newer);
  proof.forEach((hash, at) => {
    checkHash(`hash ${at} of the proof`, hash);
  });
  if (older.size > newer.size) {
    throw new NotProvedError(`a tree of ${newer.size} leaves does not go on from one of ${older.size}`);
  }
  if (older.size === 0 || older.size === newer.size) {
    if (proof.length > 0) throw new NotProvedError('the consistency proof is too long');
    if (older.size !== 0 && !isSame(older.root, newer.root)) {
      throw new NotProvedError(`two trees of ${older.size} leaves have different roots`);
    }
    return;
  }
  if (proof.length === 0) throw new NotProvedError('the consistency proof is too short');
  const [first, ...rest] = isPowerOfTwo(older.size) ? [older.root, ...proof] : proof;
  let node = older.size - 1;
  let last = newer.size - 1;
  while (isOdd(node)) {
    node = half(node);
    last = half(last);
  }
  let oldHash = first!;
  let newHash = first!;
  for (const sibling of rest) {
    if (last === 0) throw new NotProvedError('the consistency proof is too long');
    if (isOdd(node) || node === last) {
      oldHash = nodeHash(sibling, oldHash);
      newHash = nodeHash(sibling, newHash);
      [node, last] = skipLoneNodes(node, last);
    } else {
      newHash = nodeHash(newHash, sibling);
    }
    node = half(node);
    last = half(last);
  }
  if (last !== 0) throw new NotProvedError('the consistency proof is too short');
  if (!isSame(oldHash, older.root)) {
    throw new NotProvedError(`the consistency proof leads to another root than that of the older tree`);
  }
  if (!isSame(newHash, newer.root)) {
    throw new NotProvedError(`the consistency proof leads to another root than that of the newer tree`);
  }
}

/** Up to the level at which this node, the last one, has a left sibling; or to the top. */
function skipLoneNodes(node: number, last: number): [number, number] {
  let [up, end] = [node, last];
  while (!isOdd(up) && up !== 0) {
    up = half(up);
    end = half(end);
  }
  return [up, end];
}

function checkHead(name: string, { size, root }: TreeHead): void {
  if (!isTreeSize(size)) throw new NotProvedError(`the size of the ${name} is no whole number from 0 to 2^53 - 1`);
  checkHash(`the root of the ${name}`, root);
  if (size === 0 && !isSame(root, EMPTY_ROOT)) {
    throw new NotProvedError(`the ${name} is empty, and its root is not that of an empty tree`);
  }
}

function checkHash(name: string, hash: Uint8Array): void {
  if (hash.length !== HASH_LENGTH) throw new NotProvedError(`${name} has ${hash.length} bytes, not ${HASH_LENGTH}`);
}

// Not by shifts: they would cut a number to 32 bits.
const half = (value: number): number => Math.floor(value / 2);
const isOdd = (value: number): boolean => value % 2 === 1;

function isPowerOfTwo(value: number): boolean {
  let rest = value;
  while (rest > 1 && !isOdd(rest)) rest = half(rest);
  return rest === 1;
}

// Roots are public: how long a comparison takes tells nobody anything.
const isSame = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
