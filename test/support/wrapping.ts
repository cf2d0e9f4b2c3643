import {
  constants,
  createCipheriv,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  publicEncrypt,
  randomBytes,
} from 'node:crypto';

const KWP_INITIAL_VALUE = Buffer.from('a65959a6', 'hex');

/** AES key wrap with padding (RFC 5649). */
export function wrapPadded(key: Uint8Array, material: Uint8Array): Buffer {
  const wrapping = createCipheriv('id-aes256-wrap-pad', key, KWP_INITIAL_VALUE);
  return Buffer.concat([wrapping.update(material), wrapping.final()]);
}

/** As somebody who imports `material` wraps it; `publicKey`: SubjectPublicKeyInfo in DER, as GetParametersForImport gives it. */
export function wrap(algorithm: string, publicKey: Uint8Array, material: Uint8Array): Buffer {
  const key = createPublicKey({ key: Buffer.from(publicKey), format: 'der', type: 'spki' });
  const oaepHash = algorithm.endsWith('_1') ? 'sha1' : 'sha256';
  const oaep = (plaintext: Uint8Array) =>
    publicEncrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash }, plaintext);
  if (algorithm.startsWith('RSAES_OAEP')) return oaep(material);
  const ephemeral = randomBytes(32);
  return Buffer.concat([oaep(ephemeral), wrapPadded(ephemeral, material)]);
}

export interface NewMaterial {
  material: Buffer;
  /** SubjectPublicKeyInfo in DER, of a key pair. */
  publicKey?: Buffer;
  privateKey?: KeyObject;
}

const CURVES: Record<string, string> = {
  ECC_NIST_P256: 'P-256',
  ECC_NIST_P384: 'P-384',
  ECC_NIST_P521: 'P-521',
  ECC_SECG_P256K1: 'secp256k1',
};
const SECRETS: Record<string, number> = {
  SYMMETRIC_DEFAULT: 32,
  HMAC_224: 28,
  HMAC_256: 32,
  HMAC_384: 48,
  HMAC_512: 64,
};

/** Material that a key of this spec can have. */
export function newMaterial(keySpec: string): NewMaterial {
  const length = SECRETS[keySpec];
  if (length !== undefined) return { material: randomBytes(length) };
  const { privateKey, publicKey } = pair(keySpec);
  return {
    material: privateKey.export({ format: 'der', type: 'pkcs8' }),
    publicKey: publicKey.export({ format: 'der', type: 'spki' }),
    privateKey,
  };
}

function pair(keySpec: string): { privateKey: KeyObject; publicKey: KeyObject } {
  if (keySpec === 'ECC_NIST_EDWARDS25519') return generateKeyPairSync('ed25519');
  const namedCurve = CURVES[keySpec];
  if (namedCurve !== undefined) return generateKeyPairSync('ec', { namedCurve });
  return generateKeyPairSync('rsa', { modulusLength: Number(keySpec.slice('RSA_'.length)) });
}
