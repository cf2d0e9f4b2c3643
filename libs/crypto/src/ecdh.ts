import { createECDH, type KeyObject, webcrypto } from 'node:crypto';
import { KmsError } from '#domain/errors';
import { BIT_STRING, der, SEQUENCE } from './der';
import { poolKeyOf } from './pool-key';
import { privateScalar } from './sm2-curve';

const EC_PUBLIC_KEY = '06072a8648ce3d0201';

/** Object identifiers: RFC 5480, section 2.1.1.1; of SM2 GM/T 0006. `bytes`: of a coordinate. */
const CURVES = {
  ECC_NIST_P256: { webName: 'P-256', algorithm: Buffer.from(`${EC_PUBLIC_KEY}06082a8648ce3d030107`, 'hex'), bytes: 32 },
  ECC_NIST_P384: { webName: 'P-384', algorithm: Buffer.from(`${EC_PUBLIC_KEY}06052b81040022`, 'hex'), bytes: 48 },
  ECC_NIST_P521: { webName: 'P-521', algorithm: Buffer.from(`${EC_PUBLIC_KEY}06052b81040023`, 'hex'), bytes: 66 },
  SM2: { webName: undefined, algorithm: Buffer.from(`${EC_PUBLIC_KEY}06082a811ccf5501822d`, 'hex'), bytes: 32 },
} as const;

export type AgreementSpec = keyof typeof CURVES;

export const isAgreementSpec = (keySpec: string): keySpec is AgreementSpec => Object.hasOwn(CURVES, keySpec);

/**
 * The peer's point, uncompressed or compressed as SEC 1 has them: what a SubjectPublicKeyInfo in DER (RFC 5280) holds, of which
 * there is one for each point. Undefined for all else. Not yet known to be on the curve.
 */
function pointIn(spki: Uint8Array, { algorithm, bytes }: (typeof CURVES)[AgreementSpec]): Uint8Array | undefined {
  const holds = (length: number): Uint8Array | undefined => {
    if (spki.length <= length) return undefined;
    const point = spki.subarray(spki.length - length);
    const encoded = der(SEQUENCE, der(SEQUENCE, algorithm), der(BIT_STRING, Buffer.of(0), point));
    return encoded.equals(spki) ? point : undefined;
  };
  const uncompressed = holds(1 + 2 * bytes);
  if (uncompressed) return uncompressed[0] === 4 ? uncompressed : undefined;
  const compressed = holds(1 + bytes);
  return compressed?.[0] === 2 || compressed?.[0] === 3 ? compressed : undefined;
}

/**
 * The raw shared secret Z, a whole x-coordinate: the ECC CDH primitive of SP 800-56A, section 5.7.1.2, in libuv's pool where
 * the curve is NIST's. The caller zeroises it. `peer`: SubjectPublicKeyInfo in DER. Throws ValidationException where that is
 * no public key on the curve of `keySpec`.
 */
export async function sharedSecret(keySpec: AgreementSpec, key: KeyObject, peer: Uint8Array): Promise<Buffer> {
  const curve = CURVES[keySpec];
  const point = pointIn(peer, curve);
  if (!point) throw invalidPeer(keySpec);
  if (curve.webName === undefined) return sm2Secret(key, point);
  const algorithm = { name: 'ECDH', namedCurve: curve.webName };
  const poolKey = await poolKeyOf(key, algorithm, 'deriveBits');
  let publicKey: webcrypto.CryptoKey;
  try {
    // Points that are not on the curve are refused here; the one at infinity has no encoding that pointIn takes.
    publicKey = await webcrypto.subtle.importKey('spki', peer, algorithm, false, []);
  } catch {
    throw invalidPeer(keySpec);
  }
  return Buffer.from(await webcrypto.subtle.deriveBits({ name: 'ECDH', public: publicKey }, poolKey, curve.bytes * 8));
}

function sm2Secret(key: KeyObject, point: Uint8Array): Buffer {
  const ecdh = createECDH('SM2');
  const scalar = privateScalar(key);
  try {
    ecdh.setPrivateKey(scalar);
  } finally {
    scalar.fill(0);
  }
  try {
    return ecdh.computeSecret(point);
  } catch {
    throw invalidPeer('SM2');
  }
}

const invalidPeer = (keySpec: string): KmsError =>
  new KmsError(
    'ValidationException',
    `PublicKey is not valid: it must be a DER-encoded SubjectPublicKeyInfo with a point on the curve of key spec ${keySpec}.`,
  );
