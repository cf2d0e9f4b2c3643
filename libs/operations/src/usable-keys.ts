import { KmsError } from '#domain/errors';
import { cryptographicState } from '#domain/key/imported/copies';
import {
  assertAlgorithmFits,
  assertUsageAllows,
  type CryptographicOperation,
  isSymmetricEncryption,
} from '#domain/key/key-kinds';
import { assertStateAllows, type KeyOperation } from '#domain/key/state-table';
import type { Asked } from './authorization';
import type { FoundKey } from './key-lookup';
import type { Recipient } from './recipient';

export const SYMMETRIC = 'SYMMETRIC_DEFAULT';

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
