import { constants, type KeyObject, privateEncrypt, publicDecrypt } from 'node:crypto';
import { digestInfo, encodePss, isPssOf, type RsaHash } from './emsa';

/** RSASSA-PKCS1-v1_5 or RSASSA-PSS of RFC 8017, the latter with MGF1 over the same hash and a salt as long as the digest. */
export interface RsaScheme {
  padding: 'PKCS1_V1_5' | 'PSS';
  hash: RsaHash;
}

/**
 * Over a digest that is given. node:crypto's `sign` always hashes: this is the private operation on what RFC 8017 has it
 * sign, with OpenSSL's own padding where it has that. Blocks: for a worker thread.
 */
export function signDigest({ padding, hash }: RsaScheme, key: KeyObject, digest: Uint8Array): Buffer {
  if (padding === 'PKCS1_V1_5') {
    return privateEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, digestInfo(hash, digest));
  }
  return privateEncrypt({ key, padding: constants.RSA_NO_PADDING }, encodePss(hash, digest, modulusLength(key)));
}

export function verifyDigest(
  { padding, hash }: RsaScheme,
  key: KeyObject,
  digest: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (signature.length !== modulusLength(key)) return false;
  const pkcs1 = padding === 'PKCS1_V1_5';
  const recovered = recover(key, pkcs1 ? constants.RSA_PKCS1_PADDING : constants.RSA_NO_PADDING, signature);
  if (!recovered) return false;
  // Compared whole, with what is signed: what parses it leniently can be made to take what nobody signed.
  return pkcs1 ? recovered.equals(digestInfo(hash, digest)) : isPssOf(hash, digest, recovered);
}

/** Undefined where it is not padded so, or is no number below the modulus. */
function recover(key: KeyObject, padding: number, signature: Uint8Array): Buffer | undefined {
  try {
    return publicDecrypt({ key, padding }, signature);
  } catch {
    return undefined;
  }
}

const modulusLength = ({ asymmetricKeyDetails }: KeyObject): number =>
  Math.ceil((asymmetricKeyDetails?.modulusLength ?? 0) / 8);
