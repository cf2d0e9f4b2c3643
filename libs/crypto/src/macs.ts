import { createHmac, type KeyObject, timingSafeEqual } from 'node:crypto';

/**
 * Hash functions of the MAC algorithms of AWS KMS, in the order in which AWS lists them: HMAC of RFC 2104 and FIPS 198-1, never
 * truncated.
 */
const HASHES = {
  HMAC_SHA_384: 'sha384',
  HMAC_SHA_256: 'sha256',
  HMAC_SHA_224: 'sha224',
  HMAC_SHA_512: 'sha512',
} as const;

export type MacAlgorithm = keyof typeof HASHES;
export const MAC_ALGORITHMS = Object.keys(HASHES) as MacAlgorithm[];

export const generateMac = (algorithm: MacAlgorithm, key: KeyObject, message: Uint8Array): Buffer =>
  createHmac(HASHES[algorithm], key).update(message).digest();

/** Takes as long for a MAC that differs early as for one that differs late. */
export function isMacOf(algorithm: MacAlgorithm, key: KeyObject, message: Uint8Array, mac: Uint8Array): boolean {
  const expected = generateMac(algorithm, key, message);
  return mac.length === expected.length && timingSafeEqual(mac, expected);
}
