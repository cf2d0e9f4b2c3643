/** r and s of an ECDSA or SM2 signature, big-endian, each as long as the order of the curve. */
export interface RS {
  r: Uint8Array;
  s: Uint8Array;
}

const SEQUENCE = 0x30;
const INTEGER = 0x02;

/** ECDSA-Sig-Value, a DER SEQUENCE of two INTEGERs (RFC 3279 section 2.2.3); that of SM2 is the same (GB/T 35276). */
export function encodeSignature({ r, s }: RS): Buffer {
  const body = Buffer.concat([integer(r), integer(s)]);
  const header = body.length < 0x80 ? [SEQUENCE, body.length] : [SEQUENCE, 0x81, body.length];
  return Buffer.concat([Buffer.from(header), body]);
}

function integer(bytes: Uint8Array): Buffer {
  let from = 0;
  while (from < bytes.length - 1 && bytes[from] === 0) from++;
  const positive = bytes[from]! >= 0x80 ? [0] : [];
  const length = bytes.length - from + positive.length;
  return Buffer.concat([Buffer.from([INTEGER, length, ...positive]), bytes.subarray(from)]);
}

/** Undefined for anything but the one encoding of two numbers of at most `length` bytes. */
export function decodeSignature(der: Uint8Array, length: number): RS | undefined {
  const bodyAt = der[1] === 0x81 ? 3 : 2;
  const rEnd = bodyAt + 2 + (der[bodyAt + 1] ?? 0);
  const r = padded(der.subarray(bodyAt + 2, rEnd), length);
  const s = padded(der.subarray(rEnd + 2), length);
  if (!r || !s) return undefined;
  // What encodes to the very same bytes was no other encoding of them.
  return encodeSignature({ r, s }).equals(der) ? { r, s } : undefined;
}

function padded(number: Uint8Array, length: number): Uint8Array | undefined {
  const significant = number[0] === 0 ? number.subarray(1) : number;
  if (significant.length > length) return undefined;
  const bytes = new Uint8Array(length);
  bytes.set(significant, length - significant.length);
  return bytes;
}
