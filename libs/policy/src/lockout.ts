import { KmsError } from '#domain/errors';
import { compilePolicy } from './compile';
import type { PolicyDocument } from './document';
import { covers } from './principals';
import type { Principal } from './request';

/** Actions are compared without case. */
const PUT_KEY_POLICY = 'kms:putkeypolicy';

/**
 * Whether nobody asking as `callerArn`, or through the caller's account, could surely put the next policy of the key.
 * Conditional statements count for nothing: what the next request's context will be is not known.
 * Without `keyArn` (a key not yet created) only the resource `*` counts as the key.
 */
export function locksOut(document: PolicyDocument, callerArn: string, keyArn = '*'): boolean {
  const caller = callerNamed(callerArn, document);
  const applying = compilePolicy(document).statements.filter(
    ({ principals, effect, fitsAction, fitsResource, conditions }) =>
      conditions.length === 0 &&
      covers(principals!, effect, caller) !== undefined &&
      fitsAction(PUT_KEY_POLICY) &&
      fitsResource(keyArn, () => undefined),
  );
  const effects = new Set(applying.map(({ effect }) => effect));
  return effects.has('Deny') || !effects.has('Allow');
}

const CALLER = /^arn:[^:]+:(?:iam|sts)::(\d{12}):(root$|assumed-role\/([^/]+)\/)?/;

/** A session's ARN does not tell the path of its role, so the policy's own name for the role is taken. */
function callerNamed(arn: string, { statements }: PolicyDocument): Principal {
  const [, account = '', kind, role] = CALLER.exec(arn) ?? [];
  if (role === undefined) return { account, kind: kind === 'root' ? 'root' : 'user', arn, uniqueId: '' };
  const named = statements.flatMap(({ principal }) =>
    principal && principal.of !== '*' ? (principal.of.AWS ?? []) : [],
  );
  const roleArn = named.find(
    (name) => name.split(':')[4] === account && /:role\/(?:.*\/)?([^/]+)$/.exec(name)?.[1] === role,
  );
  return { account, kind: 'role-session', arn, uniqueId: '', ...(roleArn === undefined ? {} : { roleArn }) };
}

/** The safety check of CreateKey and PutKeyPolicy: whoever sets a policy must be able to set the next one. */
export function assertNotLockedOut(document: PolicyDocument, callerArn: string, keyArn?: string): void {
  if (locksOut(document, callerArn, keyArn)) {
    throw new KmsError(
      'MalformedPolicyDocumentException',
      'The new key policy will not allow you to update the key policy in the future.',
    );
  }
}
