import { createSecretKey } from 'node:crypto';
import { generateMac, isMacOf, MAC_ALGORITHMS, type MacAlgorithm } from './macs';

/** RFC 4231 section 4.3, test case 2: key "Jefe". */
const MESSAGE = Buffer.from('what do ya want for nothing?');
const KEY = createSecretKey(Buffer.from('Jefe'));
const MACS: Record<MacAlgorithm, string> = {
  HMAC_SHA_224: 'a30e01098bc6dbbf45690f3a7e9e6d0f8bbea2a39e6148008fd05e44',
  HMAC_SHA_256: '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
  HMAC_SHA_384: 'af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649',
  HMAC_SHA_512:
    '164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737',
};

describe.each(MAC_ALGORITHMS)('%s', (algorithm) => {
  const mac = Buffer.from(MACS[algorithm], 'hex');

  it('is as RFC 4231 has it', () => {
    expect(generateMac(algorithm, KEY, MESSAGE)).toEqual(mac);
    expect(isMacOf(algorithm, KEY, MESSAGE, mac)).toBe(true);
  });

  it('is not taken with any bit changed, nor cut short, nor with more behind it', () => {
    for (let at = 0; at < 8 * mac.length; at++) {
      const changed = Buffer.from(mac);
      changed[at >> 3]! ^= 1 << (at & 7);
      expect(isMacOf(algorithm, KEY, MESSAGE, changed)).toBe(false);
    }
    for (const other of [
      mac.subarray(1),
      mac.subarray(0, -1),
      Buffer.concat([mac, Buffer.of(0)]),
      Buffer.alloc(6144),
    ]) {
      expect(isMacOf(algorithm, KEY, MESSAGE, other)).toBe(false);
    }
    expect(isMacOf(algorithm, KEY, Buffer.from('another'), mac)).toBe(false);
  });
});
