import type { KeyObject } from 'node:crypto';
import type { ECDSA } from '@noble/curves/abstract/weierstrass.js';
import { p256, p384, p521 } from '@noble/curves/nist.js';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { CURVES, nonceOf, randomScalarBytes } from './curves';
import { decodeSignature, encodeSignature } from './der-signature';
import { privateScalar } from './ec-private-key';

/** By the key spec whose signatures are over it. */
export type EcdsaSpec = 'ECC_NIST_P256' | 'ECC_NIST_P384' | 'ECC_NIST_P521' | 'ECC_SECG_P256K1';

const VERIFIERS: Record<EcdsaSpec, ECDSA> = {
  ECC_NIST_P256: p256,
  ECC_NIST_P384: p384,
  ECC_NIST_P521: p521,
  ECC_SECG_P256K1: secp256k1,
};

/**
 * Over a digest that is given, in DER (FIPS 186-5 section 6.4.1), which node:crypto cannot do: its `sign` always hashes.
 * OpenSSL multiplies the base point, and the rest is scalar arithmetic. The digest is no longer than the order of the curve.
 * `nonce`: bytes of k, for published vectors; they are wiped.
 */
export function signDigest(spec: EcdsaSpec, key: KeyObject, digest: Uint8Array, nonce?: Buffer): Buffer {
  const curve = CURVES[spec];
  const { field } = curve;
  const z = field.fromBytes(digest);
  const d = privateScalar(key, curve);
  try {
    for (;;) {
      const { k, x } = nonceOf(curve, nonce ?? randomScalarBytes(curve));
      const blind = field.fromBytes(randomScalarBytes(curve));
      const inverse = field.invert(k, blind);
      const r = field.fromBytes(x);
      const rd = field.multiply(r, d);
      const sum = field.add(z, rd);
      const s = field.multiply(inverse, sum);
      for (const secret of [k, blind, inverse, rd, sum]) secret.fill(0);
      if (!field.isZero(r) && !field.isZero(s)) return encodeSignature({ r: field.toBytes(r), s: field.toBytes(s) });
    }
  } finally {
    d.fill(0);
  }
}

/** Whether a DER signature is over this digest; nothing that it reads is secret. `spki`: SubjectPublicKeyInfo of the signer. */
export function verifyDigest(spec: EcdsaSpec, spki: Uint8Array, digest: Uint8Array, signature: Uint8Array): boolean {
  const length = CURVES[spec].field.byteLength;
  const decoded = decodeSignature(signature, length);
  if (!decoded) return false;
  const publicKey = spki.subarray(spki.length - (1 + 2 * length));
  const compact = Uint8Array.from([...decoded.r, ...decoded.s]);
  return VERIFIERS[spec].verify(compact, digest, publicKey, { prehash: false, lowS: false });
}
