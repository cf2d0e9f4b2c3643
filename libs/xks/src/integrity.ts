import { createHash } from 'node:crypto';

/** What an Encrypt made, or a Decrypt is given. */
export interface Sealed {
  ciphertext: Uint8Array;
  /** Of the proxy's own; absent where it has none. */
  ciphertextMetadata?: Uint8Array | undefined;
  initializationVector: Uint8Array;
  authenticationTag: Uint8Array;
}

const NONE = new Uint8Array(0);

/** ciphertextDataIntegrityValue, SHA_256 (Appendix C of the specification). */
export function integrityValue(additionalAuthenticatedData: Uint8Array | undefined, sealed: Sealed): Buffer {
  return createHash('sha256')
    .update(additionalAuthenticatedData ?? NONE)
    .update(sealed.ciphertextMetadata ?? NONE)
    .update(sealed.initializationVector)
    .update(sealed.ciphertext)
    .update(sealed.authenticationTag)
    .digest();
}

/**
 * The AAD that a key manager binds, as the specification recommends: each part after its length, in 2 bytes and in 1, so that
 * nothing of one can be passed off as the other.
 */
export function boundData(
  additionalAuthenticatedData: Uint8Array | undefined,
  ciphertextMetadata: Uint8Array | undefined,
): Buffer {
  const aad = additionalAuthenticatedData ?? NONE;
  const metadata = ciphertextMetadata ?? NONE;
  const bytes = Buffer.alloc(2 + aad.length + 1 + metadata.length);
  bytes.writeUInt16BE(aad.length);
  bytes.set(aad, 2);
  bytes.writeUInt8(metadata.length, 2 + aad.length);
  bytes.set(metadata, 3 + aad.length);
  return bytes;
}
