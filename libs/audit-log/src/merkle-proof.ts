import { type HashReader, isTreeSize, type LeafRange, rangeHash, splitPoint } from './merkle';

/**
 * The leaves behind each hash of the proof that leaf `index` is in the tree of the first `size` leaves: PATH of
 * RFC 6962, section 2.1.1, from the leaf's sibling up to the child of the root. Throws RangeError for a leaf outside.
 */
export function inclusionRanges(index: number, size: number): LeafRange[] {
  if (!isTreeSize(size) || !isTreeSize(index) || index >= size) {
    throw new RangeError(`leaf ${index} is not in a tree of ${size} leaves`);
  }
  const ranges: LeafRange[] = [];
  let start = 0;
  for (let end = size; end - start > 1; ) {
    const split = start + splitPoint(end - start);
    if (index < split) {
      ranges.push({ start: split, end });
      end = split;
    } else {
      ranges.push({ start, end: split });
      start = split;
    }
  }
  return ranges.reverse();
}

/**
 * The leaves behind each hash of the proof that the tree of the first `newSize` leaves begins with that of the first
 * `oldSize`: PROOF of RFC 6962, section 2.1.2. From an empty tree, or to the same size, there is nothing to prove.
 * Throws RangeError where `oldSize` is above `newSize`.
 */
export function consistencyRanges(oldSize: number, newSize: number): LeafRange[] {
  if (!isTreeSize(oldSize) || !isTreeSize(newSize) || oldSize > newSize) {
    throw new RangeError(`a tree of ${newSize} leaves does not go on from one of ${oldSize}`);
  }
  if (oldSize === 0) return [];
  const ranges: LeafRange[] = [];
  let start = 0;
  let end = newSize;
  while (end !== oldSize) {
    const split = start + splitPoint(end - start);
    if (oldSize <= split) {
      ranges.push({ start: split, end });
      end = split;
    } else {
      ranges.push({ start, end: split });
      start = split;
    }
  }
  // Where this is the whole old tree, the verifier has its root already.
  if (start > 0) ranges.push({ start, end });
  return ranges.reverse();
}

/** The inclusion proof of leaf `index` in the tree of the first `size` leaves (RFC 6962, section 2.1.1). */
export const proveInclusion = (index: number, size: number, hashAt: HashReader): Uint8Array[] =>
  inclusionRanges(index, size).map((range) => rangeHash(range, hashAt));

/** The consistency proof from the first `oldSize` leaves to the first `newSize` (RFC 6962, section 2.1.2). */
export const proveConsistency = (oldSize: number, newSize: number, hashAt: HashReader): Uint8Array[] =>
  consistencyRanges(oldSize, newSize).map((range) => rangeHash(range, hashAt));
