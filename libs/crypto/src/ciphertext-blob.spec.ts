import fc from 'fast-check';
import { type BlobKey, encodeHeaderPrefix, parseBlob, type SymmetricBlob, startBlob } from './ciphertext-blob';

const KEY: BlobKey = {
  region: 'eu-central-1',
  account: '000000000042',
  keyId: '1234abcd-12ab-34cd-56ef-1234567890ab',
  materialId: 'c0'.repeat(32),
};
const NONCE = Buffer.alloc(16, 0xaa);
const IV = Buffer.alloc(12, 0xbb);

function blobOf(key: BlobKey, length = 3): Buffer {
  const { blob, offset } = startBlob(encodeHeaderPrefix(key), Buffer.concat([NONCE, IV]), length);
  blob.fill(0xcc, offset, offset + length).fill(0xdd, offset + length);
  return blob;
}

const invalid = expect.objectContaining({ code: 'InvalidCiphertextException', message: '' });

const digits = (characters: string, min: number, max: number) =>
  fc.array(fc.constantFrom(...characters), { minLength: min, maxLength: max }).map((list) => list.join(''));
const hexOf = (length: number) => digits('0123456789abcdef', length, length);
const keys: fc.Arbitrary<BlobKey> = fc.record({
  region: digits('abc-019', 1, 31).map((rest) => `x${rest}`),
  account: digits('0123456789', 12, 12),
  keyId: fc.oneof(
    fc.uuid(),
    hexOf(32).map((id) => `mrk-${id}`),
    digits('abcXYZ019_-', 1, 255),
  ),
  materialId: hexOf(64),
});

describe('the ciphertext blob', () => {
  it('names its key and material and holds nonce, IV, ciphertext and tag', () => {
    const blob = blobOf(KEY);
    const parsed = parseBlob(blob) as SymmetricBlob;
    expect(parsed).toMatchObject({ ...KEY, place: 'kms' });
    expect(parsed.nonce).toEqual(NONCE);
    expect(parsed.iv).toEqual(IV);
    expect(parsed.ciphertext).toEqual(Buffer.alloc(3, 0xcc));
    expect(parsed.tag).toEqual(Buffer.alloc(16, 0xdd));
    expect(parsed.header).toEqual(blob.subarray(0, blob.length - 3 - 16));
  });

  it('gives back any key it was made for', () => {
    fc.assert(fc.property(keys, (key) => expect(parseBlob(blobOf(key))).toMatchObject(key)));
  });

  it('keeps an upper-case UUID as it is', () => {
    const keyId = KEY.keyId.toUpperCase();
    expect(parseBlob(blobOf({ ...KEY, keyId })).keyId).toBe(keyId);
  });

  it.each(['cluster', 'external'] as const)(
    'of a key in a custom key store (%s) has what the store made to its end',
    (place) => {
      const prefix = encodeHeaderPrefix(KEY, place);
      const own = place === 'cluster' ? Buffer.alloc(0) : Buffer.concat([NONCE, IV, Buffer.of(0, 3)]);
      const sealed = Buffer.alloc(40, 0xee);
      const parsed = parseBlob(Buffer.concat([prefix, own, sealed]));
      expect(parsed).toMatchObject({ ...KEY, place, sealed, header: Buffer.concat([prefix, own]) });
      expect(parseBlob(Buffer.concat([prefix, own, sealed.subarray(1)]))).toMatchObject({ sealed: sealed.subarray(1) });
      for (let length = 0; length <= prefix.length + own.length; length++) {
        expect(() => parseBlob(Buffer.concat([prefix, own]).subarray(0, length))).toThrow(invalid);
      }
    },
  );

  it('of one kind of place is never one of another', () => {
    const headers = (['kms', 'cluster', 'external'] as const).map((place) => encodeHeaderPrefix(KEY, place));
    expect(new Set(headers.map((header) => header.toString('hex'))).size).toBe(3);
    expect(headers.map((header) => header[2])).toEqual([1, 2, 3]);
  });

  it('refuses every beginning of a blob and every blob with something behind it', () => {
    const blob = blobOf(KEY);
    for (let length = 0; length < blob.length; length += 1) {
      expect(() => parseBlob(blob.subarray(0, length))).toThrow(invalid);
    }
    expect(() => parseBlob(Buffer.concat([blob, Buffer.of(0)]))).toThrow(invalid);
  });

  it('throws nothing but InvalidCiphertextException, whatever the bytes', () => {
    const anyBytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.uint8Array({ maxLength: 200 }).map((tail) => Buffer.concat([Buffer.of(0x4b, 1, 1, 1, 0x61), tail])),
    );
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        try {
          parseBlob(bytes);
        } catch (error) {
          expect(error).toEqual(invalid);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it.each([
    ['magic', 0, 0x4a],
    ['version', 1, 2],
    ['algorithm', 2, 0],
    ['region character', 4, 0x2e],
    ['account beyond 12 digits', 16, 0xff],
    ['kind of key id', 21, 9],
  ])('refuses an unknown %s', (_what, offset, value) => {
    const blob = blobOf(KEY);
    blob[offset] = value;
    expect(() => parseBlob(blob)).toThrow(invalid);
  });

  it('refuses a UUID spelled out as text, so that each key has one header', () => {
    const spelled = (keyId: string): Buffer => {
      const other = keyId.replace(/^./, 'X');
      const blob = blobOf({ ...KEY, keyId: other });
      blob.write(keyId, blob.indexOf(other), 'latin1');
      return blob;
    };
    expect(() => parseBlob(spelled(KEY.keyId))).toThrow(invalid);
    expect(() => parseBlob(spelled(`mrk-${'ab'.repeat(16)}`))).toThrow(invalid);
    expect(parseBlob(spelled('alpha')).keyId).toBe('alpha');
  });

  it('stays below 6144 bytes for 4096 bytes of plaintext, whatever the key', () => {
    const longest = { ...KEY, region: 'x'.repeat(32), keyId: 'y'.repeat(255) };
    expect(blobOf(longest, 4096).length).toBeLessThan(6144);
    expect(blobOf(KEY, 0)).toHaveLength(116);
  });

  it.each([
    { region: 'Moon' },
    { account: '42' },
    { keyId: '' },
    { keyId: 'a.b' },
    { keyId: 'x'.repeat(256) },
    { materialId: 'C0'.repeat(32) },
  ])('encodes no key it could not read again: %j', (wrong) => {
    expect(() => encodeHeaderPrefix({ ...KEY, ...wrong })).toThrow(RangeError);
  });

  it('wants nonce and IV of the right length and a ciphertext that fits', () => {
    const prefix = encodeHeaderPrefix(KEY);
    expect(() => startBlob(prefix, NONCE, 1)).toThrow(RangeError);
    expect(() => startBlob(prefix, Buffer.concat([NONCE, IV]), 65_536)).toThrow(RangeError);
  });
});
