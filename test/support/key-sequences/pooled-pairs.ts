import { createHash, generateKeyPair } from 'node:crypto';
import { promisify } from 'node:util';

export interface Pair {
  /** PKCS #8 in DER. */
  privateKey: Buffer;
  /** SubjectPublicKeyInfo in DER. */
  publicKey: Buffer;
}

const CURVES: Record<string, string> = {
  ECC_NIST_P256: 'prime256v1',
  ECC_NIST_P384: 'secp384r1',
  ECC_NIST_P521: 'secp521r1',
  ECC_SECG_P256K1: 'secp256k1',
  SM2: 'SM2',
};
const DER = {
  privateKeyEncoding: { type: 'pkcs8', format: 'der' },
  publicKeyEncoding: { type: 'spki', format: 'der' },
} as const;
const generate = promisify(generateKeyPair) as (type: string, options: object) => Promise<Pair>;

function fresh(keySpec: string): Promise<Pair> {
  if (keySpec.startsWith('RSA_')) return generate('rsa', { modulusLength: Number(keySpec.slice(4)), ...DER });
  if (keySpec === 'ECC_NIST_EDWARDS25519') return generate('ed25519', DER);
  return generate('ec', { namedCurve: CURVES[keySpec]!, ...DER });
}

const pool = new Map<string, Promise<Pair>>();

/** A pair of an RSA or elliptic curve spec: of each spec and index always the same one, since RSA takes seconds. */
export async function pooledPair(keySpec: string, index = 0): Promise<Pair> {
  const name = `${keySpec} ${index}`;
  const made = pool.get(name) ?? fresh(keySpec);
  pool.set(name, made);
  const { privateKey, publicKey } = await made;
  // Who gets it zeroises it.
  return { privateKey: Buffer.from(privateKey), publicKey: Buffer.from(publicKey) };
}

const SECRET_LENGTHS: Record<string, number> = { SYMMETRIC_DEFAULT: 32, HMAC_384: 48, HMAC_512: 64 };

/** Material that a key of this spec can be given, by index. There is one of each RSA spec. */
export async function pooledMaterial(keySpec: string, index: number): Promise<Buffer> {
  if (/^(RSA|ECC)_/.test(keySpec)) return (await pooledPair(keySpec, index)).privateKey;
  const length = SECRET_LENGTHS[keySpec] ?? 32;
  return createHash('shake256', { outputLength: length }).update(`material ${index}`).digest();
}
