import { type DecodeOptions, decode } from 'cbor2';
import { KmsError } from '#domain/errors';
import { invalidDocument } from './invalid-document';

export type CborMap = ReadonlyMap<string | number, unknown>;

/** No part of an attestation document is deeper. */
const MAX_DEPTH = 4;
/** Nor has more items: 32 registers, 10 authorities and 9 members, with their names, are 93. */
const MAX_ITEMS = 128;
const BYTE_STRING = 2;
const TEXT_STRING = 3;
const INDEFINITE = 31;

const STRICT: DecodeOptions = {
  maxDepth: MAX_DEPTH,
  createObject: mapOf,
  // Tags stay tags: none is turned into a date, a big number or a regular expression.
  ignoreGlobalTags: true,
  rejectBigInts: true,
  rejectFloats: true,
  rejectSimple: true,
  rejectUndefined: true,
};

/**
 * Decodes one CBOR item (RFC 8949) with nothing behind it: maps as Map, of which no key is there twice, byte strings as views of
 * `bytes`. `indefinite`: whether it may have parts of indefinite length. Throws ValidationException; `name` is how that calls it.
 */
export function decodeCbor(bytes: Uint8Array, name: string, { indefinite = false } = {}): unknown {
  assertFewItems(bytes, name);
  try {
    // Of a Buffer the parts would be Buffers, which are encoded as what toJSON makes of them.
    const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return decode(plain, { ...STRICT, rejectStreaming: !indefinite });
  } catch (error) {
    if (error instanceof KmsError) throw error;
    throw invalidDocument(`its ${name} is not well-formed CBOR`, error);
  }
}

/** Decoding takes time by the item, of which 16 KiB can hold 16,000. They are counted before, head by head. */
function assertFewItems(bytes: Uint8Array, name: string): void {
  for (let at = 0, items = 1; at < bytes.length; at += lengthOfItem(bytes, at), items++) {
    if (items > MAX_ITEMS) throw invalidDocument(`its ${name} has more than ${MAX_ITEMS} items of CBOR`);
  }
}

/** Of a string with what is in it, of anything else the head alone (RFC 8949, section 3): what it holds are items of their own. */
function lengthOfItem(bytes: Uint8Array, at: number): number {
  const [majorType, additional] = [bytes[at]! >> 5, bytes[at]! & 31];
  const more = additional < 24 || additional > 27 ? 0 : 1 << (additional - 24);
  const isString = majorType === BYTE_STRING || majorType === TEXT_STRING;
  if (!isString || additional === INDEFINITE) return 1 + more;
  let length = more === 0 ? additional : 0;
  for (const byte of bytes.subarray(at + 1, at + 1 + more)) length = length * 256 + byte;
  return 1 + more + length;
}

/** Compared as decoded: the same number in two encodings is one key. */
function mapOf(entries: readonly (readonly [unknown, unknown, ...unknown[]])[]): CborMap {
  const map = new Map<string | number, unknown>();
  for (const [key, value] of entries) {
    if (typeof key !== 'string' && typeof key !== 'number') {
      throw invalidDocument('it has a map with a key that is neither text nor an integer');
    }
    if (map.has(key)) throw invalidDocument('it has a map with a key that is there twice');
    map.set(key, value);
  }
  return map;
}
