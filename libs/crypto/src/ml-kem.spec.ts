import { randomBytes } from 'node:crypto';
import { shake128 } from '@noble/hashes/sha3.js';
import { ml_kem512, ml_kem768, ml_kem1024 } from '@noble/post-quantum/ml-kem.js';
import { isInBufferPool } from '../../../test/support/buffer-pool';
import {
  ML_KEM_MESSAGE_LENGTH,
  type MlKemSpec,
  mlKemCiphertextLength,
  mlKemDecapsulate,
  mlKemEncapsulate,
  mlKemPrivateKey,
  ML_KEM_SEED_LENGTH as SEED_LENGTH,
} from './ml-kem';
import { subjectPublicKeyInfo } from './subject-public-key-info';

const SCHEMES = { ML_KEM_512: ml_kem512, ML_KEM_768: ml_kem768, ML_KEM_1024: ml_kem1024 };
const publicKeyOf = (keySpec: MlKemSpec, seed: Uint8Array): Uint8Array => SCHEMES[keySpec].keygen(seed).publicKey;
const message = (): Buffer => randomBytes(ML_KEM_MESSAGE_LENGTH);

/**
 * 100 rounds, each with a seed, a message and a random ciphertext from one SHAKE128 stream; the public key, the ciphertext,
 * the shared secret and the secret of the random ciphertext (implicit rejection) go into another, of which these are the
 * first 32 bytes. ML-KEM-768: Go, src/crypto/mlkem/mlkem_test.go, TestAccumulated. The others, by the same procedure:
 * PQClean, kyber-py and CIRCL agree on them.
 */
const ACCUMULATED: readonly [MlKemSpec, string][] = [
  ['ML_KEM_512', '86b1b4703b8ffef6f7f3290c6dbce4ad954498a0673ded401a94828e8c519a59'],
  ['ML_KEM_768', '1114b1b6699ed191734fa339376afa7e285c9e6acf6ff0177d346696ce564415'],
  ['ML_KEM_1024', '800018fec3e2723f73f1d657fe239b4d5d8782efaade297e8cd448e54cc2ac00'],
];

const SPECS = ACCUMULATED.map(([keySpec]) => keySpec);

describe('ML-KEM', () => {
  it.each(ACCUMULATED)('%s gives the accumulated vectors of 100 rounds', (keySpec, expected) => {
    const stream = shake128.create({ dkLen: 32 });
    const accumulated = shake128.create({ dkLen: 32 });
    for (let round = 0; round < 100; round++) {
      const seed = stream.xof(SEED_LENGTH);
      const publicKey = publicKeyOf(keySpec, seed);
      accumulated.update(publicKey);
      const { ciphertext, sharedSecret } = mlKemEncapsulate(keySpec, publicKey, stream.xof(ML_KEM_MESSAGE_LENGTH));
      accumulated.update(ciphertext).update(sharedSecret);
      expect(mlKemDecapsulate(keySpec, seed, ciphertext)).toEqual(sharedSecret);
      accumulated.update(mlKemDecapsulate(keySpec, seed, stream.xof(mlKemCiphertextLength(keySpec))));
    }
    expect(Buffer.from(accumulated.digest()).toString('hex')).toBe(expected);
  });

  /** RFC 9935, appendix C.1: seed format; and the beginning and end of the public key of ML-KEM-512. */
  it('writes keys as the examples of RFC 9935 have them', () => {
    const seed = Buffer.from(Array.from({ length: SEED_LENGTH }, (_, at) => at));
    const rest = 'BEKAQAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=';
    expect(SPECS.map((keySpec) => mlKemPrivateKey(keySpec, seed).toString('base64'))).toEqual([
      `MFQCAQAwCwYJYIZIAWUDBAQB${rest}`,
      `MFQCAQAwCwYJYIZIAWUDBAQC${rest}`,
      `MFQCAQAwCwYJYIZIAWUDBAQD${rest}`,
    ]);
    const publicKey = subjectPublicKeyInfo('ML_KEM_512', publicKeyOf('ML_KEM_512', seed)).toString('base64');
    expect(publicKey).toMatch(/^MIIDMjALBglghkgBZQMEBAEDggMhAD.*WhttY7Js$/);
  });

  it.each(SPECS)('%s gives another secret for each altered ciphertext, always the same one', (keySpec) => {
    const seed = randomBytes(SEED_LENGTH);
    const { ciphertext, sharedSecret } = mlKemEncapsulate(keySpec, publicKeyOf(keySpec, seed), message());
    const seen = new Set([Buffer.from(sharedSecret).toString('hex')]);
    for (const at of [0, 100, ciphertext.length - 1]) {
      const altered = Uint8Array.from(ciphertext);
      altered[at]! ^= 1;
      const secret = Buffer.from(mlKemDecapsulate(keySpec, seed, altered)).toString('hex');
      expect(secret).toHaveLength(64);
      expect(seen.has(secret)).toBe(false);
      expect(Buffer.from(mlKemDecapsulate(keySpec, seed, altered)).toString('hex')).toBe(secret);
      seen.add(secret);
    }
  });

  it.each(SPECS)('%s refuses ciphertexts of another length', (keySpec) => {
    const seed = randomBytes(SEED_LENGTH);
    const length = mlKemCiphertextLength(keySpec);
    for (const wrong of [0, length - 1, length + 1]) {
      expect(() => mlKemDecapsulate(keySpec, seed, new Uint8Array(wrong))).toThrow(RangeError);
    }
  });

  it('refuses a public key of another parameter set, and one with coefficients that are not reduced', () => {
    const publicKey = publicKeyOf('ML_KEM_512', randomBytes(SEED_LENGTH));
    expect(() => mlKemEncapsulate('ML_KEM_768', publicKey, message())).toThrow();
    publicKey.fill(0xff, 0, 768);
    expect(() => mlKemEncapsulate('ML_KEM_512', publicKey, message())).toThrow();
  });

  it.each(SPECS)('%s leaves no copy of a seed behind that became a private key', (keySpec) => {
    const seed = randomBytes(SEED_LENGTH);
    const privateKey = mlKemPrivateKey(keySpec, seed);
    expect(privateKey.includes(seed)).toBe(true);
    privateKey.fill(0);
    expect(isInBufferPool(seed)).toBe(false);
  });
});
