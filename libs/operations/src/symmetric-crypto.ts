import { encodeHeaderPrefix, invalidCiphertext, type ParsedBlob, parseBlob } from '#crypto/ciphertext-blob';
import { canonicalContext } from '#crypto/encryption-context';
import { decryptSymmetric, encryptSymmetric, RANDOM_BYTES } from '#crypto/symmetric';
import { keyArn, parseKmsArn } from '#domain/arn';
import { KmsError } from '#domain/errors';
import { currentVersion } from '#domain/key/state';
import { assertStateAllows, type KeyOperation } from '#domain/key/state-table';
import type { BackingKey } from '#hsm/backing-key';
import { existingKey, type FoundKey, findKey, nowhereFor } from './key-lookup';
import type { Call, DataPorts } from './operation';

export const SYMMETRIC = 'SYMMETRIC_DEFAULT';

export interface Encrypted {
  ciphertext: Buffer;
  materialId: string;
}

/** Refuses what the key's usage, state or spec do not allow, in AWS's order. */
export function assertUsable(found: FoundKey, operation: KeyOperation, algorithm: string | undefined): void {
  assertStateAllows(operation, found.key.keyState, found.arn);
  if (algorithm !== undefined && algorithm !== SYMMETRIC) {
    throw new KmsError(
      'InvalidKeyUsageException',
      `Algorithm ${algorithm} is incompatible with key spec ${found.key.keySpec}.`,
    );
  }
}

export function assertNoRecipient(recipient: unknown): void {
  if (recipient !== undefined) {
    throw new KmsError('UnsupportedOperationException', 'Recipient is not supported by this version of Keytrail.');
  }
}

/** Header prefixes by material id; small, constant, and the same for every call. */
const headerPrefixes = new Map<string, Buffer>();
const MAX_PREFIXES = 20_000;

function headerPrefix(found: FoundKey, materialId: string): Buffer {
  let prefix = headerPrefixes.get(materialId);
  if (!prefix) {
    const { region, account, id } = found.ref;
    prefix = encodeHeaderPrefix({ region, account, keyId: id, materialId });
    if (headerPrefixes.size >= MAX_PREFIXES) headerPrefixes.clear();
    headerPrefixes.set(materialId, prefix);
  }
  return prefix;
}

/** The backing key that encrypts under this key now. */
export const currentBackingKey = (found: FoundKey, ports: DataPorts): BackingKey =>
  ports.backingKey(found.arn, currentVersion(found.key).materialId);

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
    ports.random(RANDOM_BYTES),
  );
  return { ciphertext, materialId };
}

export interface Source {
  found: FoundKey;
  blob: ParsedBlob;
}

/**
 * The key that a ciphertext names. Throws AccessDeniedException if it is one of another region or account, and
 * InvalidCiphertextException if there is none.
 */
export function sourceOf(ciphertext: Uint8Array, call: Call, ports: DataPorts): Source {
  const blob = parseBlob(ciphertext);
  const { region, account } = call.caller;
  if (blob.region !== region || blob.account !== account) {
    if (!ports.projection.key(blob.region, blob.account, blob.keyId)) throw invalidCiphertext();
    const action = call.operation === 'ReEncrypt' ? 'ReEncryptFrom' : call.operation;
    throw nowhereFor(call, action, 'the resource associated with this ciphertext');
  }
  const found = existingKey(region, account, blob.keyId, call, ports.projection);
  if (!found) {
    // A key that was deleted is told apart from a blob that was never ours: the log still knows it.
    if (ports.projection.key(region, account, blob.keyId)) {
      throw new KmsError('NotFoundException', `Key '${keyArn(region, account, blob.keyId)}' does not exist`);
    }
    throw invalidCiphertext();
  }
  if (!found.key.versions.some((version) => version.materialId === blob.materialId)) throw invalidCiphertext();
  return { found, blob };
}

/** A key as a request names it. */
type NamedKey = Pick<FoundKey, 'arn'>;

/**
 * The key that a request says its ciphertext is under. Whether one of another region exists is not asked: it is not
 * the ciphertext's, which is all that AWS says about it.
 */
export function namedSource(keyId: string | undefined, call: Call, ports: DataPorts): NamedKey | undefined {
  if (keyId === undefined) return undefined;
  const region = keyId.startsWith('arn:') ? parseKmsArn(keyId)?.region : undefined;
  if (region !== undefined && region !== call.caller.region) return { arn: keyId };
  return findKey(keyId, 'any', call, ports.projection);
}

/** Refuses a KeyId of the request that is not the key of the ciphertext. */
export function assertSameKey(named: NamedKey | undefined, source: Source): void {
  if (named && named.arn !== source.found.arn) {
    throw new KmsError(
      'IncorrectKeyException',
      'The key ID in the request does not identify a CMK that can perform this operation.',
    );
  }
}

export function decryptFrom(
  { found, blob }: Source,
  context: Record<string, string> | undefined,
  ports: DataPorts,
): Buffer {
  const { keyObject } = ports.backingKey(found.arn, blob.materialId);
  return decryptSymmetric(keyObject, blob, canonicalContext(context));
}
