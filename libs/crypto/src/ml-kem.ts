import { ml_kem512, ml_kem768, ml_kem1024 } from '@noble/post-quantum/ml-kem.js';
import { der, INTEGER, OCTET_STRING, SEQUENCE } from './der';

/** Sizes in bytes: FIPS 203, section 8. `oid`: the last number of the object identifier, RFC 9935, section 3. */
const SCHEMES = {
  ML_KEM_512: { scheme: ml_kem512, oid: 1, publicKey: 800, ciphertext: 768 },
  ML_KEM_768: { scheme: ml_kem768, oid: 2, publicKey: 1184, ciphertext: 1088 },
  ML_KEM_1024: { scheme: ml_kem1024, oid: 3, publicKey: 1568, ciphertext: 1568 },
} as const;

export type MlKemSpec = keyof typeof SCHEMES;

export const isMlKem = (keySpec: string): keySpec is MlKemSpec => Object.hasOwn(SCHEMES, keySpec);

/** d || z, what a private key is kept as. */
export const ML_KEM_SEED_LENGTH = 64;

/** Of randomness that one encapsulation needs. */
export const ML_KEM_MESSAGE_LENGTH = 32;

/** Of the encapsulated form of a shared secret. */
export const mlKemCiphertextLength = (keySpec: MlKemSpec): number => SCHEMES[keySpec].ciphertext;

export interface Encapsulated {
  /** 32 bytes, which the caller zeroises. */
  sharedSecret: Uint8Array;
  ciphertext: Uint8Array;
}

/**
 * ML-KEM.Encaps_internal. `publicKey`: the raw one, or a SubjectPublicKeyInfo, which ends with it; `message`: fresh random
 * bytes. Throws for what is no public key of the parameter set.
 */
export function mlKemEncapsulate(keySpec: MlKemSpec, publicKey: Uint8Array, message: Uint8Array): Encapsulated {
  const { scheme, publicKey: length } = SCHEMES[keySpec];
  const { cipherText, sharedSecret } = scheme.encapsulate(publicKey.subarray(-length), message);
  return { ciphertext: cipherText, sharedSecret };
}

/**
 * ML-KEM.Decaps_internal under the private key of a seed, d || z: 32 bytes, which the caller zeroises. A ciphertext that was
 * not made with the public key gives other, random-looking bytes (implicit rejection). Throws RangeError for a wrong length.
 */
export function mlKemDecapsulate(keySpec: MlKemSpec, seed: Uint8Array, ciphertext: Uint8Array): Uint8Array {
  const { scheme, ciphertext: length } = SCHEMES[keySpec];
  if (ciphertext.length !== length) throw new RangeError(`a ciphertext of ${keySpec} has ${length} bytes`);
  const { secretKey } = scheme.keygen(seed);
  try {
    return scheme.decapsulate(ciphertext, secretKey);
  } finally {
    secretKey.fill(0);
  }
}

/** The tag of the choice `seed` of a private key. */
const SEED = 0x80;

/** A private key in PKCS #8, as its seed: RFC 9935, section 6. The caller zeroises it, and the seed. */
export function mlKemPrivateKey(keySpec: MlKemSpec, seed: Uint8Array): Buffer {
  const choice = der(SEED, seed);
  const octets = der(OCTET_STRING, choice);
  const algorithm = der(SEQUENCE, Buffer.from(`060960864801650304040${SCHEMES[keySpec].oid}`, 'hex'));
  const privateKey = der(SEQUENCE, der(INTEGER, Buffer.of(0)), algorithm, octets);
  for (const copy of [choice, octets]) copy.fill(0);
  return privateKey;
}
