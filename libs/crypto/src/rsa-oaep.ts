import { constants, type KeyObject, publicEncrypt, webcrypto } from 'node:crypto';
import { KmsError } from '#domain/errors';
import { invalidCiphertext } from './ciphertext-blob';
import { poolKeyOf } from './pool-key';

/** RSAES-OAEP (RFC 8017, section 7.1) with an empty label, and MGF1 of the same hash. */
const HASHES = {
  RSAES_OAEP_SHA_1: { name: 'sha1', webName: 'SHA-1', length: 20 },
  RSAES_OAEP_SHA_256: { name: 'sha256', webName: 'SHA-256', length: 32 },
} as const;

export type OaepAlgorithm = keyof typeof HASHES;

export const isOaep = (algorithm: string): algorithm is OaepAlgorithm => Object.hasOwn(HASHES, algorithm);

const modulusBytes = (key: KeyObject): number => key.asymmetricKeyDetails!.modulusLength! / 8;

/** k - 2 hLen - 2: the longest plaintext, in bytes. */
export const maxOaepPlaintext = (key: KeyObject, algorithm: OaepAlgorithm): number =>
  modulusBytes(key) - 2 * HASHES[algorithm].length - 2;

/** Throws ValidationException, in AWS's words, for a plaintext that is too long. `key`: public or private. */
export function assertOaepFits(key: KeyObject, keySpec: string, algorithm: OaepAlgorithm, plaintext: Uint8Array): void {
  const longest = maxOaepPlaintext(key, algorithm);
  if (plaintext.length > longest) {
    throw new KmsError(
      'ValidationException',
      `Algorithm ${algorithm} and key spec ${keySpec} cannot encrypt data larger than ${longest} bytes.`,
    );
  }
}

/** As many bytes as the modulus has. `key`: public or private; `plaintext` fits. */
export const encryptOaep = (key: KeyObject, algorithm: OaepAlgorithm, plaintext: Uint8Array): Buffer =>
  publicEncrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: HASHES[algorithm].name }, plaintext);

/**
 * The plaintext, which the caller zeroises; computed in libuv's pool. Throws InvalidCiphertextException, which does not
 * say why: to tell one wrong padding from another would be Manger's attack (CRYPTO 2001).
 */
export async function decryptOaep(key: KeyObject, algorithm: OaepAlgorithm, ciphertext: Uint8Array): Promise<Buffer> {
  if (ciphertext.length !== modulusBytes(key)) throw invalidCiphertext();
  const poolKey = await poolKeyOf(key, { name: 'RSA-OAEP', hash: HASHES[algorithm].webName }, 'decrypt');
  try {
    return Buffer.from(await webcrypto.subtle.decrypt({ name: 'RSA-OAEP' }, poolKey, ciphertext));
  } catch {
    throw invalidCiphertext();
  }
}
