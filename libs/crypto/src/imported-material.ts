import { createHmac, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { hasEphemeralKey, type WrappingAlgorithm, type WrappingKeySpec } from './import-wrapping';

/**
 * THE table of key material that can be imported (AWS KMS Developer Guide, "Requirements for imported key material"): secrets
 * by their length in bytes, private keys as PKCS #8 (RFC 5208) of two primes, of a named curve (RFC 5915), or of Ed25519
 * (RFC 8410).
 */
const IMPORTABLE = {
  SYMMETRIC_DEFAULT: { kind: 'secret', min: 32, max: 32 },
  HMAC_224: { kind: 'secret', min: 28, max: 128 },
  HMAC_256: { kind: 'secret', min: 32, max: 128 },
  HMAC_384: { kind: 'secret', min: 48, max: 128 },
  HMAC_512: { kind: 'secret', min: 64, max: 128 },
  RSA_2048: { kind: 'rsa', bits: 2048 },
  RSA_3072: { kind: 'rsa', bits: 3072 },
  RSA_4096: { kind: 'rsa', bits: 4096 },
  ECC_NIST_P256: { kind: 'ec', curve: '301306072a8648ce3d020106082a8648ce3d030107' },
  ECC_NIST_P384: { kind: 'ec', curve: '301006072a8648ce3d020106052b81040022' },
  ECC_NIST_P521: { kind: 'ec', curve: '301006072a8648ce3d020106052b81040023' },
  ECC_SECG_P256K1: { kind: 'ec', curve: '301006072a8648ce3d020106052b8104000a' },
  ECC_NIST_EDWARDS25519: { kind: 'ed25519' },
} as const satisfies Record<string, Requirement>;

type Requirement =
  | { kind: 'secret'; min: number; max: number }
  | { kind: 'rsa'; bits: number }
  /** `curve`: the AlgorithmIdentifier that names it (RFC 5480 section 2.1.1). */
  | { kind: 'ec'; curve: string }
  | { kind: 'ed25519' };

export type ImportableSpec = keyof typeof IMPORTABLE;

export const isImportable = (keySpec: string): keySpec is ImportableSpec => Object.hasOwn(IMPORTABLE, keySpec);

/**
 * Whether material of a key of this spec may come wrapped so (AWS KMS Developer Guide, "Select a wrapping algorithm"): secrets
 * fit into RSA-OAEP, RSA keys do not, and those of curves may do either, but that of P-521 does not fit into 2048 bits.
 */
export function mayWrap(
  algorithm: WrappingAlgorithm,
  wrappingKeySpec: WrappingKeySpec,
  keySpec: ImportableSpec,
): boolean {
  switch (IMPORTABLE[keySpec].kind) {
    case 'secret':
      return !hasEphemeralKey(algorithm);
    case 'rsa':
      return hasEphemeralKey(algorithm);
    case 'ec':
    case 'ed25519':
      return hasEphemeralKey(algorithm) || keySpec !== 'ECC_NIST_P521' || wrappingKeySpec !== 'RSA_2048';
  }
}

/** Material that fits its key. */
export interface CheckedMaterial {
  /** As it is stored; zeroised by the caller. */
  material: Buffer;
  /** SubjectPublicKeyInfo in DER, of a key pair; the point of a curve uncompressed. */
  publicKey: Buffer | undefined;
}

/** `opened` as material of a key of this spec, which it may share its bytes with; undefined where it does not fit. */
export async function checkedMaterial(keySpec: ImportableSpec, opened: Buffer): Promise<CheckedMaterial | undefined> {
  const required: Requirement = IMPORTABLE[keySpec];
  if (required.kind === 'secret') {
    const fits = opened.length >= required.min && opened.length <= required.max;
    return fits ? { material: opened, publicKey: undefined } : undefined;
  }
  try {
    return await checkedPair(required, opened);
  } catch {
    // OpenSSL reads some of what is no key at all, such as a scalar of 0, and fails once its public key is asked for.
    return undefined;
  }
}

type PairRequirement = Exclude<Requirement, { kind: 'secret' }>;

async function checkedPair(required: PairRequirement, opened: Buffer): Promise<CheckedMaterial | undefined> {
  const privateKey = createPrivateKey({ key: opened, format: 'der', type: 'pkcs8' });
  if (!isOf(required, privateKey)) return undefined;
  const publicKey = publicKeyOf(privateKey);
  if (!(await belongTogether(privateKey, publicKey))) return undefined;
  return {
    material: privateKey.export({ format: 'der', type: 'pkcs8' }),
    publicKey: publicKey.export({ format: 'der', type: 'spki' }),
  };
}

/**
 * With 1, signatures would be what they sign, and with one as long as the modulus each check of a signature takes as long as
 * a signature, on the event loop. OpenSSL has the same upper bound for moduli above 3,072 bits.
 */
const EXPONENTS = { min: 3n, below: 2n ** 64n };

function isOf(required: PairRequirement, key: KeyObject): boolean {
  if (key.asymmetricKeyType !== required.kind) return false;
  switch (required.kind) {
    case 'rsa':
      return hasModulus(key, required.bits) && hasTwoPrimes(key);
    case 'ec':
      return namesCurve(key, Buffer.from(required.curve, 'hex'));
    case 'ed25519':
      return true;
  }
}

function hasModulus({ asymmetricKeyDetails }: KeyObject, bits: number): boolean {
  const { modulusLength, publicExponent = 0n } = asymmetricKeyDetails ?? {};
  return modulusLength === bits && publicExponent >= EXPONENTS.min && publicExponent < EXPONENTS.below;
}

/** RSAPrivateKey (RFC 8017 appendix A.1.2) of such a length begins 30 82 xx xx 02 01, then its version: 1 where there are more. */
function hasTwoPrimes(key: KeyObject): boolean {
  const pkcs1 = key.export({ format: 'der', type: 'pkcs1' });
  try {
    return pkcs1[6] === 0;
  } finally {
    pkcs1.fill(0);
  }
}

/** PrivateKeyInfo is 30, its length in one to three bytes, 02 01 00, then the algorithm: one with explicit parameters stays so. */
function namesCurve(key: KeyObject, algorithm: Buffer): boolean {
  const pkcs8 = key.export({ format: 'der', type: 'pkcs8' });
  try {
    const at = (pkcs8[1]! < 0x80 ? 2 : 2 + (pkcs8[1]! & 0x7f)) + 3;
    return pkcs8.subarray(at, at + algorithm.length).equals(algorithm);
  } finally {
    pkcs8.fill(0);
  }
}

/** By way of its coordinates, so that one key has one encoding, however its private key had the point. */
const publicKeyOf = (privateKey: KeyObject): KeyObject =>
  createPublicKey({ key: createPublicKey(privateKey).export({ format: 'jwk' }), format: 'jwk' });

const PROBE = Buffer.from('keytrail: the halves of an imported key pair belong together', 'latin1');

/** Signs and verifies once: what was imported may name another's public key, or numbers that are no RSA key at all. */
async function belongTogether(privateKey: KeyObject, publicKey: KeyObject): Promise<boolean> {
  const hash = privateKey.asymmetricKeyType === 'ed25519' ? null : 'sha256';
  const signature = await new Promise<Buffer | undefined>((resolve) => {
    sign(hash, PROBE, privateKey, (error, signed) => resolve(error ? undefined : signed));
  });
  return signature !== undefined && verify(hash, PROBE, publicKey, signature);
}

/**
 * The id of imported material: HMAC-SHA-256 under Keytrail's own `key` over the owner's ARN, preceded by its length, and the
 * material (of a key pair, its public key: one private key has many encodings). The same material of the same key has the same
 * id; who does not have `key` cannot tell from an id which material it is of, however few it may be one of. 64 hex digits.
 */
export function importedMaterialId(
  key: Uint8Array,
  ownerArn: string,
  { material, publicKey }: CheckedMaterial,
): string {
  const owner = Buffer.from(ownerArn, 'utf8');
  const length = Buffer.alloc(4);
  length.writeUInt32BE(owner.length);
  return createHmac('sha256', key)
    .update(length)
    .update(owner)
    .update(publicKey ?? material)
    .digest('hex');
}
