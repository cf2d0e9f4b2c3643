import type { CompiledPolicy, CompiledStatement } from './compile';
import type { CompiledCondition } from './compiled-condition';
import type { DecidedBy, Decision, PolicyType } from './decision';
import type { PolicyKind } from './grammar';
import { evaluateGrant, type GrantFacts, type GrantMiss } from './grants';
import { type Covers, covers } from './principals';
import type { AuthorizationRequest } from './request';
import type { ContextLookup } from './variables';

/** What surrounds a request. */
export interface Policies {
  /** The key's policy, or for sts:AssumeRole the role's trust policy. Without it the caller's own policies decide. */
  resourcePolicy?: CompiledPolicy | undefined;
  /** Of the user, or of the role behind the session. */
  identityPolicies: readonly { name: string; policy: CompiledPolicy }[];
  sessionPolicy?: CompiledPolicy | undefined;
  /** Of the key; read only as far as needed. */
  grants?: Iterable<GrantFacts> | undefined;
}

/** What a statement did not fit in: conditions are tried last, and the first that fails is told. */
export type StatementMiss = 'action' | 'principal' | 'resource' | CompiledCondition;

/** Sees every statement and grant as it is tried. With an observer none is left out; the decision is the same. */
export interface Observer {
  statement(
    policy: CompiledPolicy,
    name: string,
    statement: CompiledStatement,
    result: { covers: Covers } | { miss: StatementMiss },
  ): void;
  grant(grant: GrantFacts, result: { covers: Covers } | { miss: GrantMiss }): void;
}

/**
 * Decides in this order: an explicit deny in any policy; the resource's policy or a grant, by name or through the
 * account; the caller's own policies, where only its account was named or the resource is another account's; the session
 * policy, unless the policy of a resource in the same account names the session itself. Root needs no policy of its own.
 * Source: IAM User Guide, "Policy evaluation logic"; AWS KMS Developer Guide, "Determining access to AWS KMS keys".
 */
export function authorize(request: AuthorizationRequest, policies: Policies, observer?: Observer): Decision {
  const { principal } = request;
  const asked: Asked = { request, action: request.action.toLowerCase(), observer };
  const resource = scan(policies.resourcePolicy, undefined, asked);
  const identity = scanIdentity(policies.identityPolicies, asked);
  const session = scan(policies.sessionPolicy, undefined, asked);
  const own: DecidedBy | undefined =
    principal.kind === 'root' ? ROOT : identity?.allow && byStatement(identity, 'allow');
  let given = resource?.allow && { covers: resource.covers!, by: byStatement(resource, 'allow') };
  const weak = given === undefined || (given.covers === 'account' && own === undefined);
  if (weak || observer !== undefined) {
    const granted = strongestGrant(policies.grants, asked);
    if (weak) given = granted ?? given;
  }
  const denying = resource?.deny ? resource : identity?.deny ? identity : session?.deny ? session : undefined;
  if (denying) return { allowed: false, decidedBy: byStatement(denying, 'deny') };
  const sameAccount = resourceAccount(request) === principal.account;
  let decidedBy: DecidedBy;
  if (policies.resourcePolicy === undefined && given === undefined && !hasPolicyOfItsOwn(request, asked.action)) {
    if (!sameAccount) return nothing('resource-based policy');
    if (own === undefined) return nothing('identity-based policy');
    decidedBy = own;
  } else {
    if (given === undefined) return nothing('resource-based policy');
    const throughOwn = given.covers === 'account' || (!sameAccount && principal.kind !== 'service');
    if (throughOwn && own === undefined) return nothing('identity-based policy');
    // Within an account the grant is the identity policy's; across accounts it is the resource's owner who gives.
    decidedBy = given.covers === 'account' && sameAccount ? own! : given.by;
    if (given.covers === 'session' && given.by.kind === 'statement' && sameAccount) return { allowed: true, decidedBy };
  }
  if (policies.sessionPolicy !== undefined && session?.allow === undefined) return nothing('session policy');
  return { allowed: true, decidedBy };
}

const ROOT: DecidedBy = { kind: 'root' };

const nothing = (missing: PolicyType): Decision => ({ allowed: false, decidedBy: { kind: 'nothing', missing } });

interface Asked {
  request: AuthorizationRequest;
  action: string;
  observer: Observer | undefined;
}

/** The statements of one policy, or of a principal's policies, that fit: a deny, and the allow that covers best. */
interface Scanned {
  policy: CompiledPolicy;
  name: string | undefined;
  deny: CompiledStatement | undefined;
  allow: CompiledStatement | undefined;
  covers: Covers | undefined;
}

const STRENGTH: Record<Covers, number> = { account: 0, name: 1, session: 2 };

function scan(policy: CompiledPolicy | undefined, name: string | undefined, asked: Asked): Scanned | undefined {
  if (policy === undefined) return undefined;
  const found: Scanned = { policy, name, deny: undefined, allow: undefined, covers: undefined };
  for (const statement of policy.statements) {
    const how = evaluateStatement(statement, asked, policy, name);
    if (how === undefined) continue;
    if (statement.effect === 'Deny') {
      found.deny ??= statement;
    } else if (found.covers === undefined || STRENGTH[how] > STRENGTH[found.covers]) {
      found.allow = statement;
      found.covers = how;
    }
  }
  return found;
}

/** The first policy that denies, else the first that allows. */
function scanIdentity(policies: Policies['identityPolicies'], asked: Asked): Scanned | undefined {
  let best: Scanned | undefined;
  for (const { name, policy } of policies) {
    const found = scan(policy, name, asked)!;
    if ((found.deny && !best?.deny) || (found.allow && best === undefined)) best = found;
  }
  return best;
}

/** How the statement covers the caller where all of it fits, else undefined. */
function evaluateStatement(
  statement: CompiledStatement,
  { request, action, observer }: Asked,
  policy: CompiledPolicy,
  name: string | undefined,
): Covers | undefined {
  const { principals, effect } = statement;
  const how = principals ? covers(principals, effect, request.principal, policy.namedIds) : 'name';
  let miss: StatementMiss | undefined;
  if (!statement.fitsAction(action)) miss = 'action';
  else if (how === undefined) miss = 'principal';
  else if (!statement.fitsResource(request.resource, request.context)) miss = 'resource';
  else miss = unmet(statement.conditions, request.context);
  observer?.statement(policy, policyName(policy, name), statement, miss === undefined ? { covers: how! } : { miss });
  return miss === undefined ? how : undefined;
}

function unmet(conditions: readonly CompiledCondition[], context: ContextLookup): CompiledCondition | undefined {
  for (const condition of conditions) if (!condition.holds(context)) return condition;
  return undefined;
}

/** The first grant that covers the caller by name, else one that does through the account. */
function strongestGrant(
  grants: Iterable<GrantFacts> | undefined,
  { request, action, observer }: Asked,
): { covers: Covers; by: DecidedBy } | undefined {
  let best: { covers: Covers; by: DecidedBy } | undefined;
  for (const grant of grants ?? []) {
    const result = evaluateGrant(grant, request, action);
    observer?.grant(grant, result);
    // By the role or by the session is the same here: the first of them decides, whether or not more are observed.
    if ('miss' in result || (best && (best.covers !== 'account' || result.covers === 'account'))) continue;
    best = { covers: result.covers, by: { kind: 'grant', grantId: grant.grantId } };
    if (result.covers !== 'account' && observer === undefined) break;
  }
  return best;
}

const TYPES: Record<PolicyKind, PolicyType> = {
  key: 'resource-based policy',
  trust: 'resource-based policy',
  identity: 'identity-based policy',
  session: 'session policy',
};

const policyName = ({ kind }: CompiledPolicy, name: string | undefined): string =>
  name === undefined ? `${kind} policy` : `${kind} policy ${name}`;

function byStatement(found: Scanned, which: 'allow' | 'deny'): DecidedBy {
  const { policy, name } = found;
  const { sid, index, effect } = found[which]!;
  const named = policyName(policy, name);
  // Without spreading, which costs more than the rest of a decision.
  return sid === undefined
    ? { kind: 'statement', type: TYPES[policy.kind], policy: named, index, effect }
    : { kind: 'statement', type: TYPES[policy.kind], policy: named, sid, index, effect };
}

/** The account in an ARN, by default the caller's: `*` and ARNs without account are everybody's own. */
const resourceAccount = ({ resource, resourceAccount, principal }: AuthorizationRequest): string =>
  resourceAccount ?? (resource === '*' ? principal.account : resource.split(':', 5)[4] || principal.account);

/** Keys always have a policy, and so does a role that is assumed: without it nobody's own policy is enough. */
const hasPolicyOfItsOwn = ({ resource }: AuthorizationRequest, action: string): boolean =>
  /^arn:[^:]*:kms:[^:]*:[^:]*:key\//.test(resource) || action.startsWith('sts:assumerole');
