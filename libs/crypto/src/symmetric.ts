import type { KeyObject } from 'node:crypto';
import { open, sealInto, TAG_LENGTH } from './aes-gcm';
import { type ExternalBlob, invalidCiphertext, NONCE_LENGTH, type SymmetricBlob, startBlob } from './ciphertext-blob';
import { counterKdf, fixedInput } from './counter-kdf';

/**
 * SYMMETRIC_DEFAULT, after the design published in "AWS KMS Cryptographic Details": a message key K is derived from
 * the backing key and a fresh 128-bit nonce, and AES-256-GCM under K encrypts. So a backing key is not worn out by
 * the number of messages, as it would be with random 96-bit IVs alone.
 */
const LABEL = 'keytrail symmetric message key v1';

/** label || 0x00 || nonce || 256; the nonce is written into it for each derivation, within one synchronous call. */
const FIXED_INPUT = fixedInput(LABEL, Buffer.alloc(NONCE_LENGTH));
const NONCE_AT = LABEL.length + 1;

/**
 * A ciphertext blob. `headerPrefix` names the key and this backing key; `context` is the canonical encryption context;
 * the header and the context are authenticated. `random` has RANDOM_LENGTH bytes (ciphertext-blob.ts), never used before.
 */
export function encryptSymmetric(
  backingKey: KeyObject,
  headerPrefix: Uint8Array,
  context: Uint8Array,
  plaintext: Uint8Array,
  random: Uint8Array,
): Buffer {
  const { blob, offset } = startBlob(headerPrefix, random, plaintext.length);
  const iv = random.subarray(NONCE_LENGTH);
  const key = messageKey(backingKey, random.subarray(0, NONCE_LENGTH));
  try {
    sealInto(blob, offset, key, iv, [blob.subarray(0, offset), context], plaintext);
  } finally {
    key.fill(0);
  }
  return blob;
}

/** The plaintext. Throws InvalidCiphertextException if blob, context and backing key do not belong together. */
export function decryptSymmetric(backingKey: KeyObject, blob: SymmetricBlob, context: Uint8Array): Buffer {
  const key = messageKey(backingKey, blob.nonce);
  try {
    const plaintext = open(key, blob.iv, [blob.header, context], blob.ciphertext, blob.tag);
    if (plaintext === undefined) throw invalidCiphertext();
    return plaintext;
  } finally {
    key.fill(0);
  }
}

/**
 * What KMS made of an external key store's blob, once the external key has been taken off: `inner` is ciphertext and tag. Throws
 * InvalidCiphertextException where it has another length.
 */
export function innerBlob(blob: ExternalBlob, inner: Buffer): SymmetricBlob {
  const { sealed: _sealed, ciphertextLength, ...rest } = blob;
  if (inner.length !== ciphertextLength + TAG_LENGTH) throw invalidCiphertext();
  const ciphertext = inner.subarray(0, ciphertextLength);
  return { ...rest, place: 'kms', ciphertext, tag: inner.subarray(ciphertextLength) };
}

/** 32 bytes, which the caller zeroises. */
function messageKey(backingKey: KeyObject, nonce: Uint8Array): Buffer {
  FIXED_INPUT.set(nonce, NONCE_AT);
  return counterKdf(backingKey, FIXED_INPUT);
}
