/** DER, as far as keys and SM2 ciphertexts need it (ITU-T X.690, sections 8 and 10): definite lengths, one-byte tags. */
export const SEQUENCE = 0x30;
export const INTEGER = 0x02;
export const BIT_STRING = 0x03;
export const OCTET_STRING = 0x04;

/** A value: tag, length in its shortest form, contents. */
export function der(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const length = contents.reduce((sum, part) => sum + part.length, 0);
  const octets: number[] = [];
  for (let rest = length; rest > 0; rest >>>= 8) octets.unshift(rest & 0xff);
  const header = length < 0x80 ? [tag, length] : [tag, 0x80 | octets.length, ...octets];
  return Buffer.concat([Buffer.from(header), ...contents]);
}

/** An INTEGER of a number that is not negative, given big endian. */
export function derUnsigned(number: Uint8Array): Buffer {
  let first = 0;
  while (first < number.length - 1 && number[first] === 0) first++;
  const shortest = number.subarray(first);
  return der(INTEGER, shortest[0]! & 0x80 ? Buffer.of(0) : Buffer.alloc(0), shortest);
}

/**
 * The contents of the values that stand one after the other in `bytes`, with these tags and nothing behind them; undefined
 * where they do not. Whether they were in their shortest form is for the caller to see, by encoding them again.
 */
export function readDer(bytes: Uint8Array, ...tags: readonly number[]): Buffer[] | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found: Buffer[] = [];
  let offset = 0;
  for (const tag of tags) {
    if (buffer[offset] !== tag || offset + 2 > buffer.length) return undefined;
    let length = buffer[offset + 1]!;
    offset += 2;
    if (length >= 0x80) {
      const octets = length & 0x7f;
      if (octets < 1 || octets > 3 || offset + octets > buffer.length) return undefined;
      length = buffer.readUIntBE(offset, octets);
      offset += octets;
    }
    if (offset + length > buffer.length) return undefined;
    found.push(buffer.subarray(offset, offset + length));
    offset += length;
  }
  return offset === buffer.length ? found : undefined;
}
