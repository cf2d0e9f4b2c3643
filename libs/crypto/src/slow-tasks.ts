import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { ml_dsa44, ml_dsa65, ml_dsa87 } from '@noble/post-quantum/ml-dsa.js';
import { ml_kem512, ml_kem768, ml_kem1024 } from '@noble/post-quantum/ml-kem.js';
import type { KeySpec } from '#domain/key/key-kinds';
import { type AgreementSpec, sharedSecret } from './ecdh';
import { type Encapsulated, ML_KEM_MESSAGE_LENGTH, type MlKemSpec, mlKemDecapsulate, mlKemEncapsulate } from './ml-kem';
import { type SigningJob, sign, type VerifyingJob, verify } from './signing/signatures';
import { privateScalar } from './sm2-curve';
import { decryptSm2, encryptSm2, SM2_RANDOM_LENGTH } from './sm2-encryption';

const EXPANDED_FROM_SEED = {
  ML_DSA_44: ml_dsa44,
  ML_DSA_65: ml_dsa65,
  ML_DSA_87: ml_dsa87,
  ML_KEM_512: ml_kem512,
  ML_KEM_768: ml_kem768,
  ML_KEM_1024: ml_kem1024,
} as const satisfies Partial<Record<KeySpec, object>>;

export type SeedKeySpec = keyof typeof EXPANDED_FROM_SEED;

/** The key pair that a seed stands for; its secret half is to be zeroised by the caller. */
function expanded(keySpec: KeySpec, seed: KeyObject): { publicKey: Uint8Array; secretKey: Uint8Array } {
  const bytes = seed.export();
  try {
    return EXPANDED_FROM_SEED[keySpec as SeedKeySpec].keygen(bytes);
  } finally {
    bytes.fill(0);
  }
}

/**
 * THE table of what worker threads do: functions that take milliseconds, or seconds, and keep nothing. Arguments and results are
 * cloned, and keys travel as KeyObjects, so that no thread but the worker's ever has their bytes. What was cloned of a
 * message is zeroised here.
 */
export const SLOW_TASKS = {
  /** A new key pair: PKCS #8 and SubjectPublicKeyInfo. `bits`: of its modulus. */
  generateRsa(bits: number): { publicKey: Uint8Array; privateKey: Uint8Array } {
    return generateKeyPairSync('rsa', {
      modulusLength: bits,
      privateKeyEncoding: { type: 'pkcs8', format: 'der' },
      publicKeyEncoding: { type: 'spki', format: 'der' },
    });
  },

  /** The raw public key. */
  publicKeyOfSeed(keySpec: KeySpec, seed: KeyObject): Uint8Array {
    const { publicKey, secretKey } = expanded(keySpec, seed);
    secretKey.fill(0);
    return publicKey;
  },

  sign(job: SigningJob): Uint8Array {
    try {
      return sign(job);
    } finally {
      job.message.fill(0);
    }
  },

  verify(job: VerifyingJob): boolean {
    try {
      return verify(job);
    } finally {
      job.message.fill(0);
    }
  },

  /** The shared secret. */
  agree(keySpec: AgreementSpec, key: KeyObject, peer: KeyObject): Uint8Array {
    return sharedSecret(keySpec, key, peer);
  },

  /** A fresh shared secret and its encapsulated form. `publicKey`: SubjectPublicKeyInfo. */
  encapsulate(keySpec: MlKemSpec, publicKey: Uint8Array): Encapsulated {
    const message = randomBytes(ML_KEM_MESSAGE_LENGTH);
    try {
      return mlKemEncapsulate(keySpec, publicKey, message);
    } finally {
      message.fill(0);
    }
  },

  /** The shared secret. The length of the ciphertext is that of the key spec. */
  decapsulate(keySpec: MlKemSpec, seed: KeyObject, ciphertext: Uint8Array): Uint8Array {
    const bytes = seed.export();
    try {
      return mlKemDecapsulate(keySpec, bytes, ciphertext);
    } finally {
      bytes.fill(0);
    }
  },

  /** `publicKey`: SubjectPublicKeyInfo. */
  encryptSm2(publicKey: Uint8Array, plaintext: Uint8Array): Uint8Array {
    for (;;) {
      const random = randomBytes(SM2_RANDOM_LENGTH);
      try {
        const ciphertext = encryptSm2(publicKey, plaintext, random);
        if (ciphertext) return ciphertext;
      } finally {
        random.fill(0);
      }
    }
  },

  /** The plaintext, or undefined. */
  decryptSm2(key: KeyObject, ciphertext: Uint8Array): Uint8Array | undefined {
    const scalar = privateScalar(key);
    try {
      return decryptSm2(scalar, ciphertext);
    } finally {
      scalar.fill(0);
    }
  },
};

export type SlowTasks = typeof SLOW_TASKS;
