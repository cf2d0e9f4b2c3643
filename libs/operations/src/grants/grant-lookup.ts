import { KmsError } from '#domain/errors';
import { type ActiveGrant, grantNotFound } from '#domain/grant/grant';
import type { AggregateRef } from '#domain/subjects';
import type { Projection } from '#views/projection';
import type { FoundKey } from '../key-lookup';

export interface FoundGrant {
  ref: AggregateRef<'grant'>;
  grant: ActiveGrant;
}

/** As AWS makes them; a short one is well-formed too, and never found. */
const GRANT_ID = /^[0-9a-f]{1,64}$/i;

export function assertGrantId(grantId: string): void {
  if (!GRANT_ID.test(grantId)) throw new KmsError('InvalidGrantIdException', `Invalid grant ID ${grantId}`);
}

/** The active grant of the key. Throws InvalidGrantIdException or NotFoundException. */
export function findGrant(grantId: string, { ref, keyId }: FoundKey, projection: Projection): FoundGrant {
  assertGrantId(grantId);
  const folded = projection.grant(ref.region, ref.account, grantId);
  if (folded?.state.grantState !== 'Active' || folded.state.keyId !== keyId) throw grantNotFound(grantId);
  return { ref: folded.ref, grant: folded.state };
}
