import { roleArn, rootArn, userArn } from '#domain/arn';
import { KmsError } from '#domain/errors';
import type { ActiveGrant } from '#domain/grant/grant';
import { isNamed } from '#domain/principal/state';
import type { Projection } from '#views/projection';
import type { Call } from '../operation';

/** A principal as a grant keeps it. */
export interface GrantPrincipal {
  arn: string;
  /** Of the user or role, where its account is of this deployment. */
  uniqueId?: string;
}

const ACCOUNT_NUMBER = /^\d{12}$/;
const ROOT = /^arn:aws[a-z-]*:iam::\d{12}:root$/;
const NAMED = /^arn:aws[a-z-]*:iam::(\d{12}):(user|role)\/(?:[\x21-\x7e]+\/)*([\w+=,.@-]+)$/;
const SESSION = /^arn:aws[a-z-]*:sts::(\d{12}):assumed-role\/([\w+=,.@-]+)\/[\w+=,.@-]+$/;
const FEDERATED_USER = /^arn:aws[a-z-]*:sts::\d{12}:federated-user\/[\w+=,.@-]+$/;
const SERVICE = /^[a-z0-9-]+(?:\.[a-z0-9-]+)*\.amazonaws\.com(?:\.cn)?$/;
const UNIQUE_ID = /^A(?:ID|RO)A[A-Z0-9]+$/;

const invalid = (text: string): KmsError =>
  new KmsError('InvalidArnException', `ARN does not refer to a valid principal: ${text}`);

/**
 * The principal that a request names: an account (number or root ARN), user, role, session, federated user, or a service
 * by its host name. A user or role must exist where its account is of this deployment; what is in another cannot be
 * known. Throws InvalidArnException.
 */
export function grantPrincipal(text: string, call: Call, projection: Projection): GrantPrincipal {
  if (ACCOUNT_NUMBER.test(text)) return { arn: rootArn(text) };
  if (ROOT.test(text) || FEDERATED_USER.test(text) || SERVICE.test(text)) return { arn: text };
  const named = NAMED.exec(text);
  const [, account, name] = named ? [text, named[1]!, named[3]!] : (SESSION.exec(text) ?? []);
  if (account === undefined || name === undefined) throw invalid(text);
  if (!isOfThisDeployment(account, call, projection)) return { arn: text };
  const state = (named?.[2] === 'user' ? projection.user(account, name) : projection.role(account, name))?.state;
  if (!state || !isNamed(state)) throw invalid(text);
  const arn = (state.kind === 'User' ? userArn : roleArn)(account, state.path, state.name);
  if (named && arn !== text) throw invalid(text);
  if (!named && state.name !== name) throw invalid(text);
  return { arn: text, uniqueId: state.uniqueId };
}

/** The caller's own account needs no event to exist. */
const isOfThisDeployment = (account: string, call: Call, projection: Projection): boolean =>
  account === call.caller.account || projection.account(account)?.state.kind === 'Account';

/** As `grantPrincipal`, but whether it exists does not matter; of one that is gone it may be the unique id. */
export function principalArn(text: string): string {
  if (ACCOUNT_NUMBER.test(text)) return rootArn(text);
  if ([ROOT, NAMED, SESSION, FEDERATED_USER, SERVICE, UNIQUE_ID].some((form) => form.test(text))) return text;
  throw invalid(text);
}

/** As AWS shows the principals of a grant: by unique id once the user or role is gone. */
export const shownGrantee = (grant: ActiveGrant, projection: Projection): string =>
  shown(grant.granteePrincipal, grant.granteeUniqueId, projection);
export const shownRetiring = ({ retiringPrincipal, retiringUniqueId }: ActiveGrant, projection: Projection) =>
  retiringPrincipal && shown(retiringPrincipal, retiringUniqueId, projection);

function shown(arn: string, uniqueId: string | undefined, projection: Projection): string {
  if (uniqueId === undefined) return arn;
  return projection.principalByUniqueId(accountOf(arn), uniqueId) ? arn : uniqueId;
}

/** Empty for a service. */
export const accountOf = (arn: string): string => arn.split(':')[4] ?? '';
