import { KmsError } from '#domain/errors';
import type { CompiledPolicy } from './compile';
import { covers } from './principals';
import type { Principal } from './request';

/** Actions are compared without case. */
const PUT_KEY_POLICY = 'kms:putkeypolicy';

/**
 * Whether nobody asking as `caller`, or through the caller's account, could surely put the next policy of the key.
 * Conditional statements count for nothing: what the next request's context will be is not known.
 * Without `keyArn` (a key not yet created) only the resource `*` counts as the key.
 */
export function locksOut({ statements, namedIds }: CompiledPolicy, caller: Principal, keyArn = '*'): boolean {
  const applying = statements.filter(
    ({ principals, effect, fitsAction, fitsResource, conditions }) =>
      conditions.length === 0 &&
      covers(principals!, effect, caller, namedIds) !== undefined &&
      fitsAction(PUT_KEY_POLICY) &&
      fitsResource(keyArn, () => undefined),
  );
  const effects = new Set(applying.map(({ effect }) => effect));
  return effects.has('Deny') || !effects.has('Allow');
}

/** The safety check of CreateKey and PutKeyPolicy: whoever sets a policy must be able to set the next one. */
export function assertNotLockedOut(policy: CompiledPolicy, caller: Principal, keyArn?: string): void {
  if (locksOut(policy, caller, keyArn)) {
    throw new KmsError(
      'MalformedPolicyDocumentException',
      'The new key policy will not allow you to update the key policy in the future.',
    );
  }
}
