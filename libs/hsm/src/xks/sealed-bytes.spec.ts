import fc from 'fast-check';
import { decodeSealed, encodeSealed } from './sealed-bytes';

const bytes = (minLength: number, maxLength = minLength) =>
  fc.uint8Array({ minLength, maxLength }).map((some) => Buffer.from(some));
const sealed = fc.record({
  ciphertext: bytes(0, 100),
  ciphertextMetadata: fc.option(bytes(1, 20), { nil: undefined }),
  initializationVector: fc.oneof(bytes(12), bytes(16)),
  authenticationTag: bytes(16),
});

describe('what KMS keeps of an external encryption', () => {
  test('is read back as it was', () => {
    fc.assert(fc.property(sealed, (one) => expect(decodeSealed(encodeSealed(one))).toEqual(one)));
  });

  test('is written in one way only: whatever can be read is written so again', () => {
    fc.assert(
      fc.property(fc.oneof(bytes(0, 80), sealed.map(encodeSealed)), (some) => {
        const read = decodeSealed(some);
        if (read) expect(encodeSealed(read)).toEqual(some);
      }),
    );
  });

  test('is nothing that is cut short before its ciphertext, or of another version', () => {
    fc.assert(
      fc.property(sealed, (one) => {
        const whole = encodeSealed(one);
        const start = whole.length - one.ciphertext.length;
        for (let length = 0; length < start; length++) expect(decodeSealed(whole.subarray(0, length))).toBeUndefined();
        expect(decodeSealed(Buffer.concat([Buffer.of(2), whole.subarray(1)]))).toBeUndefined();
      }),
    );
  });
});
