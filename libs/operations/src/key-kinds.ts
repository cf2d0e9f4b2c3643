import { KmsError } from '#domain/errors';

export const KEY_USAGES = [
  'ENCRYPT_DECRYPT',
  'SIGN_VERIFY',
  'GENERATE_VERIFY_MAC',
  'KEY_AGREEMENT',
  'ENCAPSULATE_DECAPSULATE',
] as const;
export type KeyUsageName = (typeof KEY_USAGES)[number];

const RSA = ['ENCRYPT_DECRYPT', 'SIGN_VERIFY'] as const;
const NIST_CURVE = ['SIGN_VERIFY', 'KEY_AGREEMENT'] as const;
const SIGNING = ['SIGN_VERIFY'] as const;
const MAC = ['GENERATE_VERIFY_MAC'] as const;
const KEM = ['ENCAPSULATE_DECAPSULATE'] as const;

/** What keys of each spec can be for, as the CreateKey reference lists it. */
const USAGES_OF = {
  RSA_2048: RSA,
  RSA_3072: RSA,
  RSA_4096: RSA,
  ECC_NIST_P256: NIST_CURVE,
  ECC_NIST_P384: NIST_CURVE,
  ECC_NIST_P521: NIST_CURVE,
  ECC_SECG_P256K1: SIGNING,
  ECC_NIST_EDWARDS25519: SIGNING,
  SYMMETRIC_DEFAULT: ['ENCRYPT_DECRYPT'],
  HMAC_224: MAC,
  HMAC_256: MAC,
  HMAC_384: MAC,
  HMAC_512: MAC,
  SM2: ['ENCRYPT_DECRYPT', 'SIGN_VERIFY', 'KEY_AGREEMENT'],
  ML_DSA_44: SIGNING,
  ML_DSA_65: SIGNING,
  ML_DSA_87: SIGNING,
  ML_KEM_512: KEM,
  ML_KEM_768: KEM,
  ML_KEM_1024: KEM,
} as const satisfies Record<string, readonly KeyUsageName[]>;

export type KeySpecName = keyof typeof USAGES_OF;
export const KEY_SPECS = Object.keys(USAGES_OF) as KeySpecName[];

/** Refuses, as AWS does, an asymmetric or HMAC key without a usage, and a usage that the spec has not. */
export function assertUsageFits(keySpec: KeySpecName, keyUsage: KeyUsageName | undefined): void {
  if (keyUsage === undefined) {
    if (keySpec === 'SYMMETRIC_DEFAULT') return;
    throw new KmsError(
      'ValidationException',
      'You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.',
    );
  }
  const usages: readonly KeyUsageName[] = USAGES_OF[keySpec];
  if (!usages.includes(keyUsage)) {
    throw new KmsError('ValidationException', `KeyUsage ${keyUsage} is not compatible with KeySpec ${keySpec}`);
  }
}
