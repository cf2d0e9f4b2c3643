import { authorize, type Policies, type StatementMiss } from './authorize';
import type { CompiledPolicy, CompiledStatement } from './compile';
import type { Condition } from './conditions';
import type { Decision } from './decision';
import type { GrantFacts, GrantMiss } from './grants';
import { type Covers, namesakeOf } from './principals';
import type { AuthorizationRequest } from './request';

/** Why a statement or grant did not fit: the first element that did not, what it wants and what the request has. */
export interface Reason {
  /** `action`, `principal`, `resource`, `condition`; of a grant also `operation` and the names of its constraints. */
  element: string;
  /** Of a condition, as written: `ForAnyValue:StringLikeIfExists`. */
  operator?: string;
  key?: string;
  /** The values of the policy; under a Not element or negated operator those that must not fit. */
  expected: unknown;
  /** Undefined where the request has none. */
  actual: unknown;
  /** Unique id of the principal that the policy means by the caller's ARN, and that has been deleted. */
  deletedPrincipal?: string;
}

export type Considered = ({ covers: Covers } | { reason: Reason }) &
  (
    | { kind: 'statement'; policy: string; sid?: string; index: number; effect: 'Allow' | 'Deny' }
    | { kind: 'grant'; grantId: string }
  );

export interface Explanation {
  decision: Decision;
  /** Every statement in its policy's order, then every grant. */
  considered: Considered[];
}

/** The decision of authorize, by the same code, and everything that it looked at. */
export function explain(request: AuthorizationRequest, policies: Policies): Explanation {
  const considered: Considered[] = [];
  const decision = authorize(request, policies, {
    statement: (policy, name, statement, result) => {
      const { sid, index, effect } = statement;
      const outcome = 'miss' in result ? { reason: statementReason(policy, statement, result.miss, request) } : result;
      considered.push({
        kind: 'statement',
        policy: name,
        ...(sid === undefined ? {} : { sid }),
        index,
        effect,
        ...outcome,
      });
    },
    grant: (grant, result) => {
      const outcome = 'miss' in result ? { reason: grantReason(grant, result.miss, request) } : result;
      considered.push({ kind: 'grant', grantId: grant.grantId, ...outcome });
    },
  });
  return { decision, considered };
}

function statementReason(
  { namedIds }: CompiledPolicy,
  { written, principals, effect }: CompiledStatement,
  miss: StatementMiss,
  { action, resource, principal, context }: AuthorizationRequest,
): Reason {
  if (miss === 'action') return { element: 'action', expected: written.action?.of, actual: action };
  if (miss === 'principal') {
    const deletedPrincipal = effect === 'Allow' && principals && namesakeOf(principals, principal, namedIds);
    const reason = { element: 'principal', expected: written.principal?.of, actual: principal.arn };
    return !deletedPrincipal ? reason : { ...reason, deletedPrincipal };
  }
  if (miss === 'resource') return { element: 'resource', expected: written.resource?.of, actual: resource };
  const { condition } = miss;
  const operator = operatorText(condition);
  const actual = context(condition.key.toLowerCase());
  return { element: 'condition', operator, key: condition.key, expected: condition.values, actual };
}

const operatorText = ({ set, operator, ifExists }: Condition): string =>
  `${set === undefined ? '' : `${set}:`}${operator}${ifExists ? 'IfExists' : ''}`;

function grantReason(
  { granteePrincipal, operations, constraints }: GrantFacts,
  miss: GrantMiss,
  { action, principal, encryptionContext, context }: AuthorizationRequest,
): Reason {
  if (miss === 'principal') return { element: miss, expected: granteePrincipal, actual: principal.arn };
  if (miss === 'operation') return { element: miss, expected: operations, actual: action };
  const actual = miss === 'SourceArn' ? context('aws:sourcearn') : encryptionContext;
  return { element: miss, expected: constraints?.[miss], actual };
}
