import { createHash } from 'node:crypto';
import { EMPTY_ROOT, type HashReader, leafHash } from './merkle';

/** What RFC 6962, section 2.1, says, word for word and without a shortcut: tests hold everything else against it. */
export function naiveRoot(leafHashes: readonly Uint8Array[]): Uint8Array {
  const count = leafHashes.length;
  if (count === 0) return EMPTY_ROOT;
  if (count === 1) return leafHashes[0]!;
  const split = 2 ** Math.ceil(Math.log2(count) - 1);
  return sha256(Buffer.of(1), naiveRoot(leafHashes.slice(0, split)), naiveRoot(leafHashes.slice(split)));
}

const sha256 = (...parts: Uint8Array[]): Buffer => createHash('sha256').update(Buffer.concat(parts)).digest();

/** The complete nodes over these leaves, kept in memory; throws for a node that is not complete. */
export function hashesOf(leafHashes: readonly Uint8Array[]): HashReader {
  const levels = [leafHashes];
  while (levels.at(-1)!.length > 1) {
    const below = levels.at(-1)!;
    const pairs = Array.from({ length: Math.floor(below.length / 2) }, (_, at) => below.slice(at * 2, at * 2 + 2));
    levels.push(pairs.map(([left, right]) => sha256(Buffer.of(1), left!, right!)));
  }
  return (level, index) => {
    const hash = levels[level]?.[index];
    if (!hash) throw new RangeError(`no node ${index} at level ${level}`);
    return hash;
  };
}

/** As many leaves, no two alike. */
export const leafHashes = (count: number): Buffer[] =>
  Array.from({ length: count }, (_, at) => leafHash(Buffer.from(`leaf ${at}`)));

/** The same bytes, with one bit the other way round. */
export function flipBit(bytes: Uint8Array, bit: number): Buffer {
  const flipped = Buffer.from(bytes);
  flipped[Math.floor(bit / 8)]! ^= 1 << (bit % 8);
  return flipped;
}
