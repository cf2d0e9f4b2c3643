import { KmsError } from '#domain/errors';
import type { NamedIds } from '#domain/named-ids';
import { compilePolicy } from '#policy/compile';
import { defaultKeyPolicy, parsePolicyDocument } from '#policy/document';
import { assertNotLockedOut } from '#policy/lockout';
import type { ContextLookup } from '#policy/variables';
import type { Projection } from '#views/projection';
import { fixedContext } from './condition-context';
import { namedIdsOf } from './named-principals';
import type { Call } from './operation';

/** A policy to put, and whom it means. */
export interface CheckedKeyPolicy {
  policy: string;
  namedIds: NamedIds;
}

/**
 * Refuses a policy that a key may not be given: one that is none (MalformedPolicyDocumentException,
 * LimitExceededException), names somebody who does not exist, or would keep the caller from putting the next. Without
 * `keyArn` the key is yet to be created. The ids are of those who were found to exist, whoever has their names later.
 */
export function checkKeyPolicy(
  policy: string,
  bypassLockoutCheck: boolean | undefined,
  call: Call,
  projection: Projection,
  keyArn?: string,
): CheckedKeyPolicy {
  const document = parsePolicyDocument(policy);
  const namedIds = namedIdsOf(document, call, projection, invalidPrincipal);
  if (!bypassLockoutCheck) assertNotLockedOut(compilePolicy(document, namedIds), call.caller.principal, keyArn);
  return { policy, namedIds };
}

/** The policy that a new key is to have: the given one, checked, or the default. */
export function newKeyPolicy(
  request: { Policy?: string; BypassPolicyLockoutSafetyCheck?: boolean },
  call: Call,
  projection: Projection,
  keyArn?: string,
): CheckedKeyPolicy {
  if (request.Policy === undefined) return { policy: defaultKeyPolicy(call.caller.account), namedIds: {} };
  return checkKeyPolicy(request.Policy, request.BypassPolicyLockoutSafetyCheck, call, projection, keyArn);
}

/** What CreateKey and PutKeyPolicy add to the condition context. */
export const bypassContext = (request: { BypassPolicyLockoutSafetyCheck?: boolean }): ContextLookup =>
  fixedContext({ 'kms:bypasspolicylockoutsafetycheck': request.BypassPolicyLockoutSafetyCheck ?? false });

const invalidPrincipal = (): KmsError =>
  new KmsError('MalformedPolicyDocumentException', 'Policy contains a statement with one or more invalid principals.');
