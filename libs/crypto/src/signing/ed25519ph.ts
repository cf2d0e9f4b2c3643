import type { KeyObject } from 'node:crypto';
import { ed25519ph } from '@noble/curves/ed25519.js';

const KEY_LENGTH = 32;
const SIGNATURE_LENGTH = 64;

/**
 * Ed25519ph of RFC 8032 section 5.1, without a context, which OpenSSL has from 3.2 on. It hashes what it is given, though
 * that is a digest already: so does AWS KMS (API reference of Sign, MessageType). For a worker thread.
 */
export function sign(key: KeyObject, message: Uint8Array): Uint8Array {
  const der = key.export({ type: 'pkcs8', format: 'der' });
  try {
    // RFC 8410 section 7: the seed comes last where there is no public key, and OpenSSL writes none.
    return ed25519ph.sign(message, der.subarray(der.length - KEY_LENGTH));
  } finally {
    der.fill(0);
  }
}

/** `spki`: SubjectPublicKeyInfo of the signer, of which the public key is the last. */
export const verify = (spki: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean =>
  signature.length === SIGNATURE_LENGTH &&
  ed25519ph.verify(signature, message, spki.subarray(spki.length - KEY_LENGTH), { zip215: false });
