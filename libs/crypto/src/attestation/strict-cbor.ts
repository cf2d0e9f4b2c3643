import { type DecodeOptions, decode } from 'cbor2';
import { KmsError } from '#domain/errors';
import { invalidDocument } from './invalid-document';

export type CborMap = ReadonlyMap<string | number, unknown>;

/** No part of an attestation document is deeper. */
const MAX_DEPTH = 4;

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
  try {
    // Of a Buffer the parts would be Buffers, which are encoded as what toJSON makes of them.
    const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return decode(plain, { ...STRICT, rejectStreaming: !indefinite });
  } catch (error) {
    if (error instanceof KmsError) throw error;
    throw invalidDocument(`its ${name} is not well-formed CBOR`, error);
  }
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
