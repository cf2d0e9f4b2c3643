import { open, sealInto } from './aes-gcm';

/** Test case 16 of "The Galois/Counter Mode of Operation (GCM)", McGrew and Viega, appendix B. */
const hex = (text: string): Buffer => Buffer.from(text, 'hex');
const KEY = hex('feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308');
const IV = hex('cafebabefacedbaddecaf888');
const AAD = hex('feedfacedeadbeeffeedfacedeadbeefabaddad2');
const PLAINTEXT = hex(
  'd9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39',
);
const CIPHERTEXT = hex(
  '522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662',
);
const TAG = hex('76fc6ece0f4e1768cddf8853bb2d551b');

describe('AES-256-GCM', () => {
  it('seals as the published vector says, behind what is already in the buffer', () => {
    const out = Buffer.alloc(2 + CIPHERTEXT.length + TAG.length, 0xee);
    sealInto(out, 2, KEY, IV, [AAD], PLAINTEXT);
    expect(out).toEqual(Buffer.concat([hex('eeee'), CIPHERTEXT, TAG]));
  });

  it('authenticates the parts of the AAD as their concatenation', () => {
    expect(open(KEY, IV, [AAD.subarray(0, 7), AAD.subarray(7)], CIPHERTEXT, TAG)).toEqual(PLAINTEXT);
  });

  it('opens to nothing when the tag does not fit', () => {
    expect(open(KEY, IV, [AAD.subarray(1)], CIPHERTEXT, TAG)).toBeUndefined();
  });
});
