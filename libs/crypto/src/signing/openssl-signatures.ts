import {
  constants,
  type KeyObject,
  type SignKeyObjectInput,
  sign as signWith,
  verify as verifyWith,
} from 'node:crypto';
import type { SigningAlgorithm } from './signing-algorithms';

/** Signatures over messages that OpenSSL hashes itself. ECDSA's are in DER. */
interface Scheme {
  hash: 'sha256' | 'sha384' | 'sha512' | null;
  padding?: Pick<SignKeyObjectInput, 'padding' | 'saltLength'>;
}

/** RFC 8017 section 8.1, with MGF1 over the same hash and a salt as long as the digest, as AWS KMS has it. */
const PSS = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
const PKCS1 = { padding: constants.RSA_PKCS1_PADDING };

const SCHEMES = {
  RSASSA_PSS_SHA_256: { hash: 'sha256', padding: PSS },
  RSASSA_PSS_SHA_384: { hash: 'sha384', padding: PSS },
  RSASSA_PSS_SHA_512: { hash: 'sha512', padding: PSS },
  RSASSA_PKCS1_V1_5_SHA_256: { hash: 'sha256', padding: PKCS1 },
  RSASSA_PKCS1_V1_5_SHA_384: { hash: 'sha384', padding: PKCS1 },
  RSASSA_PKCS1_V1_5_SHA_512: { hash: 'sha512', padding: PKCS1 },
  ECDSA_SHA_256: { hash: 'sha256' },
  ECDSA_SHA_384: { hash: 'sha384' },
  ECDSA_SHA_512: { hash: 'sha512' },
  ED25519_SHA_512: { hash: null },
} as const satisfies Partial<Record<SigningAlgorithm, Scheme>>;

export type OpensslAlgorithm = keyof typeof SCHEMES;

export const isOpensslAlgorithm = (algorithm: string): algorithm is OpensslAlgorithm =>
  Object.hasOwn(SCHEMES, algorithm);

const keyFor = (algorithm: OpensslAlgorithm, key: KeyObject): SignKeyObjectInput => {
  const { padding }: Scheme = SCHEMES[algorithm];
  return { key, ...padding };
};

export const signMessage = (algorithm: OpensslAlgorithm, key: KeyObject, message: Uint8Array): Buffer =>
  signWith(SCHEMES[algorithm].hash, message, keyFor(algorithm, key));

/** The same in the thread pool of libuv. */
export const signMessageInPool = (algorithm: OpensslAlgorithm, key: KeyObject, message: Uint8Array): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    signWith(SCHEMES[algorithm].hash, message, keyFor(algorithm, key), (error, signature) =>
      error ? reject(error) : resolve(signature),
    );
  });

/** RFC 8017, 8.1.2 and 8.2.2, step 1: OpenSSL takes a PSS signature without its leading zeros as well. */
const hasLength = ({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject, signature: Uint8Array): boolean =>
  asymmetricKeyType !== 'rsa' || signature.length === (asymmetricKeyDetails?.modulusLength ?? 0) / 8;

export const verifyMessage = (
  algorithm: OpensslAlgorithm,
  key: KeyObject,
  message: Uint8Array,
  signature: Uint8Array,
): boolean =>
  hasLength(key, signature) && verifyWith(SCHEMES[algorithm].hash, message, keyFor(algorithm, key), signature);

/** The same in the thread pool of libuv. */
export const verifyMessageInPool = (
  algorithm: OpensslAlgorithm,
  key: KeyObject,
  message: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> =>
  new Promise((resolve, reject) => {
    if (!hasLength(key, signature)) return resolve(false);
    verifyWith(SCHEMES[algorithm].hash, message, keyFor(algorithm, key), signature, (error, valid) =>
      error ? reject(error) : resolve(valid),
    );
  });
