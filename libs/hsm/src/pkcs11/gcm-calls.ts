import { randomBytes } from 'node:crypto';
import * as pkcs11 from 'pkcs11js';
import { unmaskForNow } from './masking';
import { CKR, ckrOf, mayBeAltered, TokenCallError } from './token-errors';

type Handle = pkcs11.Handle;

const TAG_BITS = 128;
const TAG_BYTES = TAG_BITS / 8;
/** A GCM tag that does not fit is told from a broken device by a call that must succeed. */
const PROBE = Buffer.alloc(16, 0x5a);

/** The same bytes. */
export const buffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);

export const gcm = (iv: Uint8Array, aad: Uint8Array): pkcs11.Mechanism => ({
  mechanism: pkcs11.CKM_AES_GCM,
  parameter: {
    type: pkcs11.CK_PARAMS_AES_GCM,
    iv: buffer(iv),
    ivBits: iv.length * 8,
    aad: buffer(aad),
    tagBits: TAG_BITS,
  } as pkcs11.AesGCM,
});

/** Ciphertext, then tag. */
export function encryptWith(
  module: pkcs11.PKCS11,
  session: Handle,
  key: Handle,
  mechanism: pkcs11.Mechanism,
  data: Buffer,
): Promise<Buffer> {
  module.C_EncryptInit(session, mechanism, key);
  return module.C_EncryptAsync(session, data, Buffer.alloc(data.length + TAG_BYTES));
}

export function decryptWith(
  module: pkcs11.PKCS11,
  session: Handle,
  key: Handle,
  mechanism: pkcs11.Mechanism,
  data: Buffer,
): Promise<Buffer> {
  module.C_DecryptInit(session, mechanism, key);
  // Modules want room for as much as they were given.
  return module.C_DecryptAsync(session, data, Buffer.alloc(data.length));
}

/** Whether the token does what it should: with this key, or where that may only decrypt, with one that lasts as long as the probe. */
export async function works(module: pkcs11.PKCS11, session: Handle, key: Handle): Promise<boolean> {
  try {
    return await worksWith(module, session, key);
  } catch (error) {
    if (ckrOf(error) !== CKR.KEY_FUNCTION_NOT_PERMITTED) return false;
  }
  let temporary: Handle | undefined;
  try {
    temporary = module.C_GenerateKey(session, { mechanism: pkcs11.CKM_AES_KEY_GEN }, [
      { type: pkcs11.CKA_VALUE_LEN, value: 32 },
      { type: pkcs11.CKA_TOKEN, value: false },
      ...[pkcs11.CKA_ENCRYPT, pkcs11.CKA_DECRYPT].map((type) => ({ type, value: true })),
    ]);
    return await worksWith(module, session, temporary);
  } catch {
    return false;
  } finally {
    if (temporary) module.C_DestroyObject(session, temporary);
  }
}

async function worksWith(module: pkcs11.PKCS11, session: Handle, key: Handle): Promise<boolean> {
  const mechanism = gcm(randomBytes(12), PROBE);
  const sealed = await encryptWith(module, session, key, mechanism, PROBE);
  return (await decryptWith(module, session, key, mechanism, sealed)).equals(PROBE);
}

/** Whether a key encrypts as what is masked does. */
export async function isSame(
  module: pkcs11.PKCS11,
  session: Handle,
  key: Handle,
  masked: Buffer,
  id: string,
): Promise<boolean> {
  let other: Handle;
  try {
    other = unmaskForNow(module, session, masked);
  } catch (error) {
    if (mayBeAltered(error)) throw new TokenCallError('no-key', `what is masked of ${id} cannot be opened`);
    throw error;
  }
  try {
    const mechanism = gcm(randomBytes(12), PROBE);
    const [one, two] = [
      await encryptWith(module, session, key, mechanism, PROBE),
      await encryptWith(module, session, other, mechanism, PROBE),
    ];
    return one.equals(two);
  } finally {
    module.C_DestroyObject(session, other);
  }
}
