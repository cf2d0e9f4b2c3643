import { KmsError } from '#domain/errors';

/** A context without pairs: the count 0. Shared; never write to it. */
const EMPTY_CONTEXT = Buffer.alloc(4);
/** With the u flag only a surrogate without its partner matches. */
const LONE_SURROGATE = /\p{Surrogate}/u;

/**
 * The bytes that bind an encryption context to a ciphertext: the number of pairs, then name and value of each, ordered
 * by the UTF-8 bytes of the name; every number and length is 4 bytes, big endian. Lengths make it injective: without
 * them {a: 'bc'} and {ab: 'c'} would be the same bytes. Absent and empty contexts are the same, as in AWS KMS.
 *
 * Throws ValidationException for a lone surrogate: UTF-8 has no bytes for it, so two texts would become one.
 */
export function canonicalContext(context: Readonly<Record<string, string>> | undefined): Buffer {
  if (context === undefined) return EMPTY_CONTEXT;
  const names = Object.keys(context);
  if (names.length === 0) return EMPTY_CONTEXT;

  const pairs = names.map((name) => ({ name: utf8(name), value: utf8(context[name]!) }));
  if (pairs.length > 1) pairs.sort((a, b) => Buffer.compare(a.name, b.name));

  const length = pairs.reduce((sum, { name, value }) => sum + 8 + name.length + value.length, 4);
  const bytes = Buffer.allocUnsafe(length);
  let offset = bytes.writeUInt32BE(pairs.length, 0);
  for (const { name, value } of pairs) {
    offset = appendText(bytes, offset, name);
    offset = appendText(bytes, offset, value);
  }
  return bytes;
}

function appendText(bytes: Buffer, offset: number, text: Buffer): number {
  const start = bytes.writeUInt32BE(text.length, offset);
  return start + text.copy(bytes, start);
}

function utf8(text: string): Buffer {
  assertWellFormed(text);
  return Buffer.from(text, 'utf8');
}

/** Throws ValidationException for a name or value of a context that has a lone surrogate. */
export function assertWellFormed(text: string): void {
  if (LONE_SURROGATE.test(text)) {
    throw new KmsError('ValidationException', 'Encryption context names and values must be well-formed Unicode text.');
  }
}
