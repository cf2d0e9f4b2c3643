import { webcrypto } from 'node:crypto';
import { unwrapPadded } from './aes-key-wrap';

/**
 * The wrapping of key material on its way in (AWS KMS Developer Guide, "Step 3: Encrypt the key material"): RSAES_OAEP_x
 * encrypts the material itself (RFC 8017 section 7.1, MGF1 with the same hash, no label); RSA_AES_KEY_WRAP_x encrypts an
 * ephemeral AES-256 key so, and behind that is the material under it (AES-KWP, RFC 5649), as PKCS #11's CKM_RSA_AES_KEY_WRAP.
 */
const ALGORITHMS = {
  RSAES_OAEP_SHA_1: { hash: 'SHA-1', ephemeral: false },
  RSAES_OAEP_SHA_256: { hash: 'SHA-256', ephemeral: false },
  RSA_AES_KEY_WRAP_SHA_1: { hash: 'SHA-1', ephemeral: true },
  RSA_AES_KEY_WRAP_SHA_256: { hash: 'SHA-256', ephemeral: true },
} as const;

export type WrappingAlgorithm = keyof typeof ALGORITHMS;

/** RSA keys that wrap, by their modulus in bits. */
export const WRAPPING_KEYS = { RSA_2048: 2048, RSA_3072: 3072, RSA_4096: 4096 } as const;
export type WrappingKeySpec = keyof typeof WRAPPING_KEYS;

export const isWrappingAlgorithm = (name: string): name is WrappingAlgorithm => Object.hasOwn(ALGORITHMS, name);
export const isWrappingKeySpec = (name: string): name is WrappingKeySpec => Object.hasOwn(WRAPPING_KEYS, name);

/** Whether the algorithm has an AES key between RSA and the material, so that this may be of any length. */
export const hasEphemeralKey = (algorithm: WrappingAlgorithm): boolean => ALGORITHMS[algorithm].ephemeral;

const EPHEMERAL_KEY_LENGTH = 32;
const SEMIBLOCK = 8;
const SHORTEST_WRAP = 2 * SEMIBLOCK;

/** Whether anything wrapped so can be `length` bytes long. */
export function isWrappedLength(algorithm: WrappingAlgorithm, keySpec: WrappingKeySpec, length: number): boolean {
  const behind = length - WRAPPING_KEYS[keySpec] / 8;
  return ALGORITHMS[algorithm].ephemeral ? behind >= SHORTEST_WRAP && behind % SEMIBLOCK === 0 : behind === 0;
}

/**
 * What was wrapped, which the caller zeroises; undefined where it was wrapped otherwise, whatever was wrong.
 * `privateKey`: PKCS #8 in DER. Both RSA steps are done in libuv's thread pool.
 */
export async function unwrapMaterial(
  algorithm: WrappingAlgorithm,
  keySpec: WrappingKeySpec,
  privateKey: Uint8Array,
  wrapped: Uint8Array,
): Promise<Buffer | undefined> {
  const { hash, ephemeral } = ALGORITHMS[algorithm];
  if (!isWrappedLength(algorithm, keySpec, wrapped.length)) return undefined;
  const modulusLength = WRAPPING_KEYS[keySpec] / 8;
  const opened = await openOaep(hash, privateKey, wrapped.subarray(0, modulusLength));
  if (!opened || !ephemeral) return opened;
  try {
    return opened.length === EPHEMERAL_KEY_LENGTH ? unwrapPadded(opened, wrapped.subarray(modulusLength)) : undefined;
  } finally {
    opened.fill(0);
  }
}

async function openOaep(hash: string, privateKey: Uint8Array, encrypted: Uint8Array): Promise<Buffer | undefined> {
  const { subtle } = webcrypto;
  const key = await subtle.importKey('pkcs8', privateKey, { name: 'RSA-OAEP', hash }, false, ['decrypt']);
  try {
    return Buffer.from(await subtle.decrypt({ name: 'RSA-OAEP' }, key, encrypted));
  } catch {
    // Nobody learns what was wrong with it: telling apart kinds of bad padding decrypts (Manger, Crypto 2001).
    return undefined;
  }
}
