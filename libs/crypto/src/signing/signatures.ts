import type { KeyObject } from 'node:crypto';
import * as ecdsa from './ecdsa-digests';
import * as ed25519ph from './ed25519ph';
import * as mlDsa from './ml-dsa';
import { signMessage, verifyMessage } from './openssl-signatures';
import { isWholeMessage } from './places';
import * as rsa from './rsa-digests';
import type { MessageType, SigningAlgorithm } from './signing-algorithms';
import * as sm2 from './sm2';

/** What is signed, and how. Key spec, algorithm, message type and message fit each other: signing-algorithms.ts. */
interface Signed {
  keySpec: string;
  algorithm: SigningAlgorithm;
  messageType: MessageType;
  message: Uint8Array;
  /** SubjectPublicKeyInfo of the signer, in DER. */
  spki: Uint8Array;
}

export interface SigningJob extends Signed {
  /** As the table of key material has it. */
  key: KeyObject;
}

export interface VerifyingJob extends Signed {
  /** The public key; undefined where OpenSSL does not know its kind. */
  key: KeyObject | undefined;
  signature: Uint8Array;
}

/** A signature of what fits. Blocks for as long as it takes: milliseconds, for some. */
export function sign(job: SigningJob): Uint8Array {
  const { keySpec, algorithm, messageType, message, spki, key } = job;
  if (isWholeMessage(job)) return signMessage(job.algorithm, key, message);
  switch (algorithm) {
    case 'ML_DSA_SHAKE_256':
      return mlDsa.sign(keySpec as mlDsa.MlDsaSpec, key, message, messageType === 'EXTERNAL_MU');
    case 'ED25519_PH_SHA_512':
    case 'ED25519_SHA_512':
      return ed25519ph.sign(key, message);
    case 'SM2DSA':
      return sm2.signDigest(key, messageType === 'RAW' ? sm2.digestOf(sm2.pointOf(spki), message) : message);
    case 'ECDSA_SHA_256':
    case 'ECDSA_SHA_384':
    case 'ECDSA_SHA_512':
      return ecdsa.signDigest(keySpec as ecdsa.EcdsaSpec, key, message);
    default:
      return rsa.signDigest(RSA_SCHEMES[algorithm], key, message);
  }
}

/** Whether a signature is by this key and over this. Blocks as `sign` does. */
export function verify(job: VerifyingJob): boolean {
  const { keySpec, algorithm, messageType, message, spki, key, signature } = job;
  if (isWholeMessage(job)) return verifyMessage(job.algorithm, key!, message, signature);
  switch (algorithm) {
    case 'ML_DSA_SHAKE_256':
      return mlDsa.verify(keySpec as mlDsa.MlDsaSpec, spki, message, signature, messageType === 'EXTERNAL_MU');
    case 'ED25519_PH_SHA_512':
    case 'ED25519_SHA_512':
      return ed25519ph.verify(spki, message, signature);
    case 'SM2DSA': {
      const point = sm2.pointOf(spki);
      return sm2.verifyDigest(point, messageType === 'RAW' ? sm2.digestOf(point, message) : message, signature);
    }
    case 'ECDSA_SHA_256':
    case 'ECDSA_SHA_384':
    case 'ECDSA_SHA_512':
      return ecdsa.verifyDigest(keySpec as ecdsa.EcdsaSpec, spki, message, signature);
    default:
      return rsa.verifyDigest(RSA_SCHEMES[algorithm], key!, message, signature);
  }
}

const RSA_SCHEMES = {
  RSASSA_PSS_SHA_256: { padding: 'PSS', hash: 'sha256' },
  RSASSA_PSS_SHA_384: { padding: 'PSS', hash: 'sha384' },
  RSASSA_PSS_SHA_512: { padding: 'PSS', hash: 'sha512' },
  RSASSA_PKCS1_V1_5_SHA_256: { padding: 'PKCS1_V1_5', hash: 'sha256' },
  RSASSA_PKCS1_V1_5_SHA_384: { padding: 'PKCS1_V1_5', hash: 'sha384' },
  RSASSA_PKCS1_V1_5_SHA_512: { padding: 'PKCS1_V1_5', hash: 'sha512' },
} as const;
