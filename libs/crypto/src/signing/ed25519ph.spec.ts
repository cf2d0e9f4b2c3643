import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { sign, verify } from './ed25519ph';

const hex = (text: string): Buffer => Buffer.from(text, 'hex');

/** RFC 8032 section 7.3: over "abc". */
const SECRET = hex('833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42');
const SIGNATURE = hex(
  '98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae4131f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406',
);
const key = createPrivateKey({
  key: Buffer.concat([hex('302e020100300506032b657004220420'), SECRET]),
  format: 'der',
  type: 'pkcs8',
});
const PUBLIC = createPublicKey(key).export({ type: 'spki', format: 'der' });

describe('Ed25519ph', () => {
  it('signs as RFC 8032 has it', () => {
    expect(Buffer.from(sign(key, Buffer.from('abc')))).toEqual(SIGNATURE);
  });

  it('verifies what RFC 8032 has, and nothing that differs', () => {
    expect(verify(PUBLIC, Buffer.from('abc'), SIGNATURE)).toBe(true);
    expect(verify(PUBLIC, Buffer.from('abd'), SIGNATURE)).toBe(false);
    for (let at = 0; at < SIGNATURE.length; at += 5) {
      const changed = Buffer.from(SIGNATURE);
      changed[at]! ^= 1;
      expect(verify(PUBLIC, Buffer.from('abc'), changed)).toBe(false);
    }
    expect(verify(PUBLIC, Buffer.from('abc'), SIGNATURE.subarray(1))).toBe(false);
    expect(verify(PUBLIC, Buffer.from('abc'), Buffer.alloc(6144))).toBe(false);
  });

  it('is verified for a new key', () => {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    const digest = createHash('sha512').update('the quick brown fox').digest();
    expect(verify(publicKey.export({ type: 'spki', format: 'der' }), digest, sign(privateKey, digest))).toBe(true);
  });
});
