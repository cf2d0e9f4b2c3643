import { KmsError, RequestFault } from '../errors';

export const KEY_USAGES = [
  'SIGN_VERIFY',
  'ENCRYPT_DECRYPT',
  'GENERATE_VERIFY_MAC',
  'KEY_AGREEMENT',
  'ENCAPSULATE_DECAPSULATE',
] as const;
export type KeyUsage = (typeof KEY_USAGES)[number];

const OAEP = ['RSAES_OAEP_SHA_1', 'RSAES_OAEP_SHA_256'] as const;
const RSA_SIGNING = [
  'RSASSA_PKCS1_V1_5_SHA_256',
  'RSASSA_PKCS1_V1_5_SHA_384',
  'RSASSA_PKCS1_V1_5_SHA_512',
  'RSASSA_PSS_SHA_256',
  'RSASSA_PSS_SHA_384',
  'RSASSA_PSS_SHA_512',
] as const;
const ECDH = ['ECDH'] as const;

const RSA = { ENCRYPT_DECRYPT: OAEP, SIGN_VERIFY: RSA_SIGNING } as const;
const ML_DSA = { SIGN_VERIFY: ['ML_DSA_SHAKE_256'] } as const;
const ML_KEM = { ENCAPSULATE_DECAPSULATE: ['ML_KEM'] } as const;

/**
 * THE table of key kinds: by key spec what keys can be for, and with which algorithms, in AWS's order (AWS KMS Developer
 * Guide, "Key spec reference").
 */
const KEY_KINDS = {
  RSA_2048: RSA,
  RSA_3072: RSA,
  RSA_4096: RSA,
  ECC_NIST_P256: { SIGN_VERIFY: ['ECDSA_SHA_256'], KEY_AGREEMENT: ECDH },
  ECC_NIST_P384: { SIGN_VERIFY: ['ECDSA_SHA_384'], KEY_AGREEMENT: ECDH },
  ECC_NIST_P521: { SIGN_VERIFY: ['ECDSA_SHA_512'], KEY_AGREEMENT: ECDH },
  ECC_SECG_P256K1: { SIGN_VERIFY: ['ECDSA_SHA_256'] },
  ECC_NIST_EDWARDS25519: { SIGN_VERIFY: ['ED25519_SHA_512', 'ED25519_PH_SHA_512'] },
  SYMMETRIC_DEFAULT: { ENCRYPT_DECRYPT: ['SYMMETRIC_DEFAULT'] },
  HMAC_224: { GENERATE_VERIFY_MAC: ['HMAC_SHA_224'] },
  HMAC_256: { GENERATE_VERIFY_MAC: ['HMAC_SHA_256'] },
  HMAC_384: { GENERATE_VERIFY_MAC: ['HMAC_SHA_384'] },
  HMAC_512: { GENERATE_VERIFY_MAC: ['HMAC_SHA_512'] },
  SM2: { ENCRYPT_DECRYPT: ['SM2PKE'], SIGN_VERIFY: ['SM2DSA'], KEY_AGREEMENT: ECDH },
  ML_DSA_44: ML_DSA,
  ML_DSA_65: ML_DSA,
  ML_DSA_87: ML_DSA,
  ML_KEM_512: ML_KEM,
  ML_KEM_768: ML_KEM,
  ML_KEM_1024: ML_KEM,
} as const satisfies Record<string, Partial<Record<KeyUsage, readonly string[]>>>;

export type KeySpec = keyof typeof KEY_KINDS;
export const KEY_SPECS = Object.keys(KEY_KINDS) as KeySpec[];

export const isKeySpec = (text: unknown): text is KeySpec => typeof text === 'string' && Object.hasOwn(KEY_KINDS, text);

const NONE: readonly string[] = [];

/** What keys of this spec and usage can be asked to do; empty where the spec has no such usage. */
export const algorithmsOf = (keySpec: KeySpec, keyUsage: KeyUsage): readonly string[] =>
  (KEY_KINDS[keySpec] as Partial<Record<KeyUsage, readonly string[]>>)[keyUsage] ?? NONE;

export const isSymmetricEncryption = (keySpec: KeySpec): boolean => keySpec === 'SYMMETRIC_DEFAULT';

/** Whether a key has a public half. */
export const isAsymmetric = (keySpec: KeySpec): boolean =>
  !isSymmetricEncryption(keySpec) && !keySpec.startsWith('HMAC_');

/** The key's usage. Refuses, as AWS does, an asymmetric or HMAC key without one, and one that the spec has not. */
export function fittingUsage(keySpec: KeySpec, keyUsage: KeyUsage | undefined): KeyUsage {
  if (keyUsage === undefined) {
    if (isSymmetricEncryption(keySpec)) return 'ENCRYPT_DECRYPT';
    throw new RequestFault('You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.');
  }
  if (algorithmsOf(keySpec, keyUsage).length === 0) {
    throw new RequestFault(`KeyUsage ${keyUsage} is not compatible with KeySpec ${keySpec}`);
  }
  return keyUsage;
}

/** What a key must be for, so that it serves an operation. */
const USAGE_OF_OPERATION = {
  Encrypt: 'ENCRYPT_DECRYPT',
  Decrypt: 'ENCRYPT_DECRYPT',
  ReEncryptFrom: 'ENCRYPT_DECRYPT',
  ReEncryptTo: 'ENCRYPT_DECRYPT',
  GenerateDataKey: 'ENCRYPT_DECRYPT',
  GenerateDataKeyWithoutPlaintext: 'ENCRYPT_DECRYPT',
  GenerateDataKeyPair: 'ENCRYPT_DECRYPT',
  GenerateDataKeyPairWithoutPlaintext: 'ENCRYPT_DECRYPT',
  Sign: 'SIGN_VERIFY',
  Verify: 'SIGN_VERIFY',
  GenerateMac: 'GENERATE_VERIFY_MAC',
  VerifyMac: 'GENERATE_VERIFY_MAC',
  DeriveSharedSecret: 'KEY_AGREEMENT',
  Encapsulate: 'ENCAPSULATE_DECAPSULATE',
  Decapsulate: 'ENCAPSULATE_DECAPSULATE',
} as const satisfies Record<string, KeyUsage>;

export type CryptographicOperation = keyof typeof USAGE_OF_OPERATION;

interface KeyKind {
  keySpec: KeySpec;
  keyUsage: KeyUsage;
}

/** Whether both are symmetric, or both asymmetric, and for the same; key specs may differ. */
export const isSameKind = (one: KeyKind, other: KeyKind): boolean =>
  one.keyUsage === other.keyUsage && isAsymmetric(one.keySpec) === isAsymmetric(other.keySpec);

/** Throws InvalidKeyUsageException where the key is for something else. */
export function assertUsageAllows(operation: CryptographicOperation, { keyUsage }: KeyKind, arn: string): void {
  if (USAGE_OF_OPERATION[operation] === keyUsage) return;
  throw new KmsError(
    'InvalidKeyUsageException',
    `${arn} key usage is ${keyUsage} which is not valid for ${operation}.`,
  );
}

/** Throws InvalidKeyUsageException where the key has no such algorithm. */
export function assertAlgorithmFits(algorithm: string, { keySpec, keyUsage }: KeyKind): void {
  if (algorithmsOf(keySpec, keyUsage).includes(algorithm)) return;
  throw new KmsError('InvalidKeyUsageException', `Algorithm ${algorithm} is incompatible with key spec ${keySpec}.`);
}
