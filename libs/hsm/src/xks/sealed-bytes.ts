import type { Sealed } from '#xks/integrity';
import { LIMITS } from '#xks/limits';

const VERSION = 1;
const EMPTY = Buffer.alloc(0);

/**
 * What KMS keeps of an encryption: `version || length, metadata || length, IV || tag || ciphertext`, lengths of one byte. One text
 * for each Sealed, an absent and an empty metadata being the same.
 */
export function encodeSealed(sealed: Sealed): Buffer {
  const metadata = sealed.ciphertextMetadata ?? EMPTY;
  const iv = sealed.initializationVector;
  return Buffer.concat([
    Buffer.of(VERSION, metadata.length),
    metadata,
    Buffer.of(iv.length),
    iv,
    sealed.authenticationTag,
    sealed.ciphertext,
  ]);
}

/** The opposite; undefined for bytes that `encodeSealed` does not make. */
export function decodeSealed(bytes: Uint8Array): Sealed | undefined {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const metadataLength = all[1];
  if (all[0] !== VERSION || metadataLength === undefined || metadataLength > LIMITS.ciphertextMetadata)
    return undefined;
  const ivAt = 2 + metadataLength + 1;
  const ivLength = all[ivAt - 1];
  if (ivLength === undefined || !LIMITS.initializationVectors.includes(ivLength)) return undefined;
  const tagAt = ivAt + ivLength;
  const ciphertextAt = tagAt + LIMITS.authenticationTag;
  if (all.length < ciphertextAt) return undefined;
  return {
    ciphertextMetadata: metadataLength === 0 ? undefined : all.subarray(2, 2 + metadataLength),
    initializationVector: all.subarray(ivAt, tagAt),
    authenticationTag: all.subarray(tagAt, ciphertextAt),
    ciphertext: all.subarray(ciphertextAt),
  };
}
