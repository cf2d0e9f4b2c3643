import { createCipheriv, createDecipheriv, type KeyObject } from 'node:crypto';

/** AES-256-GCM as SP 800-38D recommends it: 96-bit IV, 128-bit tag. */
export const IV_LENGTH = 12;
export const TAG_LENGTH = 16;

const OPTIONS = { authTagLength: TAG_LENGTH };

/** Writes ciphertext || tag into `out` from `offset` on. `aad` is authenticated as the concatenation of its parts. */
export function sealInto(
  out: Buffer,
  offset: number,
  key: KeyObject | Uint8Array,
  iv: Uint8Array,
  aad: readonly Uint8Array[],
  plaintext: Uint8Array,
): void {
  const cipher = createCipheriv('aes-256-gcm', key, iv, OPTIONS);
  for (const part of aad) cipher.setAAD(part);
  cipher.update(plaintext).copy(out, offset);
  cipher.final();
  cipher.getAuthTag().copy(out, offset + plaintext.length);
}

/** The plaintext, or undefined if key, IV, AAD, ciphertext or tag do not belong together. */
export function open(
  key: KeyObject | Uint8Array,
  iv: Uint8Array,
  aad: readonly Uint8Array[],
  ciphertext: Uint8Array,
  tag: Uint8Array,
): Buffer | undefined {
  const decipher = createDecipheriv('aes-256-gcm', key, iv, OPTIONS);
  for (const part of aad) decipher.setAAD(part);
  decipher.setAuthTag(tag);
  const plaintext = decipher.update(ciphertext);
  try {
    decipher.final();
    return plaintext;
  } catch {
    plaintext.fill(0);
    return undefined;
  }
}
