import { KmsError } from '#domain/errors';
import type { ActiveGrant } from '#domain/grant/grant';
import type { LivingKey } from '#domain/key/state';
import { authorize, type Policies } from '#policy/authorize';
import type { CompiledPolicy } from '#policy/compile';
import { type Decision, denialMessage } from '#policy/decision';
import type { AuthorizationRequest } from '#policy/request';
import type { ContextLookup } from '#policy/variables';
import type { Projection } from '#views/projection';
import type { Caller } from './caller';
import { CallersGrants } from './callers-grants';
import { checked } from './checks';
import { compiledPolicy } from './compiled-policies';
import { conditionContext } from './condition-context';
import { type FoundKey, foundAnew, nowhereFor } from './key-lookup';
import { ManagedKeyToMint } from './managed-keys';
import type { Call } from './operation';
import { quotaClassOfKey } from './quotas/quota-classes';
import type { Recipient } from './recipient';

/** What an operation asks for; most need none of it. */
export interface Asked {
  /** Without `kms:`; by default the operation's own name. */
  action?: string;
  /** Condition keys (in lower case) that this operation alone has, such as `kms:rotationperiodindays`. */
  context?: ContextLookup;
  encryptionContext?: Readonly<Record<string, string>> | undefined;
  /** Whom the response is for, where an attestation document says so. */
  recipient?: Recipient | undefined;
  /** Which grants of the caller count; all, where it is absent. */
  usable?: (grant: ActiveGrant) => boolean;
  /** How a refusal across accounts calls the key, which it does not name. */
  calledIt?: string;
}

/**
 * Throws AccessDeniedException unless the caller may do it with the key, by the key's policy and grants and the policies
 * of its own. To be called once the key is found, before its state is looked at: who may not does not learn of it.
 */
export function authorizeKey(call: Call, projection: Projection, found: FoundKey, asked: Asked = {}): void {
  if (call.checks) {
    checked(call, (now) => authorizeKey(now, projection, foundAnew(found, now, projection), asked));
    return;
  }
  countCall(call, found.key);
  const request = keyRequest(call, projection, found, asked);
  const decision = authorize(request, keyPolicies(call.caller, projection, found, asked.usable));
  call.trail?.about(found.arn, found.ref.account);
  call.trail?.decided(decision);
  if (decision.allowed) {
    if (found.toMint) throw new ManagedKeyToMint(found.toMint);
    return;
  }
  if (found.ref.account !== call.caller.account && !givenAcrossAccounts(decision)) {
    throw nowhereFor(call, asked.action ?? call.operation, asked.calledIt ?? 'this resource');
  }
  throw denied(request, decision);
}

/** By the kind of key; each custom key store has a quota of its own. */
function countCall({ countAs }: Call, { keySpec, customKeyStoreId }: LivingKey): void {
  if (customKeyStoreId === undefined) countAs?.(quotaClassOfKey(keySpec));
  else countAs?.('custom-key-store', customKeyStoreId);
}

/** Throws AccessDeniedException unless the policies of the caller's own allow the action; on `*`, or on one alias. */
export function authorizeAccount(call: Call, asked: Asked & { resource?: string } = {}): void {
  authorizeOwn(call, `kms:${asked.action ?? call.operation}`, asked.resource ?? '*', asked);
}

/** The same of an action of any service, such as `iam:CreateUser`. */
export function authorizeOwn(call: Call, action: string, resource: string, asked: Asked = {}): void {
  checked(call, (now) => {
    const request: AuthorizationRequest = {
      action,
      resource,
      principal: now.caller.principal,
      context: conditionContext(now, asked),
    };
    const decision = authorize(request, ownPolicies(now.caller));
    now.trail?.decided(decision);
    if (!decision.allowed) throw denied(request, decision);
  });
}

/** A request about a key, as the policies see it. */
export const keyRequest = (
  call: Call,
  projection: Projection,
  found: FoundKey,
  asked: Asked,
): AuthorizationRequest => ({
  action: `kms:${asked.action ?? call.operation}`,
  resource: found.arn,
  resourceAccount: found.ref.account,
  principal: call.caller.principal,
  context: conditionContext(call, asked, found, projection),
  encryptionContext: asked.encryptionContext,
});

/** All that may allow or deny it. */
export const keyPolicies = (
  caller: Caller,
  projection: Projection,
  found: FoundKey,
  usable?: Asked['usable'],
): Policies => ({
  identityPolicies: caller.identityPolicies,
  sessionPolicy: caller.sessionPolicy,
  resourcePolicy: policyOf(found.key),
  grants: new CallersGrants(caller.principal, found.ref, projection, usable),
});

export const ownPolicies = ({ identityPolicies, sessionPolicy }: Caller): Policies => ({
  identityPolicies,
  sessionPolicy,
});

/** By the state object, of which each change of the key makes a new one. */
const compiled = new WeakMap<LivingKey, CompiledPolicy>();

function policyOf(key: LivingKey): CompiledPolicy {
  let policy = compiled.get(key);
  if (!policy) {
    policy = compiledPolicy('key', key.policy, key.namedIds);
    compiled.set(key, policy);
  }
  return policy;
}

/** Whether the key's side lets the caller in, so that a refusal may tell it what is missing on its own. */
const givenAcrossAccounts = ({ decidedBy }: Decision): boolean =>
  decidedBy.kind === 'nothing' && decidedBy.missing !== 'resource-based policy';

const denied = (request: AuthorizationRequest, decision: Decision): KmsError =>
  new KmsError('AccessDeniedException', denialMessage(request, decision));
