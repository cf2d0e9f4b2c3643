import { includesPairs, samePairs } from './constraints';
import type { GrantConstraints } from './events';
import type { GrantOperation } from './grant-operations';

interface Delegable {
  operations: readonly GrantOperation[];
  constraints?: GrantConstraints;
}

/**
 * Whether a grant that allows CreateGrant allows to create this one with it: it must give no operation that `held`
 * lacks, and be constrained at least as strictly (CreateGrant and GrantConstraints, AWS KMS API). Whatever a chain of
 * such grants allows, its first grant allows too.
 */
export function canDelegate(held: Delegable, given: Delegable): boolean {
  if (!held.operations.includes('CreateGrant')) return false;
  if (!given.operations.every((operation) => held.operations.includes(operation))) return false;
  const { encryptionContextEquals: heldEquals, encryptionContextSubset: heldSubset } = held.constraints ?? {};
  const { encryptionContextEquals: equals, encryptionContextSubset: subset } = given.constraints ?? {};
  if (heldEquals && !(equals && samePairs(equals, heldEquals))) return false;
  if (!heldSubset) return true;
  const required = equals ?? subset;
  return required !== undefined && includesPairs(required, heldSubset);
}
