import { KmsError } from '#domain/errors';
import { type PolicyDocument, parsePolicyDocument } from '#policy/document';
import { assertNotLockedOut } from '#policy/lockout';
import type { ContextLookup } from '#policy/variables';
import type { Projection } from '#views/projection';
import { fixedContext } from './condition-context';
import type { Call } from './operation';

/**
 * Refuses a policy that a key may not be given: one that is none (MalformedPolicyDocumentException,
 * LimitExceededException), names somebody who does not exist, or would keep the caller from putting the next. Without
 * `keyArn` the key is yet to be created.
 */
export function assertKeyPolicy(
  policy: string,
  bypassLockoutCheck: boolean | undefined,
  call: Call,
  projection: Projection,
  keyArn?: string,
): void {
  const document = parsePolicyDocument(policy);
  assertPrincipalsExist(document, call, projection);
  if (!bypassLockoutCheck) assertNotLockedOut(document, call.caller.principal, keyArn);
}

/** What CreateKey and PutKeyPolicy add to the condition context. */
export const bypassContext = (request: { BypassPolicyLockoutSafetyCheck?: boolean }): ContextLookup =>
  fixedContext({ 'kms:bypasspolicylockoutsafetycheck': request.BypassPolicyLockoutSafetyCheck ?? false });

/** Of accounts that this deployment does not know, nothing is known. */
function assertPrincipalsExist({ statements }: PolicyDocument, { caller }: Call, projection: Projection): void {
  const isKnown = (account: string): boolean =>
    account === caller.account ||
    projection.account(account)?.state.kind === 'Account' ||
    projection.principalCount('User', account) + projection.principalCount('Role', account) > 0;
  for (const { principal } of statements) {
    for (const name of (principal && principal.of !== '*' && principal.of.AWS) || []) {
      const [, account = '', kind, rest = ''] =
        /^arn:[^:]+:(?:iam|sts)::(\d{12}):(user|role|assumed-role)\/(.+)$/.exec(name) ?? [];
      if (kind !== undefined && isKnown(account) && !exists(kind, account, rest, projection)) throw invalidPrincipal();
    }
  }
}

/** `rest`: path and name, or of a session role and session name. */
function exists(kind: string, account: string, rest: string, projection: Projection): boolean {
  if (kind === 'assumed-role') return projection.role(account, rest.split('/')[0]!)?.state.kind === 'Role';
  const slash = rest.lastIndexOf('/') + 1;
  const name = rest.slice(slash);
  const state = (kind === 'user' ? projection.user(account, name) : projection.role(account, name))?.state;
  // The ARN has the name as it was given, and its path.
  return (state?.kind === 'User' || state?.kind === 'Role') && state.path + state.name === `/${rest}`;
}

const invalidPrincipal = (): KmsError =>
  new KmsError('MalformedPolicyDocumentException', 'Policy contains a statement with one or more invalid principals.');
