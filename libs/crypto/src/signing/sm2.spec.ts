import { createHash, createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { decodeSignature } from './der-signature';
import { digestOf, pointOf, signDigest, verifyDigest } from './sm2';

const hex = (text: string): Buffer => Buffer.from(text, 'hex');

/** GB/T 32918.5-2017 annex A.2: over "message digest", for the distinguishing id 1234567812345678. */
const D = hex('3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8');
const POINT = hex(
  '09f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13',
);
const E = hex('f0b43e94ba45accaace692ed534382eb17e6ab5a19ce7b31f4486fdfc0d28640');
const K = hex('59276e27d506861a16680f3ad9c02dccef3cc1fa3cdbe4ce6d54b80deac1bc21');
const R = hex('f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3');
const S = hex('b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa');

/** PKCS #8 of an ECPrivateKey on the curve. */
const privateKeyOf = (secret: Buffer) =>
  createPrivateKey({
    key: Buffer.concat([hex('3041020100301306072a8648ce3d020106082a811ccf5501822d042730250201010420'), secret]),
    format: 'der',
    type: 'pkcs8',
  });

describe('SM2 signatures', () => {
  it('have the digest that is published', () => {
    expect(digestOf(POINT, Buffer.from('message digest'))).toEqual(E);
  });

  it('are as published for the nonce that is published', () => {
    const signature = signDigest(privateKeyOf(D), E, Buffer.from(K));
    expect(decodeSignature(signature, 32)).toEqual({ r: Uint8Array.from(R), s: Uint8Array.from(S) });
    expect(verifyDigest(POINT, E, signature)).toBe(true);
  });

  it('are verified for a new key, and not once a bit of signature, digest or key is another', () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'SM2' });
    const point = pointOf(publicKey.export({ type: 'spki', format: 'der' }));
    const digest = createHash('sm3').update('the quick brown fox').digest();
    const signature = signDigest(privateKey, digest);
    expect(verifyDigest(point, digest, signature)).toBe(true);
    expect(verifyDigest(POINT, digest, signature)).toBe(false);
    expect(verifyDigest(point, createHash('sm3').digest(), signature)).toBe(false);
    for (let at = 0; at < signature.length; at += 5) {
      const changed = Buffer.from(signature);
      changed[at]! ^= 0x10;
      expect(verifyDigest(point, digest, changed)).toBe(false);
    }
    expect(signDigest(privateKey, digest)).not.toEqual(signature);
  });
});
