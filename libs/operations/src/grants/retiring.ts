import { rootArn } from '#domain/arn';
import { KmsError } from '#domain/errors';
import { authorize, type Policies } from '#policy/authorize';
import { denialMessage } from '#policy/decision';
import type { GrantFacts } from '#policy/grants';
import type { Projection } from '#views/projection';
import { keyRequest, ownPolicies } from '../authorization';
import { isUniqueIdOf } from '../callers-grants';
import { checked } from '../checks';
import { type FoundKey, foundAnew, nowhereFor } from '../key-lookup';
import type { Call } from '../operation';
import { type FoundGrant, findGrant } from './grant-lookup';

/**
 * The grant, if the caller may retire it. The grant itself says who: its retiring principal, its grantee where RetireGrant
 * is one of its operations, and the account of the key, whose own policies decide further. Each of them is to the engine as
 * a grant of RetireGrant; the key policy has no say (AWS KMS Developer Guide, "Retiring and revoking grants"). Throws
 * AccessDeniedException, InvalidGrantIdException or NotFoundException; in another account nobody learns which grants are.
 */
export const retirableGrant = (grantId: string, found: FoundKey, call: Call, projection: Projection): FoundGrant =>
  checked(call, (now) => grantToRetire(grantId, foundAnew(found, now, projection), now, projection));

function grantToRetire(grantId: string, found: FoundKey, call: Call, projection: Projection): FoundGrant {
  const foreign = found.ref.account !== call.caller.account;
  let grant: FoundGrant;
  try {
    grant = findGrant(grantId, found, projection);
  } catch (error) {
    if (foreign && error instanceof KmsError) throw nowhereFor(call, 'RetireGrant', 'this resource');
    throw error;
  }
  const request = keyRequest(call, projection, found, {});
  const decision = authorize(request, retiringPolicies(grant, found, call));
  call.trail?.about(found.arn, found.ref.account);
  call.trail?.retired(grantId);
  call.trail?.decided(decision);
  if (decision.allowed) return grant;
  if (foreign) throw nowhereFor(call, 'RetireGrant', 'this resource');
  throw new KmsError('AccessDeniedException', denialMessage(request, decision));
}

/** All that may allow or deny that the caller retires the grant. */
export const retiringPolicies = (grant: FoundGrant, found: FoundKey, call: Call): Policies => ({
  ...ownPolicies(call.caller),
  grants: rightsToRetire(grant, found, call),
});

function* rightsToRetire({ ref, grant }: FoundGrant, found: FoundKey, { caller }: Call): Iterable<GrantFacts> {
  const right = (granteePrincipal: string): GrantFacts => ({
    grantId: ref.id,
    granteePrincipal,
    operations: ['RetireGrant'],
  });
  const { retiringPrincipal, retiringUniqueId, granteePrincipal, granteeUniqueId, operations } = grant;
  if (retiringPrincipal !== undefined && isUniqueIdOf(caller.principal, retiringUniqueId))
    yield right(retiringPrincipal);
  if (operations.includes('RetireGrant') && isUniqueIdOf(caller.principal, granteeUniqueId))
    yield right(granteePrincipal);
  yield right(rootArn(found.ref.account));
}
