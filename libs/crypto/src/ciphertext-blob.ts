import { isRegionName } from '#domain/arn';
import { KmsError } from '#domain/errors';
import { IV_LENGTH, TAG_LENGTH } from './aes-gcm';
import { decodeKeyId, encodeKeyId } from './key-id-codec';

/**
 * A symmetric ciphertext, version 1. It names its key and material, so Decrypt needs no KeyId and every key version
 * decrypts for ever. Numbers are big endian.
 *
 *   1  magic 0x4b                     1  version 1
 *   1  algorithm: where the key is, and how it encrypts (below)
 *   1  length of region, then region  5  account
 *   1  kind of key id, then key id   32  material id
 *                                        (so far the prefix: the same for all ciphertexts of one material)
 *
 * Algorithm 1, AES-256-GCM under an SP 800-108 message key:
 *
 *  16  nonce N of the key derivation 12  IV
 *   2  length of ciphertext, then ciphertext
 *  16  tag
 *
 * Algorithm 2, in an AWS CloudHSM cluster: what the cluster made of the plaintext.
 *
 * Algorithm 3, in an external key store: as 1 up to the length of the ciphertext, then what the external key made of ciphertext
 * and tag.
 *
 * All that stands before the ciphertext, or before what a store made, is the header, and is authenticated. Each field's length follows from the bytes
 * before it, so no header is the beginning of another one, and header || context is injective.
 */
const MAGIC = 0x4b;
const VERSION = 1;
const ALGORITHMS = { kms: 1, cluster: 2, external: 3 } as const;
/** Where a key is: in KMS alone, in an AWS CloudHSM cluster, or in an external key store as well. */
export type KeyPlace = keyof typeof ALGORITHMS;
const ACCOUNT_LENGTH = 5;
const MATERIAL_ID_LENGTH = 32;
export const NONCE_LENGTH = 16;
/** What one encryption needs of fresh random bytes: nonce N, then IV. */
export const RANDOM_LENGTH = NONCE_LENGTH + IV_LENGTH;
const MAX_CIPHERTEXT = 0xffff;
const MAX_ACCOUNT = 999_999_999_999;

/** What a ciphertext says about the key it needs. */
export interface BlobKey {
  region: string;
  /** 12 digits. */
  account: string;
  keyId: string;
  /** 64 lower-case hex digits. */
  materialId: string;
}

/** A blob's parts. The buffers are views of the parsed bytes. */
export type ParsedBlob = SymmetricBlob | ClusterBlob | ExternalBlob;

/** One that KMS made alone. */
export interface SymmetricBlob extends BlobKey {
  place: 'kms';
  /** Everything before the ciphertext: what is authenticated. */
  header: Buffer;
  nonce: Buffer;
  iv: Buffer;
  ciphertext: Buffer;
  tag: Buffer;
}

/** One that a cluster made. */
export interface ClusterBlob extends BlobKey {
  place: 'cluster';
  header: Buffer;
  /** What the cluster opens. */
  sealed: Buffer;
}

/** One that KMS made, and an external key over it. */
export interface ExternalBlob extends BlobKey {
  place: 'external';
  header: Buffer;
  nonce: Buffer;
  iv: Buffer;
  ciphertextLength: number;
  /** What the external key opens, to ciphertext and tag. */
  sealed: Buffer;
}

/** The beginning that all ciphertexts of one material share: worth keeping. Throws RangeError for a key no blob can name. */
export function encodeHeaderPrefix(key: BlobKey, place: KeyPlace = 'kms'): Buffer {
  if (!isRegionName(key.region)) throw new RangeError(`not a region name: ${key.region}`);
  if (!/^[0-9]{12}$/.test(key.account)) throw new RangeError(`not an account id: ${key.account}`);
  if (!/^[0-9a-f]{64}$/.test(key.materialId)) throw new RangeError(`not a material id: ${key.materialId}`);
  const account = Buffer.alloc(ACCOUNT_LENGTH);
  account.writeUIntBE(Number(key.account), 0, ACCOUNT_LENGTH);
  return Buffer.concat([
    Buffer.of(MAGIC, VERSION, ALGORITHMS[place], key.region.length),
    Buffer.from(key.region, 'latin1'),
    account,
    encodeKeyId(key.keyId),
    Buffer.from(key.materialId, 'hex'),
  ]);
}

/** A new blob with its whole header written, and the offset at which ciphertext || tag belong. */
export function startBlob(
  prefix: Uint8Array,
  random: Uint8Array,
  plaintextLength: number,
): { blob: Buffer; offset: number } {
  if (random.length !== RANDOM_LENGTH) throw new RangeError(`nonce and IV have ${RANDOM_LENGTH} bytes`);
  if (plaintextLength > MAX_CIPHERTEXT) throw new RangeError(`a blob holds ${MAX_CIPHERTEXT} bytes at most`);
  const offset = prefix.length + RANDOM_LENGTH + 2;
  const blob = Buffer.allocUnsafe(offset + plaintextLength + TAG_LENGTH);
  blob.set(prefix, 0);
  blob.set(random, prefix.length);
  blob.writeUInt16BE(plaintextLength, offset - 2);
  return { blob, offset };
}

/** Throws InvalidCiphertextException for anything but exactly one blob. */
export function parseBlob(bytes: Uint8Array): ParsedBlob {
  const blob = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let offset = 0;
  const take = (length: number): Buffer => {
    if (offset + length > blob.length) throw invalidCiphertext();
    offset += length;
    return blob.subarray(offset - length, offset);
  };
  const takeByte = (): number => take(1)[0]!;

  if (takeByte() !== MAGIC || takeByte() !== VERSION) throw invalidCiphertext();
  const place = placeOf(takeByte());
  const region = take(takeByte()).toString('latin1');
  const account = take(ACCOUNT_LENGTH).readUIntBE(0, ACCOUNT_LENGTH);
  if (!isRegionName(region) || account > MAX_ACCOUNT) throw invalidCiphertext();
  const keyId = decodeKeyId(take);
  if (keyId === undefined) throw invalidCiphertext();
  const materialId = take(MATERIAL_ID_LENGTH).toString('hex');
  const key: BlobKey = { region, account: String(account).padStart(12, '0'), keyId, materialId };
  const rest = (): Buffer => (offset === blob.length ? fail() : take(blob.length - offset));
  if (place === 'cluster') return { ...key, place, header: blob.subarray(0, offset), sealed: rest() };
  const nonce = take(NONCE_LENGTH);
  const iv = take(IV_LENGTH);
  const ciphertextLength = take(2).readUInt16BE(0);
  const header = blob.subarray(0, offset);
  if (place === 'external') return { ...key, place, header, nonce, iv, ciphertextLength, sealed: rest() };
  const ciphertext = take(ciphertextLength);
  const tag = take(TAG_LENGTH);
  if (offset !== blob.length) throw invalidCiphertext();
  return { ...key, place, header, nonce, iv, ciphertext, tag };
}

const fail = (): never => {
  throw invalidCiphertext();
};

function placeOf(algorithm: number): KeyPlace {
  for (const [place, code] of Object.entries(ALGORITHMS)) if (code === algorithm) return place as KeyPlace;
  return fail();
}

/** AWS KMS gives this error no message, so that it tells an attacker nothing. */
export const invalidCiphertext = (): KmsError => new KmsError('InvalidCiphertextException', '');
