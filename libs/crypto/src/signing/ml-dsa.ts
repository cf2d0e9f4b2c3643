import type { KeyObject } from 'node:crypto';
import { ml_dsa44, ml_dsa65, ml_dsa87 } from '@noble/post-quantum/ml-dsa.js';

const PARAMETER_SETS = { ML_DSA_44: ml_dsa44, ML_DSA_65: ml_dsa65, ML_DSA_87: ml_dsa87 } as const;
export type MlDsaSpec = keyof typeof PARAMETER_SETS;

/**
 * ML-DSA of FIPS 204 without a context string, hedged: with fresh randomness for each signature. The message, or where
 * `externalMu` the representative mu that the caller made of it. Milliseconds: for a worker thread.
 */
export function sign(spec: MlDsaSpec, seed: KeyObject, message: Uint8Array, externalMu: boolean): Uint8Array {
  const { keygen, sign: signMessage, internal } = PARAMETER_SETS[spec];
  const bytes = seed.export();
  const { secretKey } = keygen(bytes);
  try {
    return externalMu ? internal.sign(message, secretKey, { externalMu }) : signMessage(message, secretKey);
  } finally {
    bytes.fill(0);
    secretKey.fill(0);
  }
}

/** `spki`: SubjectPublicKeyInfo of the signer (RFC 9881), of which the public key is the last. */
export function verify(
  spec: MlDsaSpec,
  spki: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
  externalMu: boolean,
): boolean {
  const { internal, verify: verifyMessage, lengths } = PARAMETER_SETS[spec];
  if (signature.length !== lengths.signature) return false;
  const publicKey = spki.subarray(spki.length - lengths.publicKey!);
  return externalMu
    ? internal.verify(signature, message, publicKey, { externalMu })
    : verifyMessage(signature, message, publicKey);
}
