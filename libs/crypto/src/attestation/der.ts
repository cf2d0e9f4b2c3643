const SEQUENCE = 0x30;

/** Whether `bytes` are one DER SEQUENCE of 128 to 65,535 bytes of content, and nothing behind it. */
export function isOneDerSequence(bytes: Uint8Array): boolean {
  if (bytes[0] !== SEQUENCE) return false;
  if (bytes[1] === 0x81) return bytes[2]! >= 128 && bytes.length === 3 + bytes[2]!;
  if (bytes[1] !== 0x82) return false;
  const length = bytes[2]! * 256 + bytes[3]!;
  return length >= 256 && bytes.length === 4 + length;
}
