import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';
import { CURVES } from './curves';
import { decodeSignature, encodeSignature } from './der-signature';
import { type EcdsaSpec, signDigest, verifyDigest } from './ecdsa-digests';

const HASHES: Record<EcdsaSpec, string> = {
  ECC_NIST_P256: 'sha256',
  ECC_NIST_P384: 'sha384',
  ECC_NIST_P521: 'sha512',
  ECC_SECG_P256K1: 'sha256',
};
const hex = (text: string): Buffer => Buffer.from(text, 'hex');

/** RFC 6979 appendices A.2.5, A.2.6 and A.2.7: over "sample", with the nonce given. */
describe.each([
  {
    spec: 'ECC_NIST_P256' as const,
    x: 'c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721',
    k: 'a6e3c57dd01abe90086538398355dd4c3b17aa873382b0f24d6129493d8aad60',
    r: 'efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716',
    s: 'f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8',
  },
  {
    spec: 'ECC_NIST_P384' as const,
    x: '6b9d3dad2e1b8c1c05b19875b6659f4de23c3b667bf297ba9aa47740787137d896d5724e4c70a825f872c9ea60d2edf5',
    k: '94ed910d1a099dad3254e9242ae85abde4ba15168eaf0ca87a555fd56d10fbca2907e3e83ba95368623b8c4686915cf9',
    r: '94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c81a648152e44acf96e36dd1e80fabe46',
    s: '99ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94fa329c145786e679e7b82c71a38628ac8',
  },
  {
    spec: 'ECC_NIST_P521' as const,
    x: '00fad06daa62ba3b25d2fb40133da757205de67f5bb0018fee8c86e1b68c7e75caa896eb32f1f47c70855836a6d16fcc1466f6d8fbec67db89ec0c08b0e996b83538',
    k: '01dae2ea071f8110dc26882d4d5eae0621a3256fc8847fb9022e2b7d28e6f10198b1574fdd03a9053c08a1854a168aa5a57470ec97dd5ce090124ef52a2f7ecbffd3',
    r: '00c328fafcbd79dd77850370c46325d987cb525569fb63c5d3bc53950e6d4c5f174e25a1ee9017b5d450606add152b534931d7d4e8455cc91f9b15bf05ec36e377fa',
    s: '00617cce7cf5064806c467f678d3b4080d6f1cc50af26ca209417308281b68af282623eaa63e5b5c0723d8b8c37ff0777b1a20f8ccb1dccc43997f1ee0e44da4a67a',
  },
])('RFC 6979, $spec', ({ spec, x, k, r, s }) => {
  it('is signed as published', () => {
    const { name, field } = CURVES[spec];
    const digest = createHash(HASHES[spec]).update('sample').digest();
    const signature = signDigest(spec, privateKeyOf(name, hex(x)), digest, hex(k));
    expect(decodeSignature(signature, field.byteLength)).toEqual({
      r: Uint8Array.from(hex(r)),
      s: Uint8Array.from(hex(s)),
    });
  });
});

/** ECPrivateKey (RFC 5915), which OpenSSL completes. */
function privateKeyOf(namedCurve: string, secret: Buffer) {
  const of = (tag: number, ...parts: Uint8Array[]): Buffer => {
    const body = Buffer.concat(parts);
    return Buffer.concat([Buffer.from([tag, body.length]), body]);
  };
  const oid: Record<string, string> = {
    prime256v1: '2a8648ce3d030107',
    secp384r1: '2b81040022',
    secp521r1: '2b81040023',
  };
  const parameters = of(0xa0, of(0x06, hex(oid[namedCurve]!)));
  const key = of(0x30, hex('020101'), of(0x04, secret), parameters);
  return createPrivateKey({ key, format: 'der', type: 'sec1' });
}

describe.each(Object.keys(HASHES) as EcdsaSpec[])('an ECDSA signature over a digest, %s', (spec) => {
  const { name, field } = CURVES[spec];
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: name });
  const spki = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  const hash = HASHES[spec];
  const message = Buffer.from('the quick brown fox');
  const digest = createHash(hash).update(message).digest();

  it('is one over the message, for OpenSSL', () => {
    for (let round = 0; round < 20; round++) {
      expect(verify(hash, message, publicKey, signDigest(spec, privateKey, digest))).toBe(true);
    }
  });

  it('is verified as OpenSSL makes it over the message, whether s is high or low', () => {
    for (let round = 0; round < 8; round++) {
      expect(verifyDigest(spec, spki, digest, sign(hash, message, privateKey))).toBe(true);
    }
  });

  it('has a nonce of its own each time', () => {
    const signatures = Array.from({ length: 8 }, () => signDigest(spec, privateKey, digest));
    const rs = signatures.map((signature) => decodeSignature(signature, field.byteLength)!.r.join());
    expect(new Set(rs).size).toBe(signatures.length);
  });

  it('is not verified once a bit of it, its digest or its key is another', () => {
    const signature = signDigest(spec, privateKey, digest);
    for (let at = 0; at < signature.length; at += 7) {
      const changed = Buffer.from(signature);
      changed[at]! ^= 0x10;
      expect(verifyDigest(spec, spki, digest, changed)).toBe(false);
    }
    expect(verifyDigest(spec, spki, createHash(hash).digest(), signature)).toBe(false);
    const other = generateKeyPairSync('ec', { namedCurve: name }).publicKey.export({ type: 'spki', format: 'der' });
    expect(verifyDigest(spec, other, digest, signature)).toBe(false);
  });

  it('is never one whose r or s is 0 or the order', () => {
    const order = Buffer.from(field.order.toString(16).padStart(2 * field.byteLength, '0'), 'hex');
    const zero = Buffer.alloc(field.byteLength);
    const { r, s } = decodeSignature(signDigest(spec, privateKey, digest), field.byteLength)!;
    for (const bad of [zero, order]) {
      expect(verifyDigest(spec, spki, digest, encodeSignature({ r: bad, s }))).toBe(false);
      expect(verifyDigest(spec, spki, digest, encodeSignature({ r, s: bad }))).toBe(false);
    }
  });
});

describe('the DER of a signature', () => {
  const r = hex(`00${'11'.repeat(31)}`);
  const s = hex(`ff${'22'.repeat(31)}`);
  const der = encodeSignature({ r, s });

  it('is read back', () => {
    expect(decodeSignature(der, 32)).toEqual({ r: Uint8Array.from(r), s: Uint8Array.from(s) });
  });

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['what is cut short', der.subarray(0, -1)],
    ['what has more behind it', Buffer.concat([der, Buffer.of(0)])],
    ['a length in the long form', Buffer.concat([Buffer.of(0x30, 0x81, der.length - 2), der.subarray(2)])],
    ['a number with a zero too many', hex('30080203000001020101')],
    ['a negative number', hex('3006020181020101')],
    ['a number that is too long', encodeSignature({ r: Buffer.alloc(33, 1), s })],
    ['what is no sequence', Buffer.concat([Buffer.of(0x31), der.subarray(1)])],
  ])('is not %s', (_what, bytes) => {
    expect(decodeSignature(bytes, 32)).toBeUndefined();
  });
});
