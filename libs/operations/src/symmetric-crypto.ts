import { LRUCache } from 'lru-cache';
import {
  encodeHeaderPrefix,
  invalidCiphertext,
  type ParsedBlob,
  parseBlob,
  RANDOM_LENGTH,
} from '#crypto/ciphertext-blob';
import { canonicalContext } from '#crypto/encryption-context';
import { decryptSymmetric, encryptSymmetric } from '#crypto/symmetric';
import { keyArn, parseKmsArn } from '#domain/arn';
import { KmsError } from '#domain/errors';
import { cryptographicState, materialOf } from '#domain/key/imported/copies';
import {
  assertAlgorithmFits,
  assertUsageAllows,
  type CryptographicOperation,
  isSymmetricEncryption,
} from '#domain/key/key-kinds';
import { isMultiRegionId, materialOwner, sharesMaterial } from '#domain/key/material-owner';
import { currentVersion, isLiving, type KeyVersion, type LivingKey } from '#domain/key/state';
import { assertStateAllows, type KeyOperation } from '#domain/key/state-table';
import type { BackingKey } from '#hsm/backing-key';
import { type Asked, authorizeKey } from './authorization';
import { existingKey, type FoundKey, findKey, nowhereFor } from './key-lookup';
import type { Call, DataPorts } from './operation';
import type { Recipient } from './recipient';

export const SYMMETRIC = 'SYMMETRIC_DEFAULT';

export interface Encrypted {
  ciphertext: Buffer;
  materialId: string;
}

/** Of these two AWS's table of key states has one row. */
const isReEncryption = (operation: CryptographicOperation): operation is 'ReEncryptFrom' | 'ReEncryptTo' =>
  operation === 'ReEncryptFrom' || operation === 'ReEncryptTo';

/** In AWS's order: refuses what the key is not for, what its state does not allow, and what its spec has not. */
export function assertUsable(
  { key, arn }: FoundKey,
  operation: CryptographicOperation,
  algorithm: string = SYMMETRIC,
): void {
  assertUsageAllows(operation, key, arn);
  assertStateAllows(isReEncryption(operation) ? 'ReEncrypt' : operation, cryptographicState(key), arn);
  assertAlgorithmFits(algorithm, key);
}

/** The same of an operation that encrypts a data key. */
export function assertUsableForDataKeys(
  { key, arn }: FoundKey,
  operation: KeyOperation & CryptographicOperation,
): void {
  assertUsageAllows(operation, key, arn);
  assertStateAllows(operation, cryptographicState(key), arn);
  if (isSymmetricEncryption(key.keySpec)) return;
  throw new KmsError('InvalidKeyUsageException', 'You cannot generate a data key with an asymmetric CMK');
}

/** By material id, of related keys by region too: small, and the same for every call. */
const headerPrefixes = new LRUCache<string, Buffer>({ max: 20_000 });

function headerPrefix({ ref, key }: FoundKey, materialId: string): Buffer {
  const id = key.multiRegion ? `${ref.region} ${materialId}` : materialId;
  const known = headerPrefixes.get(id);
  if (known) return known;
  const prefix = encodeHeaderPrefix({ region: ref.region, account: ref.account, keyId: ref.id, materialId });
  headerPrefixes.set(id, prefix);
  return prefix;
}

/** The backing key that encrypts under this key now. */
export const currentBackingKey = (found: FoundKey, ports: DataPorts): BackingKey =>
  ports.backingKey(materialOwner(found.arn, found.key), currentVersion(found.key));

/**
 * Throws MaterialNotLoaded where that one has yet to come: before a dry run passes, and before anything is made or opened that
 * the next try would make or open again.
 */
export function assertLoaded(found: FoundKey, ports: DataPorts): void {
  currentBackingKey(found, ports);
}

/** Encrypts under the current version. */
export function encryptUnder(
  found: FoundKey,
  plaintext: Uint8Array,
  context: Record<string, string> | undefined,
  ports: DataPorts,
): Encrypted {
  const { keyObject, materialId } = currentBackingKey(found, ports);
  const prefix = headerPrefix(found, materialId);
  const ciphertext = encryptSymmetric(
    keyObject,
    prefix,
    canonicalContext(context),
    plaintext,
    ports.random(RANDOM_LENGTH),
  );
  return { ciphertext, materialId };
}

export interface Source {
  found: FoundKey;
  blob: ParsedBlob;
}

/** What an operation that encrypts or decrypts asks for. */
export const cryptographic = (
  encryptionContext: Record<string, string> | undefined,
  algorithm: string | undefined = SYMMETRIC,
  recipient?: Recipient,
): Asked => ({
  encryptionContext,
  recipient,
  context: (key) => (key === 'kms:encryptionalgorithm' ? algorithm : undefined),
});

const OF_CIPHERTEXT = 'the resource associated with this ciphertext';

/**
 * The key that a ciphertext names; the one that is related to it here, where it names a multi-Region key of another region.
 * Throws AccessDeniedException if there is none in this region, or it is gone from another account, and InvalidCiphertextException if there never was one.
 */
function sourceOf(ciphertext: Uint8Array, call: Call, ports: DataPorts, action: string): Source {
  const blob = parseBlob(ciphertext);
  const { region, account } = call.caller;
  const known = ports.projection.key(blob.region, blob.account, blob.keyId);
  if (!known) throw invalidCiphertext();
  const isHere = blob.region === region || isMultiRegionId(blob.keyId);
  const found = isHere ? existingKey(region, blob.account, blob.keyId, call, ports.projection) : undefined;
  if (!found) {
    const wasHere = isHere && ports.projection.key(region, blob.account, blob.keyId) !== undefined;
    if (!wasHere || blob.account !== account) throw nowhereFor(call, action, OF_CIPHERTEXT);
    // A key that was deleted is told apart from a blob that was never ours: the log still knows it.
    throw new KmsError('NotFoundException', `Key '${keyArn(region, account, blob.keyId)}' does not exist`);
  }
  return { found, blob };
}

interface SourceAsked {
  /** As the request names the key, if it does. */
  keyId: string | undefined;
  ciphertext: Uint8Array;
  /** What is done with the source, without `kms:`. */
  action: string;
  askedOf(found: FoundKey): Asked;
}

/**
 * The key of a ciphertext, which the caller may use, and which is the one that the request names if it names any. That
 * one is authorised first, so that what is said of it is said only to who may know. Whether a key of another region
 * exists is not asked: it is not the ciphertext's, which is all that AWS says about it.
 */
export function authorizedSource(
  { keyId, ciphertext, action, askedOf }: SourceAsked,
  call: Call,
  ports: DataPorts,
): Source {
  const region = keyId?.startsWith('arn:') ? parseKmsArn(keyId)?.region : undefined;
  const elsewhere = region !== undefined && region !== call.caller.region;
  const named = keyId === undefined || elsewhere ? undefined : findKey(keyId, 'any', call, ports.projection, action);
  if (named) authorizeKey(call, ports.projection, named, askedOf(named));
  const source = sourceOf(ciphertext, call, ports, action);
  if (elsewhere || (named && named.arn !== source.found.arn)) {
    throw new KmsError(
      'IncorrectKeyException',
      'The key ID in the request does not identify a CMK that can perform this operation.',
    );
  }
  if (!named) {
    const { found } = source;
    authorizeKey(call, ports.projection, found, { ...askedOf(found), calledIt: OF_CIPHERTEXT });
  }
  if (!hasMaterial(source, ports)) throw invalidCiphertext();
  return source;
}

/** Whether the ciphertext's material is the key's. A related key may know of a rotation before this one does. */
function hasMaterial({ found, blob }: Source, { projection }: DataPorts): boolean {
  const isOf = (key: LivingKey): boolean => materialOf(key, blob.materialId) !== undefined;
  if (isOf(found.key)) return true;
  if (!sharesMaterial(found.key)) return false;
  for (const { state } of projection.relatedKeys(found.ref)) if (isLiving(state) && isOf(state)) return true;
  return false;
}

export function decryptFrom(
  { found, blob }: Source,
  context: Record<string, string> | undefined,
  ports: DataPorts,
): Buffer {
  const { materialId } = blob;
  const held: Pick<KeyVersion, 'materialId' | 'storedAs'> = materialOf(found.key, materialId) ?? { materialId };
  // Its primary has rotated to what this key has no copy of, and this one is about to learn of it.
  if (found.key.origin === 'EXTERNAL' && held.storedAs === undefined) {
    assertStateAllows('Decrypt', 'PendingImport', found.arn);
  }
  const { keyObject } = ports.backingKey(materialOwner(found.arn, found.key), held);
  return decryptSymmetric(keyObject, blob, canonicalContext(context));
}
