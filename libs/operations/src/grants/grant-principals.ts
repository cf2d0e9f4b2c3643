import { rootArn } from '#domain/arn';
import { KmsError } from '#domain/errors';
import type { ActiveGrant } from '#domain/grant/grant';
import { isPrincipalName, isUniqueId } from '#policy/principals';
import type { Projection } from '#views/projection';
import { findPrincipal, shownPrincipal } from '../named-principals';
import type { Call } from '../operation';

/** A principal as a grant keeps it. */
export interface GrantPrincipal {
  arn: string;
  /** Of the user or role, where its account is of this deployment. */
  uniqueId?: string;
}

const ACCOUNT_NUMBER = /^\d{12}$/;
const SERVICE = /^[a-z0-9-]+(?:\.[a-z0-9-]+)*\.amazonaws\.com(?:\.cn)?$/;

const invalid = (text: string): KmsError =>
  new KmsError('InvalidArnException', `ARN does not refer to a valid principal: ${text}`);

/**
 * The principal that a request names: an account (number or root ARN), user, role, session, federated user, or a service
 * by its host name. A user or role must exist where its account is of this deployment; what is in another cannot be
 * known. Throws InvalidArnException.
 */
export function grantPrincipal(text: string, call: Call, projection: Projection): GrantPrincipal {
  const arn = principalArn(text);
  const named = findPrincipal(arn, call, projection);
  if (named === 'missing' || isUniqueId(text)) throw invalid(text);
  return typeof named === 'object' ? { arn, uniqueId: named.uniqueId } : { arn };
}

/** As `grantPrincipal`, but whether it exists does not matter; of one that is gone it may be the unique id. */
export function principalArn(text: string): string {
  if (ACCOUNT_NUMBER.test(text)) return rootArn(text);
  if (SERVICE.test(text) || (text !== '*' && isPrincipalName('AWS', text))) return text;
  throw invalid(text);
}

/** As AWS shows the principals of a grant: by unique id once the user or role is gone. */
export const shownGrantee = (grant: ActiveGrant, projection: Projection): string =>
  shownPrincipal(grant.granteePrincipal, grant.granteeUniqueId, projection);
export const shownRetiring = ({ retiringPrincipal, retiringUniqueId }: ActiveGrant, projection: Projection) =>
  retiringPrincipal && shownPrincipal(retiringPrincipal, retiringUniqueId, projection);

/** Empty for a service. */
export const accountOf = (arn: string): string => arn.split(':')[4] ?? '';
