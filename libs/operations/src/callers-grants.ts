import { rootArn } from '#domain/arn';
import type { ActiveGrant } from '#domain/grant/grant';
import type { AggregateRef } from '#domain/subjects';
import type { GrantFacts } from '#policy/grants';
import type { Principal } from '#policy/request';
import type { FoldedGrant } from '#views/indexes/grants';
import type { Projection } from '#views/projection';

/** The grants of a key that name the caller, its role or its account. Looked for only once a decision needs them. */
export class CallersGrants implements Iterable<GrantFacts> {
  constructor(
    private readonly principal: Principal,
    private readonly keyRef: AggregateRef<'key'>,
    private readonly projection: Projection,
    private readonly usable: (grant: ActiveGrant) => boolean = () => true,
  ) {}

  *[Symbol.iterator](): Iterator<GrantFacts> {
    const byGrantee = this.projection.grantsByGrantee(this.keyRef);
    if (byGrantee.size === 0) return;
    for (const name of namesOf(this.principal)) {
      for (const grant of byGrantee.get(name) ?? []) {
        const { granteeUniqueId } = grant.state;
        if (isUniqueIdOf(this.principal, granteeUniqueId) && this.usable(grant.state)) yield factsOf(grant);
      }
    }
  }
}

/** By the object, which is one for as long as the principal stays what it is. */
const names = new WeakMap<Principal, ReadonlySet<string>>();

function namesOf(principal: Principal): ReadonlySet<string> {
  const kept = names.get(principal);
  if (kept) return kept;
  const { account, arn, roleArn } = principal;
  const made = new Set([arn, rootArn(account), account]);
  if (roleArn !== undefined) made.add(roleArn);
  names.set(principal, made);
  return made;
}

/** A new user or role of an old name has nothing of what the old one was granted. */
export const isUniqueIdOf = ({ uniqueId }: Principal, granted: string | undefined): boolean =>
  granted === undefined || granted === uniqueId;

/** By the state object: it never changes while the grant is active. */
const facts = new WeakMap<object, GrantFacts>();

function factsOf({ ref, state }: FoldedGrant): GrantFacts {
  const kept = facts.get(state);
  if (kept) return kept;
  const { granteePrincipal, operations, constraints } = state;
  const made: GrantFacts = { grantId: ref.id, granteePrincipal, operations };
  if (constraints) {
    const { encryptionContextEquals: equals, encryptionContextSubset: subset } = constraints;
    made.constraints = {
      ...(equals && { EncryptionContextEquals: equals }),
      ...(subset && { EncryptionContextSubset: subset }),
    };
  }
  facts.set(state, made);
  return made;
}
