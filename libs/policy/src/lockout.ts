import { KmsError } from '#domain/errors';
import type { Listed, PolicyDocument, Statement } from './document';
import { coversCaller } from './principals';
import { matchesWildcard } from './wildcard';

/** Actions are compared without case. */
const PUT_KEY_POLICY = 'kms:putkeypolicy';

/**
 * Whether nobody asking as `callerArn`, or through the caller's account, could surely put the next policy of the key.
 * Conditional statements count for nothing: what the next request's context will be is not known.
 * Without `keyArn` (a key not yet created) only the resource `*` counts as the key.
 */
export function locksOut(document: PolicyDocument, callerArn: string, keyArn?: string): boolean {
  const applies = (statement: Statement): boolean =>
    statement.conditions.length === 0 &&
    holds(statement.principal, (principals) => coversCaller(principals, callerArn)) &&
    holds(statement.action, (actions) =>
      actions.some((action) => matchesWildcard(action.toLowerCase(), PUT_KEY_POLICY)),
    ) &&
    holds(statement.resource, (resources) => resources.some((resource) => isKey(resource, keyArn)));
  const effects = new Set(document.statements.filter(applies).map(({ effect }) => effect));
  return effects.has('Deny') || !effects.has('Allow');
}

/** An absent element matches nothing, so its statement has no effect. */
const holds = <T>(listed: Listed<T> | undefined, matches: (of: T) => boolean): boolean =>
  listed !== undefined && matches(listed.of) !== listed.not;

const isKey = (resource: string, keyArn: string | undefined): boolean =>
  keyArn === undefined ? resource === '*' : matchesWildcard(resource, keyArn);

/** The safety check of CreateKey and PutKeyPolicy: whoever sets a policy must be able to set the next one. */
export function assertNotLockedOut(document: PolicyDocument, callerArn: string, keyArn?: string): void {
  if (locksOut(document, callerArn, keyArn)) {
    throw new KmsError(
      'MalformedPolicyDocumentException',
      'The new key policy will not allow you to update the key policy in the future.',
    );
  }
}
