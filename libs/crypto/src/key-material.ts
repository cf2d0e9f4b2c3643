import { createPrivateKey, createSecretKey, type KeyObject } from 'node:crypto';
import type { KeySpec } from '#domain/key/key-kinds';

/**
 * THE table of what a key's material is, by key spec: random bytes, from which post-quantum keys are expanded as their
 * standards say (FIPS 203 and 204: the seed is the private key), or a private key in PKCS #8 (RFC 5208), DER.
 */
type Shape = { random: number } | { rsaBits: number } | { curve: string } | { okp: 'ed25519' };

export const MATERIAL_SHAPES: Record<KeySpec, Shape> = {
  SYMMETRIC_DEFAULT: { random: 32 },
  HMAC_224: { random: 28 },
  HMAC_256: { random: 32 },
  HMAC_384: { random: 48 },
  HMAC_512: { random: 64 },
  ML_DSA_44: { random: 32 },
  ML_DSA_65: { random: 32 },
  ML_DSA_87: { random: 32 },
  ML_KEM_512: { random: 64 },
  ML_KEM_768: { random: 64 },
  ML_KEM_1024: { random: 64 },
  RSA_2048: { rsaBits: 2048 },
  RSA_3072: { rsaBits: 3072 },
  RSA_4096: { rsaBits: 4096 },
  ECC_NIST_P256: { curve: 'prime256v1' },
  ECC_NIST_P384: { curve: 'secp384r1' },
  ECC_NIST_P521: { curve: 'secp521r1' },
  ECC_SECG_P256K1: { curve: 'secp256k1' },
  SM2: { curve: 'SM2' },
  ECC_NIST_EDWARDS25519: { okp: 'ed25519' },
};

/** How many random bytes are the material; undefined where a private key is. */
export function randomMaterialLength(keySpec: KeySpec): number | undefined {
  const shape = MATERIAL_SHAPES[keySpec];
  return 'random' in shape ? shape.random : undefined;
}

/** The material, ready for use; outside the JavaScript heap. Random material is a secret key, the seed of ML-DSA and ML-KEM too. */
export function openMaterial(keySpec: KeySpec, material: Buffer): KeyObject {
  if (randomMaterialLength(keySpec) !== undefined) return createSecretKey(material);
  return createPrivateKey({ key: material, format: 'der', type: 'pkcs8' });
}
