import { invalidCiphertext, type ParsedBlob, parseBlob } from '#crypto/ciphertext-blob';
import { keyArn, parseKmsArn } from '#domain/arn';
import { KmsError } from '#domain/errors';
import { materialOf } from '#domain/key/imported/copies';
import { isMultiRegionId, sharesMaterial } from '#domain/key/material-owner';
import { isLiving, type LivingKey } from '#domain/key/state';
import { type Asked, authorizeKey } from './authorization';
import { existingKey, type FoundKey, findKey, nowhereFor } from './key-lookup';
import type { Call, DataPorts } from './operation';

export interface Source {
  found: FoundKey;
  blob: ParsedBlob;
}

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
