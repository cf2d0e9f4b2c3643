import { assumedRoleArn, roleArn, rootArn, userArn } from '#domain/arn';
import { KmsError } from '#domain/errors';
import type { NamedPrincipal, RolePrincipal, UserPrincipal } from '#domain/principal/state';
import { withTags } from '#domain/principal/tags';
import type { Projection } from '#views/projection';
import type { Caller, CallerClaim, SessionClaims } from './caller';
import { compiledPolicy } from './compiled-policies';

/** What identities rest on besides the log. */
export interface TrustAnchors {
  /** The account of the settings: it exists without an event. */
  account: string;
  /** Its root access key from the settings or the data folder, which the log does not know either. */
  rootAccessKeyId: string | undefined;
  /** The claims of a session token that a crypto-worker signed, else undefined. */
  sessionClaimsOf(token: string): SessionClaims | undefined;
}

/**
 * Pure. Who calls, as the view has it. `now`: the system's time in ms, since sessions end by it. Throws
 * UnrecognizedClientException for a principal, access key or session that is not there (any more), and
 * ExpiredTokenException for a session that is over.
 */
export function resolveCaller(claim: CallerClaim, projection: Projection, anchors: TrustAnchors, now: number): Caller {
  const session = claim.sessionToken === undefined ? undefined : sessionOf(claim, claim.sessionToken, anchors);
  const longTerm = session ? session.issuingAccessKeyId : claim.accessKeyId;
  if (longTerm !== undefined && !isActive(longTerm, claim, projection, anchors)) throw unrecognized();
  const caller = principalOf(claim, session, projection, anchors);
  if (session && session.expiresAt * 1000 <= now) {
    throw new KmsError('ExpiredTokenException', 'The security token included in the request is expired');
  }
  return caller;
}

const unrecognized = (): KmsError =>
  new KmsError('UnrecognizedClientException', 'The security token included in the request is invalid.');

/** Its token says all that is to be known of a session; the claim may only agree with it. */
function sessionOf(claim: CallerClaim, token: string, anchors: TrustAnchors): SessionClaims {
  const session = anchors.sessionClaimsOf(token);
  if (
    session?.account !== claim.account ||
    session.principalId !== claim.principalId ||
    (claim.accessKeyId !== undefined && session.accessKeyId !== claim.accessKeyId)
  ) {
    throw unrecognized();
  }
  return session;
}

/** Whether the long-term access key is the claimed principal's own and may be used. */
function isActive(
  accessKeyId: string,
  { account, principalId }: CallerClaim,
  projection: Projection,
  anchors: TrustAnchors,
): boolean {
  const found = projection.accessKey(accessKeyId);
  if (!found) {
    return accessKeyId === anchors.rootAccessKeyId && account === anchors.account && principalId === 'root';
  }
  const { state } = found.owner;
  const owner = state.kind === 'User' ? state.uniqueId : 'root';
  return found.accessKey.status === 'Active' && found.account === account && owner === principalId;
}

function principalOf(
  claim: CallerClaim,
  session: SessionClaims | undefined,
  projection: Projection,
  anchors: TrustAnchors,
): Caller {
  const { region, account, principalId, sourceIp, secureTransport } = claim;
  const accessKeyId = claim.accessKeyId ?? session?.accessKeyId;
  const sessionPolicy = session?.policy === undefined ? undefined : compiledPolicy('session', session.policy);
  const common = { region, account, principalId, sessionPolicy, accessKeyId, session, sourceIp, secureTransport };
  if (principalId === 'root') {
    if (account !== anchors.account && projection.account(account)?.state.kind !== 'Account') throw unrecognized();
    const arn = rootArn(account);
    const principal = { account, kind: 'root', arn, uniqueId: account } as const;
    return { ...common, principalArn: arn, principal, identityPolicies: NONE, tags: tagsOf([], session) };
  }
  const [uniqueId = '', sessionName] = splitOnce(principalId);
  const state = projection.principalByUniqueId(account, uniqueId)?.state;
  // Nobody is a role but through a session of it, and a user has no session name.
  if (!state || (state.kind === 'Role') !== (sessionName !== undefined)) throw unrecognized();
  if (state.kind === 'Role' && !session) throw unrecognized();
  const { arn, identityPolicies } = standing(account, state);
  const tags = tagsOf(state.tags, session);
  if (state.kind === 'User') {
    const principal = { account, kind: 'user', arn, uniqueId } as const;
    return { ...common, principalArn: arn, principal, identityPolicies, tags, userName: state.name };
  }
  const principalArn = assumedRoleArn(account, state.name, sessionName!);
  const principal = { account, kind: 'role-session', arn: principalArn, roleArn: arn, uniqueId } as const;
  return { ...common, principalArn, principal, identityPolicies, tags };
}

function splitOnce(principalId: string): [string, string?] {
  const colon = principalId.indexOf(':');
  return colon < 0 ? [principalId] : [principalId.slice(0, colon), principalId.slice(colon + 1)];
}

const NONE: Caller['identityPolicies'] = [];
const NO_TAGS: Caller['tags'] = [];

const tagsOf = (own: Caller['tags'], session: SessionClaims | undefined): Caller['tags'] => {
  if (!session?.tags || session.tags.length === 0) return own.length === 0 ? NO_TAGS : own;
  return withTags(own, session.tags);
};

interface Standing {
  /** Of the user or role. */
  arn: string;
  identityPolicies: Caller['identityPolicies'];
}

/** By the state object: each change of a principal makes a new one. */
const standings = new WeakMap<NamedPrincipal, Standing>();

function standing(account: string, state: UserPrincipal | RolePrincipal): Standing {
  const kept = standings.get(state);
  if (kept) return kept;
  const arn = (state.kind === 'User' ? userArn : roleArn)(account, state.path, state.name);
  const identityPolicies = Object.entries(state.policies).map(([name, text]) => ({
    name,
    policy: compiledPolicy('identity', text),
  }));
  const made = { arn, identityPolicies };
  standings.set(state, made);
  return made;
}
