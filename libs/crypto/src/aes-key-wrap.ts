import { createDecipheriv } from 'node:crypto';

/** RFC 5649 section 3: the alternative initial value of AES key wrap with padding. */
const INITIAL_VALUE = Buffer.from('a65959a6', 'hex');

const CIPHERS = new Map([
  [16, 'id-aes128-wrap-pad'],
  [24, 'id-aes192-wrap-pad'],
  [32, 'id-aes256-wrap-pad'],
]);

/** Two semiblocks: nothing is wrapped into less. */
const SHORTEST = 16;

/**
 * AES key wrap with padding (RFC 5649, AES-KWP of SP 800-38F): what is wrapped under `key` (16, 24 or 32 bytes), which the
 * caller zeroises; undefined where integrity check, length or padding do not fit.
 */
export function unwrapPadded(key: Uint8Array, wrapped: Uint8Array): Buffer | undefined {
  const cipher = CIPHERS.get(key.length);
  if (!cipher || wrapped.length < SHORTEST || wrapped.length % 8 !== 0) return undefined;
  const decipher = createDecipheriv(cipher, key, INITIAL_VALUE);
  try {
    // Unwrapping is one step: OpenSSL gives all of it, or an error, here.
    const unwrapped = decipher.update(wrapped);
    decipher.final();
    return unwrapped;
  } catch {
    return undefined;
  }
}
