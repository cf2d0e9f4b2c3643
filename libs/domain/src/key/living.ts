import { KmsError } from '../errors';
import type { DecideContext } from './commands';
import { asOf } from './imported/copies';
import { isLiving, type Key, type LivingKey } from './state';
import { assertStateAllows, type KeyOperation } from './state-table';

export const keyNotFound = (keyArn: string): KmsError =>
  new KmsError('NotFoundException', `Key '${keyArn}' does not exist`);

/**
 * The key as callers see it at `now`: once its waiting period is over it is gone, and imported material that has expired is,
 * fired or not.
 */
export function livingKeyAt(key: Key, now: string): LivingKey | undefined {
  if (!isLiving(key) || (key.keyState === 'PendingDeletion' && key.deletionDate <= now)) return undefined;
  return key.origin === 'EXTERNAL' ? asOf(key, now) : key;
}

/** Nobody disables, deletes or otherwise changes an AWS managed key. */
export function assertChangeable({ manager }: LivingKey, keyArn: string): void {
  if (manager === 'AWS') {
    throw new KmsError('UnsupportedOperationException', `${keyArn} is an AWS managed key: it cannot be changed.`);
  }
}

/** The key, whose state allows the operation. Throws KmsError where AWS would refuse. */
export function usableKey(operation: KeyOperation, key: Key, context: DecideContext): LivingKey {
  const living = livingKeyAt(key, context.now);
  if (!living) throw keyNotFound(context.keyArn);
  assertChangeable(living, context.keyArn);
  assertStateAllows(operation, living.keyState, context.keyArn);
  return living;
}
