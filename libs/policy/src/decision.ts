/** How AWS's messages call the kinds of policy. */
export type PolicyType = 'resource-based policy' | 'identity-based policy' | 'session policy';

/** What settled a decision: the same names go into the audit log. */
export type DecidedBy =
  | {
      kind: 'statement';
      type: PolicyType;
      /** `key policy`, `trust policy`, `identity policy <name>`, `session policy`. */
      policy: string;
      sid?: string;
      /** Place of the statement in its policy, from 0. */
      index: number;
      effect: 'Allow' | 'Deny';
    }
  | { kind: 'grant'; grantId: string }
  /** The root of an account, on what has no policy of its own. */
  | { kind: 'root' }
  | { kind: 'nothing'; missing: PolicyType };

export interface Decision {
  allowed: boolean;
  decidedBy: DecidedBy;
}

/**
 * The message of AccessDeniedException, in AWS's words (IAM User Guide, "Troubleshoot access denied error messages").
 * Of a decision that allows there is none to give: it throws.
 */
export function denialMessage(
  { action, resource, principal }: { action: string; resource: string; principal: { arn: string } },
  { allowed, decidedBy }: Decision,
): string {
  const what = `User: ${principal.arn} is not authorized to perform: ${action} on resource: ${resource}`;
  if (!allowed && decidedBy.kind === 'nothing')
    return `${what} because no ${decidedBy.missing} allows the ${action} action`;
  if (!allowed && decidedBy.kind === 'statement') {
    return `${what} with an explicit deny in ${decidedBy.type === 'identity-based policy' ? 'an' : 'a'} ${decidedBy.type}`;
  }
  throw new Error(`${action} was not denied`);
}
