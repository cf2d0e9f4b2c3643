import {
  constants,
  createCipheriv,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  publicEncrypt,
  randomBytes,
} from 'node:crypto';
import fc from 'fast-check';
import { isWrappedLength, unwrapMaterial, type WrappingAlgorithm, type WrappingKeySpec } from './import-wrapping';
import { WYCHEPROOF_OAEP } from './wycheproof-oaep.suite';

const pairOf = (modulusLength: number): { pkcs8: Buffer; publicKey: KeyObject } => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength });
  return { pkcs8: privateKey.export({ format: 'der', type: 'pkcs8' }), publicKey };
};
const PAIR = pairOf(2048);
const SECRET = Buffer.from('e0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff', 'hex');

const oaep = (publicKey: KeyObject, hash: string, plaintext: Uint8Array): Buffer =>
  publicEncrypt({ key: publicKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: hash }, plaintext);

function padded(key: Uint8Array, material: Uint8Array): Buffer {
  const wrapping = createCipheriv('id-aes256-wrap-pad', key, Buffer.from('a65959a6', 'hex'));
  return Buffer.concat([wrapping.update(material), wrapping.final()]);
}

const HASHES = { 'SHA-1': 'sha1', 'SHA-256': 'sha256' } as const;
const ephemeral = (hash: keyof typeof HASHES, material: Uint8Array, key: Uint8Array = randomBytes(32)): Buffer =>
  Buffer.concat([oaep(PAIR.publicKey, HASHES[hash], key), padded(key, material)]);

const unwrapped = (algorithm: WrappingAlgorithm, wrapped: Uint8Array) =>
  unwrapMaterial(algorithm, 'RSA_2048', PAIR.pkcs8, wrapped);

describe('RSA-OAEP', () => {
  it('gives what test 7 of Wycheproof has encrypted, with SHA-256', async () => {
    const { privateKey, valid, message } = WYCHEPROOF_OAEP;
    expect(await unwrapMaterial('RSAES_OAEP_SHA_256', 'RSA_2048', privateKey, valid)).toEqual(message);
  });

  it.each([
    ['RSAES_OAEP_SHA_1', 'sha1'],
    ['RSAES_OAEP_SHA_256', 'sha256'],
  ] as const)('%s gives what was encrypted with %s, and nothing for the other hash', async (algorithm, hash) => {
    expect(await unwrapped(algorithm, oaep(PAIR.publicKey, hash, SECRET))).toEqual(SECRET);
    const other = hash === 'sha1' ? 'sha256' : 'sha1';
    expect(await unwrapped(algorithm, oaep(PAIR.publicKey, other, SECRET))).toBeUndefined();
  });

  it('opens nothing that PKCS #1 v1.5 padded, that has a label, or that was wrapped for another key', async () => {
    const { publicKey } = PAIR;
    const pkcs1 = publicEncrypt({ key: publicKey, padding: constants.RSA_PKCS1_PADDING }, SECRET);
    const labelled = publicEncrypt({ key: publicKey, oaepHash: 'sha256', oaepLabel: Buffer.from('x') }, SECRET);
    const forOther = oaep(
      createPublicKey(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey),
      'sha256',
      SECRET,
    );
    for (const wrapped of [pkcs1, labelled, forOther]) {
      expect(await unwrapped('RSAES_OAEP_SHA_256', wrapped)).toBeUndefined();
    }
  });
});

describe('RSA-OAEP of an AES key, and that of the material', () => {
  it.each([
    ['RSA_AES_KEY_WRAP_SHA_1', 'SHA-1'],
    ['RSA_AES_KEY_WRAP_SHA_256', 'SHA-256'],
  ] as const)('%s gives material longer than RSA takes', async (algorithm, hash) => {
    const material = randomBytes(1218);
    expect(await unwrapped(algorithm, ephemeral(hash, material))).toEqual(material);
  });

  it('opens nothing once any part of it is altered, or where the AES key has not 256 bits', async () => {
    const material = randomBytes(138);
    const wrapped = ephemeral('SHA-256', material);
    for (const at of [0, 255, 256, 263, 264, wrapped.length - 1]) {
      const altered = Buffer.from(wrapped);
      altered[at]! ^= 1;
      expect(await unwrapped('RSA_AES_KEY_WRAP_SHA_256', altered)).toBeUndefined();
    }
    const short = Buffer.concat([oaep(PAIR.publicKey, 'sha256', Buffer.alloc(16)), wrapped.subarray(256)]);
    expect(await unwrapped('RSA_AES_KEY_WRAP_SHA_256', short)).toBeUndefined();
  });
});

describe('what was wrapped has a length that says so', () => {
  it.each<[WrappingAlgorithm, WrappingKeySpec, number, boolean]>([
    ['RSAES_OAEP_SHA_256', 'RSA_2048', 256, true],
    ['RSAES_OAEP_SHA_256', 'RSA_3072', 384, true],
    ['RSAES_OAEP_SHA_1', 'RSA_4096', 512, true],
    ['RSAES_OAEP_SHA_256', 'RSA_2048', 255, false],
    ['RSAES_OAEP_SHA_256', 'RSA_2048', 272, false],
    ['RSA_AES_KEY_WRAP_SHA_256', 'RSA_2048', 272, true],
    ['RSA_AES_KEY_WRAP_SHA_256', 'RSA_2048', 264, false],
    ['RSA_AES_KEY_WRAP_SHA_256', 'RSA_2048', 273, false],
    ['RSA_AES_KEY_WRAP_SHA_1', 'RSA_4096', 256, false],
  ])('%s under %s with %i bytes: %s', (algorithm, keySpec, length, possible) => {
    expect(isWrappedLength(algorithm, keySpec, length)).toBe(possible);
  });

  it('and random bytes of any length open to nothing', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom<WrappingAlgorithm>('RSAES_OAEP_SHA_1', 'RSA_AES_KEY_WRAP_SHA_256'),
        fc.oneof(
          fc.uint8Array({ maxLength: 400 }),
          fc.uint8Array({ minLength: 256, maxLength: 256 }),
          fc.uint8Array({ minLength: 288, maxLength: 288 }),
        ),
        async (algorithm, wrapped) => {
          expect(await unwrapped(algorithm, wrapped)).toBeUndefined();
        },
      ),
      { numRuns: 60 },
    );
  });
});
