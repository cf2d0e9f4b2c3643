import * as pkcs11 from 'pkcs11js';
import { TokenCallError } from './token-errors';

/** Of the key that a token wraps other keys under. */
const LABEL = 'keytrail-masking';
const ID = Buffer.from(LABEL);
/** RFC 5649 makes 40 bytes of a key of 32. */
const MASKED_BYTES = 40;
const MECHANISM: pkcs11.Mechanism = { mechanism: pkcs11.CKM_AES_KEY_WRAP_PAD };

const AES_256: pkcs11.Template = [
  { type: pkcs11.CKA_CLASS, value: pkcs11.CKO_SECRET_KEY },
  { type: pkcs11.CKA_KEY_TYPE, value: pkcs11.CKK_AES },
];
const OF_32_BYTES: pkcs11.Template = [{ type: pkcs11.CKA_VALUE_LEN, value: 32 }];

const are = (value: boolean, ...types: number[]): pkcs11.Template => types.map((type) => ({ type, value }));

/** AES-256, never in clear outside, and for nothing but wrapping: a key for both could be made to decrypt what it wrapped. */
export function makeMaskingKey(module: pkcs11.PKCS11, session: pkcs11.Handle): void {
  module.C_GenerateKey(session, { mechanism: pkcs11.CKM_AES_KEY_GEN }, [
    ...AES_256,
    ...OF_32_BYTES,
    { type: pkcs11.CKA_LABEL, value: LABEL },
    { type: pkcs11.CKA_ID, value: ID },
    ...are(true, pkcs11.CKA_TOKEN, pkcs11.CKA_PRIVATE, pkcs11.CKA_SENSITIVE, pkcs11.CKA_WRAP, pkcs11.CKA_UNWRAP),
    ...are(false, pkcs11.CKA_EXTRACTABLE, pkcs11.CKA_ENCRYPT, pkcs11.CKA_DECRYPT),
  ]);
}

/** A key that this token does not keep, wrapped inside it. A crash in between takes the key with it: it is the session's. */
export function makeMasked(module: pkcs11.PKCS11, session: pkcs11.Handle): Buffer {
  const masking = maskingKey(module, session);
  const key = module.C_GenerateKey(session, { mechanism: pkcs11.CKM_AES_KEY_GEN }, [
    ...AES_256,
    ...OF_32_BYTES,
    ...are(true, pkcs11.CKA_PRIVATE, pkcs11.CKA_SENSITIVE, pkcs11.CKA_EXTRACTABLE),
    ...are(false, pkcs11.CKA_TOKEN, pkcs11.CKA_ENCRYPT, pkcs11.CKA_DECRYPT, pkcs11.CKA_WRAP, pkcs11.CKA_UNWRAP),
  ]);
  try {
    return module.C_WrapKey(session, MECHANISM, masking, key, Buffer.alloc(MASKED_BYTES + 24));
  } finally {
    module.C_DestroyObject(session, key);
  }
}

/** In the token, for encryption and decryption, and not extractable. */
export function unmask(module: pkcs11.PKCS11, session: pkcs11.Handle, id: string, masked: Buffer): void {
  module.C_UnwrapKey(session, MECHANISM, maskingKey(module, session), masked, [
    ...AES_256,
    { type: pkcs11.CKA_LABEL, value: id },
    { type: pkcs11.CKA_ID, value: Buffer.from(id, 'hex') },
    ...are(true, pkcs11.CKA_TOKEN, pkcs11.CKA_PRIVATE, pkcs11.CKA_SENSITIVE, pkcs11.CKA_ENCRYPT, pkcs11.CKA_DECRYPT),
    ...are(false, pkcs11.CKA_EXTRACTABLE, pkcs11.CKA_WRAP, pkcs11.CKA_UNWRAP),
  ]);
}

/** The same as a key of this session, for encryption alone: to be destroyed by whoever asked for it. */
export function unmaskForNow(module: pkcs11.PKCS11, session: pkcs11.Handle, masked: Buffer): pkcs11.Handle {
  return module.C_UnwrapKey(session, MECHANISM, maskingKey(module, session), masked, [
    ...AES_256,
    ...are(true, pkcs11.CKA_PRIVATE, pkcs11.CKA_SENSITIVE, pkcs11.CKA_ENCRYPT),
    ...are(false, pkcs11.CKA_TOKEN, pkcs11.CKA_DECRYPT, pkcs11.CKA_EXTRACTABLE, pkcs11.CKA_WRAP, pkcs11.CKA_UNWRAP),
  ]);
}

function maskingKey(module: pkcs11.PKCS11, session: pkcs11.Handle): pkcs11.Handle {
  module.C_FindObjectsInit(session, [...AES_256, { type: pkcs11.CKA_ID, value: ID }]);
  try {
    const [found] = module.C_FindObjects(session, 1) as pkcs11.Handle[];
    if (!found) throw new TokenCallError('no-key', 'the token has no masking key: its user was not made by Keytrail');
    return found;
  } finally {
    module.C_FindObjectsFinal(session);
  }
}
