import { createSecretKey, type KeyObject } from 'node:crypto';
import fc from 'fast-check';
import { encodeHeaderPrefix, invalidCiphertext, parseBlob, type SymmetricBlob } from './ciphertext-blob';
import { canonicalContext } from './encryption-context';
import { decryptSymmetric, encryptSymmetric } from './symmetric';

const KEY = {
  region: 'eu-central-1',
  account: '000000000042',
  keyId: '1234abcd-12ab-34cd-56ef-1234567890ab',
  materialId: 'c0'.repeat(32),
};
const PREFIX = encodeHeaderPrefix(KEY);
const CONTEXT = canonicalContext({ Tenant: 'blue', Purpose: 'golden' });
const RANDOM = Buffer.from('000102030405060708090a0b0c0d0e0f' + 'b0b1b2b3b4b5b6b7b8b9babb', 'hex');
const PLAINTEXT = Buffer.from('old versions decrypt for ever');

const backingKey = (fill = 0x42): KeyObject => createSecretKey(Buffer.alloc(32, fill));
const encrypt = (context = CONTEXT, plaintext: Uint8Array = PLAINTEXT): Buffer =>
  encryptSymmetric(backingKey(), PREFIX, context, plaintext, RANDOM);
const decrypt = (blob: Uint8Array, context = CONTEXT, key = backingKey()): Buffer =>
  decryptSymmetric(key, parsed(blob), context);

/** As Decrypt does, which holds it against where the key is. */
function parsed(bytes: Uint8Array): SymmetricBlob {
  const blob = parseBlob(bytes);
  if (blob.place !== 'kms') throw invalidCiphertext();
  return blob;
}

const invalid = expect.objectContaining({ code: 'InvalidCiphertextException', message: '' });

/** Never to be changed: ciphertexts of this form are in users' hands. Computed apart, with Python's cryptography 48. */
const GOLDEN_V1 =
  '4b01010c65752d63656e7472616c2d31000000002a011234abcd12ab34cd56ef1234567890abc0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0000102030405060708090a0b0c0d0e0fb0b1b2b3b4b5b6b7b8b9babb001d8d981c4c44816f307fc36d1c50e7644b80200771dd4e79acf49d42bc3d9a7ed16672ca7bb88895a21394c26517';

describe('symmetric encryption', () => {
  it('decrypts the golden blob of version 1', () => {
    expect(decrypt(Buffer.from(GOLDEN_V1, 'hex'))).toEqual(PLAINTEXT);
  });

  it('still writes version 1 as it always did', () => {
    expect(encrypt().toString('hex')).toBe(GOLDEN_V1);
  });

  it('gives back any plaintext under any context', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 4096 }), fc.uint8Array({ maxLength: 64 }), (plaintext, context) => {
        expect(decrypt(encrypt(Buffer.from(context), plaintext), Buffer.from(context))).toEqual(Buffer.from(plaintext));
      }),
    );
  });

  it('refuses a blob with any one bit flipped', () => {
    const blob = encrypt();
    for (let bit = 0; bit < blob.length * 8; bit += 1) {
      const altered = Buffer.from(blob);
      altered[bit >> 3]! ^= 1 << (bit & 7);
      expect(() => decrypt(altered)).toThrow(invalid);
    }
  });

  it('refuses a context with any one bit flipped', () => {
    const blob = encrypt();
    for (let bit = 0; bit < CONTEXT.length * 8; bit += 1) {
      const altered = Buffer.from(CONTEXT);
      altered[bit >> 3]! ^= 1 << (bit & 7);
      expect(() => decrypt(blob, altered)).toThrow(invalid);
    }
  });

  it('never decrypts what was encrypted under {a: bc} as {ab: c}', () => {
    const blob = encrypt(canonicalContext({ a: 'bc' }));
    expect(decrypt(blob, canonicalContext({ a: 'bc' }))).toEqual(PLAINTEXT);
    expect(() => decrypt(blob, canonicalContext({ ab: 'c' }))).toThrow(invalid);
    expect(() => decrypt(blob, canonicalContext({}))).toThrow(invalid);
  });

  it('refuses another backing key', () => {
    expect(() => decrypt(encrypt(), CONTEXT, backingKey(0x43))).toThrow(invalid);
  });

  it('gives each nonce its own key, so an IV may come again', () => {
    const otherNonce = Buffer.from(RANDOM).fill(0xee, 0, 16);
    const other = parsed(encryptSymmetric(backingKey(), PREFIX, CONTEXT, PLAINTEXT, otherNonce));
    const one = parsed(encrypt());
    expect(other.iv).toEqual(one.iv);
    expect(other.ciphertext).not.toEqual(one.ciphertext);
  });
});
