import { createHash, type KeyObject } from 'node:crypto';
import { Sm2Point } from '../sm2-curve';
import { CURVES, nonceOf, randomScalarBytes } from './curves';
import { decodeSignature, encodeSignature } from './der-signature';
import { privateScalar } from './ec-private-key';

const CURVE = CURVES.SM2;
const LENGTH = CURVE.field.byteLength;

const PARAMETERS = Sm2Point.CURVE();

/** The distinguishing id that AWS KMS signs for (AWS KMS Developer Guide, "Offline verification with SM2 key pairs"). */
const DISTINGUISHING_ID = Buffer.from('1234567812345678', 'ascii');

const bytesOf = (coordinate: bigint): Buffer => Buffer.from(coordinate.toString(16).padStart(2 * LENGTH, '0'), 'hex');

/** ENTL, the id, and the curve: what Z starts with for every signer (GB/T 32918.2 section 5.5). */
const Z_PREFIX = Buffer.concat([
  Buffer.from([0, 8 * DISTINGUISHING_ID.length]),
  DISTINGUISHING_ID,
  ...[PARAMETERS.a, PARAMETERS.b, PARAMETERS.Gx, PARAMETERS.Gy].map(bytesOf),
]);

/** e = SM3(Z || message), where Z = SM3(ENTL || id || curve || public key). `point`: x and y of the signer's public key. */
export function digestOf(point: Uint8Array, message: Uint8Array): Buffer {
  const z = createHash('sm3').update(Z_PREFIX).update(point).digest();
  return createHash('sm3').update(z).update(message).digest();
}

/** x and y of a public key in SubjectPublicKeyInfo: they are its last bytes. */
export const pointOf = (spki: Uint8Array): Uint8Array => spki.subarray(spki.length - 2 * LENGTH);

/**
 * The SM2 signature of GB/T 32918.2 section 6.1 over e, in DER. OpenSSL 3.0 has no way from node:crypto to give it the
 * distinguishing id, nor a digest. `nonce`: bytes of k, for published vectors; they are wiped.
 */
export function signDigest(key: KeyObject, digest: Uint8Array, nonce?: Buffer): Buffer {
  const { field } = CURVE;
  const e = field.fromBytes(digest);
  const d = privateScalar(key, CURVE);
  const dPlusOne = field.add(d, field.fromPublic(1n));
  try {
    for (;;) {
      const { k, x } = nonceOf(CURVE, nonce ?? randomScalarBytes(CURVE));
      const blind = field.fromBytes(randomScalarBytes(CURVE));
      const r = field.add(e, field.fromBytes(x));
      const sum = field.add(r, k);
      const inverse = field.invert(dPlusOne, blind);
      // (1 + d)^-1 (k - r d) = (1 + d)^-1 (k + r) - r
      const product = field.multiply(inverse, sum);
      const s = field.subtract(product, r);
      const usable = !field.isZero(r) && !field.isZero(sum) && !field.isZero(s);
      for (const secret of [k, blind, sum, inverse, product]) secret.fill(0);
      if (usable) return encodeSignature({ r: field.toBytes(r), s: field.toBytes(s) });
    }
  } finally {
    d.fill(0);
    dPlusOne.fill(0);
  }
}

/** GB/T 32918.2 section 7.1. `point` as for digestOf. */
export function verifyDigest(point: Uint8Array, digest: Uint8Array, signature: Uint8Array): boolean {
  const decoded = decodeSignature(signature, LENGTH);
  if (!decoded) return false;
  const { n } = PARAMETERS;
  const [r, s] = [numberOf(decoded.r), numberOf(decoded.s)];
  if (r < 1n || r >= n || s < 1n || s >= n) return false;
  const t = (r + s) % n;
  if (t === 0n) return false;
  const publicPoint = Sm2Point.fromBytes(Uint8Array.of(4, ...point));
  const sum = Sm2Point.BASE.multiplyUnsafe(s).add(publicPoint.multiplyUnsafe(t));
  return !sum.is0() && (numberOf(digest) + sum.toAffine().x) % n === r;
}

const numberOf = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
