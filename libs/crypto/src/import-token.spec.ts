import { generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { type ImportClaims, ImportTokens } from './import-token';

const seed = (fill: number): Buffer => Buffer.alloc(32, fill);
const tokens = new ImportTokens(seed(1));
const IV = Buffer.alloc(12, 7);
const CLAIMS: ImportClaims = {
  keyArn: 'arn:aws:kms:ap-southeast-1:000000000000:key/mrk-1234567890abcdef1234567890abcdef',
  wrappingAlgorithm: 'RSA_AES_KEY_WRAP_SHA_256',
  wrappingKeySpec: 'RSA_4096',
  validTo: '2026-11-30T20:00:00.000Z',
};
const PRIVATE_KEY = Buffer.from('a private key in PKCS #8');

describe('an import token', () => {
  it('gives back to whoever has the seed what it is for, and the private key', () => {
    const token = tokens.seal(CLAIMS, PRIVATE_KEY, IV);
    expect(new ImportTokens(seed(1)).open(token)).toEqual({ ...CLAIMS, privateKey: PRIVATE_KEY });
    expect(new ImportTokens(seed(2)).open(token)).toBeUndefined();
    expect(token.includes(PRIVATE_KEY)).toBe(false);
  });

  it('with the longest of wrapping keys fits into what the API lets a token have', () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 4096 });
    const pkcs8 = privateKey.export({ format: 'der', type: 'pkcs8' });
    expect(tokens.seal(CLAIMS, pkcs8, IV).length).toBeLessThan(3_000);
  });

  it('is nothing once any bit of it is flipped, when cut short, or extended', () => {
    const token = tokens.seal(CLAIMS, PRIVATE_KEY, IV);
    for (let at = 0; at < token.length * 8; at++) {
      const flipped = Buffer.from(token);
      flipped[at >> 3]! ^= 1 << (at & 7);
      expect(tokens.open(flipped)).toBeUndefined();
    }
    for (let length = 0; length < token.length; length++) {
      expect(tokens.open(token.subarray(0, length))).toBeUndefined();
    }
    expect(tokens.open(Buffer.concat([token, Buffer.of(0)]))).toBeUndefined();
  });

  it('is nothing that random bytes could be, and none throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (random) => {
        expect(tokens.open(random)).toBeUndefined();
        expect(tokens.open(Buffer.concat([Buffer.of(0x49, 1), random]))).toBeUndefined();
      }),
    );
  });
});
