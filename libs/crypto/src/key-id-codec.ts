/**
 * Key ids inside ciphertext blobs: a byte for the kind, then the id. Every id has exactly one encoding, and decoding
 * refuses any other.
 */
const UUID = 1;
const MULTI_REGION = 2;
const TEXT = 3;

const UUID_FORM = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const MULTI_REGION_FORM = /^mrk-[0-9a-f]{32}$/;
const TEXT_FORM = /^[A-Za-z0-9_-]{1,255}$/;

const hasCompactForm = (keyId: string): boolean => UUID_FORM.test(keyId) || MULTI_REGION_FORM.test(keyId);

/** Throws RangeError for an id that is neither a UUID, nor a multi-Region id, nor 1 to 255 letters, digits, _ and -. */
export function encodeKeyId(keyId: string): Buffer {
  if (UUID_FORM.test(keyId)) return Buffer.concat([Buffer.of(UUID), Buffer.from(keyId.replaceAll('-', ''), 'hex')]);
  if (MULTI_REGION_FORM.test(keyId))
    return Buffer.concat([Buffer.of(MULTI_REGION), Buffer.from(keyId.slice(4), 'hex')]);
  if (!TEXT_FORM.test(keyId)) throw new RangeError(`not a key id: ${keyId}`);
  return Buffer.concat([Buffer.of(TEXT, keyId.length), Buffer.from(keyId, 'latin1')]);
}

/** Reads one encoded id through `take`, which gives the next bytes. Undefined where it is not one. */
export function decodeKeyId(take: (length: number) => Buffer): string | undefined {
  switch (take(1)[0]) {
    case UUID: {
      const hex = take(16).toString('hex');
      return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
    }
    case MULTI_REGION:
      return `mrk-${take(16).toString('hex')}`;
    case TEXT: {
      const text = take(take(1)[0]!).toString('latin1');
      return TEXT_FORM.test(text) && !hasCompactForm(text) ? text : undefined;
    }
    default:
      return undefined;
  }
}
