const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** Of users, roles, long-term and temporary access keys. */
export type IdPrefix = 'AIDA' | 'AROA' | 'AKIA' | 'ASIA';

/** 5 bits of each byte: together 80, too many ever to meet twice. */
export const ID_BYTES = 16;

/** `AIDA` and 16 characters of base32, as AWS's are. */
export function uniqueId(prefix: IdPrefix, random: Uint8Array): string {
  if (random.length !== ID_BYTES) throw new RangeError(`an id takes ${ID_BYTES} random bytes`);
  return prefix + Array.from(random, (byte) => BASE32[byte & 31]).join('');
}
