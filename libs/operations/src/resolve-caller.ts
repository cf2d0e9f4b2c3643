import { LRUCache } from 'lru-cache';
import { assumedRoleArn, roleArn, rootArn, userArn } from '#domain/arn';
import type { NamedPrincipal } from '#domain/principal/state';
import { withTags } from '#domain/principal/tags';
import type { Principal } from '#policy/request';
import type { Projection } from '#views/projection';
import type { Caller, CallerClaim, SessionClaims } from './caller';
import { expiredToken, unrecognizedClient } from './caller-refusals';
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
  if (longTerm !== undefined && !isActive(longTerm, claim, projection, anchors)) throw unrecognizedClient();
  const caller = principalOf(claim, session, projection, anchors);
  if (session && session.expiresAt * 1000 <= now) throw expiredToken();
  return caller;
}

/** Its token says all that is to be known of a session; the claim may only agree with it. */
function sessionOf(claim: CallerClaim, token: string, anchors: TrustAnchors): SessionClaims {
  const session = anchors.sessionClaimsOf(token);
  if (
    session?.account !== claim.account ||
    session.principalId !== claim.principalId ||
    (claim.accessKeyId !== undefined && session.accessKeyId !== claim.accessKeyId)
  ) {
    throw unrecognizedClient();
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
  const { account, principalId } = claim;
  if (principalId === 'root') {
    if (account !== anchors.account && projection.account(account)?.state.kind !== 'Account')
      throw unrecognizedClient();
    return callerOf(claim, session, rootOf(account));
  }
  const [uniqueId = '', sessionName] = splitOnce(principalId);
  const state = projection.principalByUniqueId(account, uniqueId)?.state;
  // Nobody is a role but through a session of it, and a user has no session name.
  if (!state || (state.kind === 'Role') !== (sessionName !== undefined)) throw unrecognizedClient();
  if (state.kind === 'Role' && !session) throw unrecognizedClient();
  const standing = standingOf(account, state);
  if (!session || sessionName === undefined) return callerOf(claim, session, standing);
  return callerOf(claim, session, sessionStandingOf(session, standing, state.name, sessionName));
}

/** All members in one go: this is on the path of every request, where spreading costs more than deciding. */
const callerOf = (claim: CallerClaim, session: SessionClaims | undefined, standing: Standing): Caller => ({
  region: claim.region,
  account: claim.account,
  principalId: claim.principalId,
  principalArn: standing.principal.arn,
  principal: standing.principal,
  identityPolicies: standing.identityPolicies,
  sessionPolicy: session?.policy === undefined ? undefined : compiledPolicy('session', session.policy),
  tags: session?.tags && session.tags.length > 0 ? withTags(standing.tags, session.tags) : standing.tags,
  userName: standing.userName,
  accessKeyId: claim.accessKeyId ?? session?.accessKeyId,
  session,
  sourceIp: claim.sourceIp,
  secureTransport: claim.secureTransport,
});

function splitOnce(principalId: string): [string, string?] {
  const colon = principalId.indexOf(':');
  return colon < 0 ? [principalId] : [principalId.slice(0, colon), principalId.slice(colon + 1)];
}

/** What is the same for every request of a user, of the sessions of a role, or of a root. */
interface Standing {
  /** Of a role, with its own ARN in place of a session's. */
  principal: Principal;
  identityPolicies: Caller['identityPolicies'];
  tags: Caller['tags'];
  userName: string | undefined;
}

/** By the state object: each change of a principal makes a new one. */
const standings = new WeakMap<NamedPrincipal, Standing>();

function standingOf(account: string, state: NamedPrincipal): Standing {
  const kept = standings.get(state);
  if (kept) return kept;
  const { uniqueId, path, name, tags } = state;
  const identityPolicies = Object.entries(state.policies).map(([policyName, text]) => ({
    name: policyName,
    policy: compiledPolicy('identity', text),
  }));
  const arn = (state.kind === 'User' ? userArn : roleArn)(account, path, name);
  const made: Standing =
    state.kind === 'User'
      ? { principal: { account, kind: 'user', arn, uniqueId }, identityPolicies, tags, userName: name }
      : {
          principal: { account, kind: 'role-session', arn, roleArn: arn, uniqueId },
          identityPolicies,
          tags,
          userName: undefined,
        };
  standings.set(state, made);
  return made;
}

/** By the claims, which are one object for as long as their token is remembered; good for this standing of the role. */
const sessionStandings = new WeakMap<SessionClaims, { of: Standing; standing: Standing }>();

function sessionStandingOf(session: SessionClaims, role: Standing, roleName: string, sessionName: string): Standing {
  const kept = sessionStandings.get(session);
  if (kept?.of === role) return kept.standing;
  const arn = assumedRoleArn(role.principal.account, roleName, sessionName);
  const standing: Standing = { ...role, principal: { ...role.principal, arn } };
  sessionStandings.set(session, { of: role, standing });
  return standing;
}

const MAX_ROOTS = 1_000;
const roots = new LRUCache<string, Standing>({ max: MAX_ROOTS });

function rootOf(account: string): Standing {
  const kept = roots.get(account);
  if (kept) return kept;
  const principal = { account, kind: 'root', arn: rootArn(account), uniqueId: account } as const;
  const made: Standing = { principal, identityPolicies: [], tags: [], userName: undefined };
  roots.set(account, made);
  return made;
}
