import { generateKeyPairSync, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { isInBufferPool } from '../../../test/support/buffer-pool';
import { privateScalar, Sm2Point } from './sm2-curve';
import { decryptSm2, encryptSm2, SM2_RANDOM_LENGTH } from './sm2-encryption';

/** GB/T 32918.5-2017, appendix C: encryption and decryption on the recommended curve. */
const PRIVATE = Buffer.from('3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8', 'hex');
const K = 0x59276e27d506861a16680f3ad9c02dccef3cc1fa3cdbe4ce6d54b80deac1bc21n;
const MESSAGE = Buffer.from('encryption standard');
const X1 = '04ebfc718e8d1798620432268e77feb6415e2ede0e073c0f4f640ecd2e149a73';
const Y1 = 'e858f9d81e5430a57b36daab8f950a3c64e6ee6a63094d99283aff767e124df0';
const C3 = '59983c18f809e262923c53aec295d30383b54e39d609d160afcb1908d0bd8766';
const C2 = '21886ca989ca9c7d58087307ca93092d651efa';
const CIPHERTEXT = Buffer.from(`307c0220${X1}022100${Y1}0420${C3}0413${C2}`, 'hex');

const publicKey = Sm2Point.BASE.multiply(BigInt(`0x${PRIVATE.toString('hex')}`)).toBytes(false);

describe('SM2PKE', () => {
  it('gives the ciphertext of the standard', () => {
    const random = Buffer.from((K - 1n).toString(16).padStart(2 * SM2_RANDOM_LENGTH, '0'), 'hex');
    expect(encryptSm2(publicKey, MESSAGE, random)?.toString('hex')).toBe(CIPHERTEXT.toString('hex'));
  });

  it('decrypts the ciphertext of the standard', () => {
    expect(decryptSm2(PRIVATE, CIPHERTEXT)?.toString()).toBe(MESSAGE.toString());
  });

  it('leaves nothing of the shared point behind, by which anybody could decrypt', () => {
    const shared = Sm2Point.fromBytes(publicKey).multiply(K).toBytes(false).subarray(1, 33);
    expect(decryptSm2(PRIVATE, CIPHERTEXT)).toBeDefined();
    expect(isInBufferPool(shared)).toBe(false);
  });

  it('gives back any plaintext', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 1024 }), (plaintext) => {
        const ciphertext = encryptSm2(publicKey, plaintext, randomBytes(SM2_RANDOM_LENGTH));
        // One byte is masked by a zero once in 256 times: then there is none.
        if (ciphertext) expect(decryptSm2(PRIVATE, ciphertext)).toEqual(Buffer.from(plaintext));
        else expect(plaintext.length).toBeLessThan(4);
      }),
      { numRuns: 30 },
    );
  });

  it('refuses a ciphertext with any one byte altered, or cut, or with something behind it', () => {
    for (let at = 0; at < CIPHERTEXT.length; at++) {
      const altered = Buffer.from(CIPHERTEXT);
      altered[at]! ^= 0x01;
      expect(decryptSm2(PRIVATE, altered)).toBeUndefined();
      expect(decryptSm2(PRIVATE, CIPHERTEXT.subarray(0, at))).toBeUndefined();
    }
    expect(decryptSm2(PRIVATE, Buffer.concat([CIPHERTEXT, Buffer.of(0)]))).toBeUndefined();
  });

  it('refuses the ciphertext of another key', () => {
    const scalar = privateScalar(generateKeyPairSync('ec', { namedCurve: 'SM2' }).privateKey);
    expect(decryptSm2(scalar, CIPHERTEXT)).toBeUndefined();
  });

  it('gives nothing but undefined for any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => decryptSm2(PRIVATE, bytes) === undefined),
      { numRuns: 300 },
    );
  });
});
