import { LRUCache } from 'lru-cache';
import { encodeHeaderPrefix, invalidCiphertext, RANDOM_LENGTH } from '#crypto/ciphertext-blob';
import { canonicalContext } from '#crypto/encryption-context';
import { decryptSymmetric, encryptSymmetric } from '#crypto/symmetric';
import { materialOf } from '#domain/key/imported/copies';
import { materialOwner } from '#domain/key/material-owner';
import { currentVersion, type KeyVersion } from '#domain/key/state';
import { assertStateAllows } from '#domain/key/state-table';
import type { BackingKey } from '#hsm/backing-key';
import type { Source } from './ciphertext-source';
import {
  openExternally,
  openInCluster,
  placeOf,
  sealExternally,
  sealInCluster,
} from './custom-key-stores/store-crypto';
import type { FoundKey } from './key-lookup';
import type { Call, DataPorts } from './operation';

export interface Encrypted {
  ciphertext: Buffer;
  materialId: string;
}

/** By material id, of related keys by region too: small, and the same for every call. */
const headerPrefixes = new LRUCache<string, Buffer>({ max: 20_000 });

function headerPrefix({ ref, key }: FoundKey, materialId: string): Buffer {
  const id = key.multiRegion ? `${ref.region} ${materialId}` : materialId;
  const known = headerPrefixes.get(id);
  if (known) return known;
  const named = { region: ref.region, account: ref.account, keyId: ref.id, materialId };
  const prefix = encodeHeaderPrefix(named, placeOf(key));
  headerPrefixes.set(id, prefix);
  return prefix;
}

/** The backing key that encrypts under this key now. */
export const currentBackingKey = (found: FoundKey, ports: DataPorts): BackingKey =>
  ports.backingKey(materialOwner(found.arn, found.key), currentVersion(found.key));

/**
 * Throws MaterialNotLoaded where that one has yet to come: before a dry run passes, and before anything is made or opened that
 * the next try would make or open again. What is in a cluster is asked for there.
 */
export function assertLoaded(found: FoundKey, ports: DataPorts): void {
  if (placeOf(found.key) !== 'cluster') currentBackingKey(found, ports);
}

/** Encrypts under the current version, where that is. */
export function encryptUnder(
  found: FoundKey,
  plaintext: Uint8Array,
  context: Record<string, string> | undefined,
  call: Call,
  ports: DataPorts,
): Encrypted {
  const bound = canonicalContext(context);
  if (placeOf(found.key) === 'cluster') {
    const { materialId } = currentVersion(found.key);
    const prefix = headerPrefix(found, materialId);
    return { ciphertext: sealInCluster(found, prefix, plaintext, bound, call, ports), materialId };
  }
  const { keyObject, materialId } = currentBackingKey(found, ports);
  const prefix = headerPrefix(found, materialId);
  const encrypt = () => encryptSymmetric(keyObject, prefix, bound, plaintext, ports.random(RANDOM_LENGTH));
  if (placeOf(found.key) === 'kms') return { ciphertext: encrypt(), materialId };
  return { ciphertext: sealExternally(found, encrypt, plaintext.length, bound, call, ports), materialId };
}

/** With the key that the ciphertext names, where that is. */
export function decryptFrom(
  source: Source,
  context: Record<string, string> | undefined,
  call: Call,
  ports: DataPorts,
): Buffer {
  const { found, blob } = source;
  const place = placeOf(found.key);
  if (blob.place !== place) throw invalidCiphertext();
  if (blob.place === 'cluster') return openInCluster(found, blob, canonicalContext(context), call, ports);
  const { materialId } = blob;
  const held: Pick<KeyVersion, 'materialId' | 'storedAs'> = materialOf(found.key, materialId) ?? { materialId };
  // Its primary has rotated to what this key has no copy of, and this one is about to learn of it.
  if (found.key.origin === 'EXTERNAL' && held.storedAs === undefined) {
    assertStateAllows('Decrypt', 'PendingImport', found.arn);
  }
  const { keyObject } = ports.backingKey(materialOwner(found.arn, found.key), held);
  const bound = canonicalContext(context);
  const inner = blob.place === 'kms' ? blob : openExternally(found, blob, bound, call, ports);
  return decryptSymmetric(keyObject, inner, bound);
}
