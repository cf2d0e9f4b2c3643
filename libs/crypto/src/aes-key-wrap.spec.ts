import { createCipheriv } from 'node:crypto';
import fc from 'fast-check';
import { unwrapPadded } from './aes-key-wrap';

const hex = (text: string): Buffer => Buffer.from(text, 'hex');

/** RFC 5649 section 6. */
const RFC_KEY = hex('5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8');
const RFC_5649: [string, string][] = [
  ['c37b7e6492584340bed12207808941155068f738', '138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a'],
  ['466f7250617369', 'afbeb0f07dfbf5419200f2ccb50bb24f'],
];

/** Project Wycheproof, testvectors_v1/aes_kwp_test.json (Apache-2.0): numbers of tests, of those with keys of 256 bits. */
const SMALL = hex('1abf4b7fa2bb62a78f09ddab04625dcacdd9e551d1a69b6b162baa53d2700093');
const VALID: [number, string, string][] = [
  [171, 'ae', '06c1e65ac0f385b4e8c400d229f39422'],
  [177, '90735025797bd2', '68a52de00ec0f1ebbedc38fee6be0c23'],
  [178, 'e43f5e4e123a03c4', '3a6746052a1744cfe7e2f36dafc4042d'],
  [179, '1723eb9d000916996a', 'db7e73da22219e1baac0f4e955c3db2b900b5d3078f94b59'],
  [185, '72aaee126a822184806c7d22eed66b', 'de497acf18a177a3a9b3d8da46d74dfa58dcc537a3a95323'],
];
const MODIFIED = hex('4f710eb6b5e28703becfc3dc52fa8bc1dd44a4a6d38a84b4f94e89ac32d987e7');
const PADDED = hex('48a53c11ef2d727db7eb9a834b134ea9602273aca929702eb2c31d96a58c9be2');
const INVALID: [number, string, Buffer, string][] = [
  [186, 'modified IV', MODIFIED, '98428fb83dc207033c1585e0242e699be98e0001f1ee15ba'],
  [193, 'modified IV', MODIFIED, '0fcc89e543fae40b914510c9064307b70ef12de4c8750874'],
  [202, 'modified IV', MODIFIED, '7fd3ad3aee0545da1ed3a54d5a198a2c76cf8290c011c042'],
  [210, 'modified IV', MODIFIED, '8b011408049eab81cc185796b9636982c1ad28e940e5c35ab1219434c23e8c59'],
  [226, 'modified padding', MODIFIED, '64956d333265a8f2547756feab37b81f97786a4ebf491f13'],
  [231, 'modified padding', MODIFIED, 'ffa557ea4960669ccbcf59007a24de06755475c1cfef56da'],
  [234, 'modified padding', MODIFIED, '57bc3a4c7544fe76b92740608a1023bb70227856cbdb8ada'],
  [
    235,
    'modified padding',
    MODIFIED,
    '9220a6eb9c77a3d6374647afa7a3effb99be7e1f7bafeca8a1bbd93e8adcca6e570484008ee674ca',
  ],
  [238, 'padding of AES key wrap without padding', PADDED, 'ac1a774a5de27e4f9c356e4f62deaf8b7eeee6bcafafd895'],
  [239, 'padding too long', PADDED, '86175acf19ad0b7ac60d1fe4bb7850635e7ec6f8a314f85b6dd3d8f9349ea38d'],
  [241, 'length wrongly encoded', PADDED, '868c34495bd3d7b4e2c1861e7fcbbdb372099488dd96c9ea'],
  [242, 'length 2^32 - 1', PADDED, '4a8b4aeaa713469bfd9bf88d4072379fc858e40b24b0bebe'],
  [243, 'length 2^32 - 1', PADDED, 'c210aa3b5fbf5eac97e68d98d7727f38'],
  [244, 'length 2^31 - 1', PADDED, 'e0ebd376e050cc9027b76dfc38ee2c6ae2808cecf480a560'],
  [245, 'length 2^31 + 16', PADDED, '23a693e211c08ab9b222c2ede2db18f437e22917fdff8032'],
  [246, 'wrong padding', PADDED, '003f2916fea6827e01199028d3dc4e03889113f97b1860cc242e5a0f28a0f159'],
  [248, 'length 0', PADDED, 'df9ef924eb59634be5b27cabd33d72bd6be6e01e4672ab05'],
];

describe('AES key wrap with padding', () => {
  it.each(RFC_5649)('unwraps %s as RFC 5649 has it', (material, wrapped) => {
    expect(unwrapPadded(RFC_KEY, hex(wrapped))).toEqual(hex(material));
  });

  it.each(VALID)('unwraps test %i of Wycheproof', (_test, material, wrapped) => {
    expect(unwrapPadded(SMALL, hex(wrapped))).toEqual(hex(material));
  });

  it.each(INVALID)('refuses test %i of Wycheproof: %s', (_test, _what, key, wrapped) => {
    expect(unwrapPadded(key, hex(wrapped))).toBeUndefined();
  });

  it('unwraps what was wrapped, and refuses it once any bit is flipped', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(16, 24, 32),
        fc.uint8Array({ minLength: 1, maxLength: 2500 }),
        fc.nat(),
        (keyLength, material, flip) => {
          const key = Buffer.alloc(keyLength, 7);
          const wrapping = createCipheriv(`id-aes${keyLength * 8}-wrap-pad`, key, hex('a65959a6'));
          const wrapped = Buffer.concat([wrapping.update(material), wrapping.final()]);
          expect(unwrapPadded(key, wrapped)).toEqual(Buffer.from(material));
          const at = flip % (wrapped.length * 8);
          wrapped[at >> 3]! ^= 1 << (at & 7);
          expect(unwrapPadded(key, wrapped)).toBeUndefined();
        },
      ),
    );
  });

  it('refuses random bytes of any length, with keys of any length, without throwing', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ maxLength: 100 }), (key, wrapped) => {
        expect(unwrapPadded(key, wrapped)).toBeUndefined();
      }),
    );
  });
});
