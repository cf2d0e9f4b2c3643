import { createHash, randomBytes } from 'node:crypto';

/** The hash functions that RSA signatures of AWS KMS are over. */
export type RsaHash = 'sha256' | 'sha384' | 'sha512';

export const HASH_LENGTH = { sha256: 32, sha384: 48, sha512: 64 } as const satisfies Record<RsaHash, number>;

/** DER of DigestInfo, up to the digest: RFC 8017 section 9.2, note 1. */
const DIGEST_INFO: Record<RsaHash, Buffer> = {
  sha256: Buffer.from('3031300d060960864801650304020105000420', 'hex'),
  sha384: Buffer.from('3041300d060960864801650304020205000430', 'hex'),
  sha512: Buffer.from('3051300d060960864801650304020305000440', 'hex'),
};

/** DigestInfo of a digest: what PKCS #1 v1.5 pads, and what a signature of its is recovered to. */
export const digestInfo = (hash: RsaHash, digest: Uint8Array): Buffer => Buffer.concat([DIGEST_INFO[hash], digest]);

const TRAILER = 0xbc;

/** MGF1 of RFC 8017 appendix B.2.1. */
function mask(hash: RsaHash, seed: Uint8Array, length: number): Buffer {
  const blocks: Buffer[] = [];
  const counter = Buffer.alloc(4);
  for (let at = 0; at * HASH_LENGTH[hash] < length; at++) {
    counter.writeUInt32BE(at);
    blocks.push(createHash(hash).update(seed).update(counter).digest());
  }
  return Buffer.concat(blocks, length);
}

const hashOf = (hash: RsaHash, digest: Uint8Array, salt: Uint8Array): Buffer =>
  createHash(hash).update(Buffer.alloc(8)).update(digest).update(salt).digest();

/**
 * EMSA-PSS of RFC 8017 section 9.1.1, from step 3: over a digest, with a salt as long as the digest, and MGF1 with the same
 * hash. For moduli of whole bytes. `modulusLength` bytes.
 */
export function encodePss(
  hash: RsaHash,
  digest: Uint8Array,
  modulusLength: number,
  salt: Uint8Array = randomBytes(HASH_LENGTH[hash]),
): Buffer {
  const h = hashOf(hash, digest, salt);
  const dataLength = modulusLength - h.length - 1;
  const data = Buffer.alloc(dataLength);
  data[dataLength - salt.length - 1] = 1;
  data.set(salt, dataLength - salt.length);
  const dataMask = mask(hash, h, dataLength);
  for (let at = 0; at < dataLength; at++) data[at]! ^= dataMask[at]!;
  data[0]! &= 0x7f;
  return Buffer.concat([data, h, Buffer.of(TRAILER)]);
}

/** EMSA-PSS-VERIFY of RFC 8017 section 9.1.2, from step 4, for the same. All that it reads is public. */
export function isPssOf(hash: RsaHash, digest: Uint8Array, encoded: Uint8Array): boolean {
  const hashLength = HASH_LENGTH[hash];
  const dataLength = encoded.length - hashLength - 1;
  const saltAt = dataLength - hashLength;
  if (saltAt < 1 || encoded[encoded.length - 1] !== TRAILER || encoded[0]! >= 0x80) return false;
  const h = encoded.subarray(dataLength, -1);
  const data = mask(hash, h, dataLength);
  for (let at = 0; at < dataLength; at++) data[at]! ^= encoded[at]!;
  data[0]! &= 0x7f;
  if (data.subarray(0, saltAt - 1).some((byte) => byte !== 0) || data[saltAt - 1] !== 1) return false;
  return hashOf(hash, digest, data.subarray(saltAt)).equals(h);
}
