import { createECDH, createPublicKey, diffieHellman, type KeyObject } from 'node:crypto';
import { KmsError } from '#domain/errors';
import { BIT_STRING, der, SEQUENCE } from './der';
import { privateScalar } from './sm2-curve';

const EC_PUBLIC_KEY = '06072a8648ce3d0201';

/** Object identifiers: RFC 5480, section 2.1.1.1; of SM2 GM/T 0006. `bytes`: of a coordinate. */
const CURVES = {
  ECC_NIST_P256: { algorithm: Buffer.from(`${EC_PUBLIC_KEY}06082a8648ce3d030107`, 'hex'), bytes: 32 },
  ECC_NIST_P384: { algorithm: Buffer.from(`${EC_PUBLIC_KEY}06052b81040022`, 'hex'), bytes: 48 },
  ECC_NIST_P521: { algorithm: Buffer.from(`${EC_PUBLIC_KEY}06052b81040023`, 'hex'), bytes: 66 },
  SM2: { algorithm: Buffer.from(`${EC_PUBLIC_KEY}06082a811ccf5501822d`, 'hex'), bytes: 32 },
} as const;

export type AgreementSpec = keyof typeof CURVES;

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
 * The public key of another party. `spki`: SubjectPublicKeyInfo in DER. Throws ValidationException where that is no public key
 * on the curve of `keySpec`.
 */
export function peerKey(keySpec: AgreementSpec, spki: Uint8Array): KeyObject {
  if (!pointIn(spki, CURVES[keySpec])) throw invalidPeer();
  try {
    // Points that are not on the curve are refused here; the one at infinity has no encoding that pointIn takes.
    return createPublicKey({ key: Buffer.from(spki), type: 'spki', format: 'der' });
  } catch {
    throw invalidPeer();
  }
}

/**
 * Whether sharedSecret takes milliseconds: OpenSSL has fast arithmetic for P-256 alone. WebCrypto is no way around: its pool
 * does the derivation, but the event loop all checks of the peer's key, which take as long.
 */
export const isSlowAgreement = (keySpec: AgreementSpec): boolean => keySpec !== 'ECC_NIST_P256';

/**
 * The raw shared secret Z, a whole x-coordinate: the ECC CDH primitive of SP 800-56A, section 5.7.1.2. The caller zeroises it.
 * `publicKey`: on the curve of `privateKey`.
 */
export const sharedSecret = (keySpec: AgreementSpec, privateKey: KeyObject, publicKey: KeyObject): Buffer =>
  keySpec === 'SM2' ? sm2Secret(privateKey, publicKey) : diffieHellman({ privateKey, publicKey });

/** Node's diffieHellman takes no SM2 key that was read from a SubjectPublicKeyInfo. */
function sm2Secret(privateKey: KeyObject, publicKey: KeyObject): Buffer {
  const ecdh = createECDH('SM2');
  const scalar = privateScalar(privateKey);
  try {
    ecdh.setPrivateKey(scalar);
  } finally {
    scalar.fill(0);
  }
  return ecdh.computeSecret(pointIn(publicKey.export({ type: 'spki', format: 'der' }), CURVES.SM2)!);
}

/** AWS gives no message. */
const invalidPeer = (): KmsError => new KmsError('ValidationException', '');
