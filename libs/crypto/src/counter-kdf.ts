import { createHmac, type KeyObject } from 'node:crypto';

const COUNTER_ONE = Buffer.from([0, 0, 0, 1]);

/**
 * SP 800-108r1 section 4.1, KDF in counter mode with HMAC-SHA-256, one block: K = HMAC(key, [1] || fixedInput), with a
 * 32-bit counter before the fixed input. 32 bytes; the caller zeroises them.
 */
export const counterKdf = (key: KeyObject | Uint8Array, fixedInput: Uint8Array): Buffer =>
  createHmac('sha256', key).update(COUNTER_ONE).update(fixedInput).digest();

/** SP 800-108r1's own form of the fixed input: label || 0x00 || context || output length in bits (32 bits, here 256). */
export function fixedInput(label: string, context: Uint8Array): Buffer {
  const outputBits = Buffer.alloc(4);
  outputBits.writeUInt32BE(256);
  return Buffer.concat([Buffer.from(label, 'utf8'), Buffer.of(0), context, outputBits]);
}
