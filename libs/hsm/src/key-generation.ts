import { createPublicKey, createSecretKey, generateKeyPair, type KeyObject, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { MATERIAL_SHAPES } from '#crypto/key-material';
import { isMlKem, ML_KEM_SEED_LENGTH, type MlKemSpec, mlKemPrivateKey } from '#crypto/ml-kem';
import { subjectPublicKeyInfo } from '#crypto/subject-public-key-info';
import type { KeySpec } from '#domain/key/key-kinds';
import { offLoop } from './off-loop';

const PKCS8 = { privateKeyEncoding: { type: 'pkcs8', format: 'der' } } as const;
const SPKI = { publicKeyEncoding: { type: 'spki', format: 'der' } } as const;
const generate = promisify(generateKeyPair) as (
  type: string,
  options: object,
) => Promise<{ publicKey: Buffer; privateKey: Buffer }>;

/**
 * A new key pair: PKCS #8 and SubjectPublicKeyInfo. Off the event loop. The private key of ML-KEM is there as its seed, as
 * AWS KMS gives it (RFC 9935, section 6).
 */
export function generatePair(keySpec: KeySpec): Promise<{ publicKey: Buffer; privateKey: Buffer }> {
  const shape = MATERIAL_SHAPES[keySpec];
  if ('rsaBits' in shape) return generateRsaPair(shape.rsaBits);
  if ('curve' in shape) return generate('ec', { namedCurve: shape.curve, ...PKCS8, ...SPKI });
  if ('okp' in shape) return generate(shape.okp, { ...PKCS8, ...SPKI });
  if (isMlKem(keySpec)) return generateMlKemPair(keySpec);
  throw new RangeError(`${keySpec} has no private key in PKCS #8`);
}

async function generateRsaPair(bits: number): Promise<{ publicKey: Buffer; privateKey: Buffer }> {
  const { publicKey, privateKey } = await offLoop('generateRsa', bits);
  return { publicKey: bufferOf(publicKey), privateKey: bufferOf(privateKey) };
}

/** The same bytes, not a copy. */
const bufferOf = ({ buffer, byteOffset, length }: Uint8Array): Buffer => Buffer.from(buffer, byteOffset, length);

async function generateMlKemPair(keySpec: MlKemSpec): Promise<{ publicKey: Buffer; privateKey: Buffer }> {
  const seed = randomBytes(ML_KEM_SEED_LENGTH);
  try {
    const publicKey = await publicKeyOf(keySpec, createSecretKey(seed));
    return { publicKey, privateKey: mlKemPrivateKey(keySpec, seed) };
  } finally {
    seed.fill(0);
  }
}

/** SubjectPublicKeyInfo (RFC 5280), DER, of an asymmetric key's material. */
export async function publicKeyOf(keySpec: KeySpec, key: KeyObject): Promise<Buffer> {
  if (key.type === 'private') return createPublicKey(key).export({ type: 'spki', format: 'der' });
  return subjectPublicKeyInfo(keySpec, await offLoop('publicKeyOfSeed', keySpec, key));
}
