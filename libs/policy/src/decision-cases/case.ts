import type { NamedIds } from '#domain/named-ids';
import type { Policies } from '../authorize';
import { compilePolicy } from '../compile';
import type { Decision } from '../decision';
import { parsePolicyDocument } from '../document';
import type { PolicyKind } from '../grammar';
import type { GrantFacts } from '../grants';
import type { AuthorizationRequest, Principal } from '../request';

/** The key's account, and another. */
export const HOME = '111122223333';
export const AWAY = '444455556666';
export const KEY = `arn:aws:kms:us-east-1:${HOME}:key/1234abcd-12ab-34cd-56ef-1234567890ab`;
export const HOME_ROOT = `arn:aws:iam::${HOME}:root`;
export const AWAY_ROOT = `arn:aws:iam::${AWAY}:root`;
export const ADMIN_ROLE = `arn:aws:iam::${HOME}:role/ops/Admin`;
export const GUEST_ROLE = `arn:aws:iam::${AWAY}:role/Guest`;

const rootOf = (account: string): Principal => ({
  account,
  kind: 'root',
  arn: `arn:aws:iam::${account}:root`,
  uniqueId: account,
});
export const root = rootOf(HOME);
export const awayRoot = rootOf(AWAY);
export const alice: Principal = {
  account: HOME,
  kind: 'user',
  arn: `arn:aws:iam::${HOME}:user/alice`,
  uniqueId: 'AIDAALICE0000EXAMPLE',
};
export const bob: Principal = {
  account: AWAY,
  kind: 'user',
  arn: `arn:aws:iam::${AWAY}:user/bob`,
  uniqueId: 'AIDABOB000000EXAMPLE',
};
/** Ann, working as Admin. */
export const ann: Principal = {
  account: HOME,
  kind: 'role-session',
  arn: `arn:aws:sts::${HOME}:assumed-role/Admin/ann`,
  roleArn: ADMIN_ROLE,
  uniqueId: 'AROAADMIN0000EXAMPLE',
};
export const guest: Principal = {
  account: AWAY,
  kind: 'role-session',
  arn: `arn:aws:sts::${AWAY}:assumed-role/Guest/gus`,
  roleArn: GUEST_ROLE,
  uniqueId: 'AROAGUEST0000EXAMPLE',
};
export const logs: Principal = {
  account: '',
  kind: 'service',
  arn: 'logs.amazonaws.com',
  uniqueId: 'logs.amazonaws.com',
};

export interface Words {
  /** An AWS principal or several; an object for other types; nothing in policies of principals. */
  who?: string | string[] | object;
  notWho?: string | string[] | object;
  does?: string | string[];
  on?: string | string[];
  when?: object;
  sid?: string;
  /** Instead of `does` and `on`. */
  notDoes?: string | string[];
  notOn?: string | string[];
}

const principalOf = (who: string | string[] | object): unknown =>
  who === '*' || (typeof who === 'object' && !Array.isArray(who)) ? who : { AWS: who };

/** A statement; without more words about every kms action on every resource. */
function statement(Effect: string, { who, notWho, does, on, when, sid, notDoes, notOn }: Words): object {
  return {
    ...(sid === undefined ? {} : { Sid: sid }),
    Effect,
    ...(who === undefined ? {} : { Principal: principalOf(who) }),
    ...(notWho === undefined ? {} : { NotPrincipal: principalOf(notWho) }),
    ...(notDoes === undefined ? { Action: does ?? 'kms:*' } : { NotAction: notDoes }),
    ...(notOn === undefined ? { Resource: on ?? '*' } : { NotResource: notOn }),
    ...(when === undefined ? {} : { Condition: when }),
  };
}
export const allow = (words: Words): object => statement('Allow', words);
export const deny = (words: Words): object => statement('Deny', words);
/** Statements of a trust policy have no resource. */
export const trust = (words: Words): object => ({ ...statement('Allow', words), Resource: undefined });

/** One request among its policies. Absent: kms:Decrypt on KEY by alice, no policies at all. */
export interface DecisionCase {
  name: string;
  by?: Principal;
  does?: string;
  on?: string;
  key?: object[];
  trust?: object[];
  /** Recorded with the key or trust policy. */
  ids?: NamedIds;
  /** By name; each a list of statements. */
  identity?: Record<string, object[]>;
  session?: object[];
  grants?: GrantFacts[];
  context?: Record<string, string | string[]>;
  encryptionContext?: Record<string, string>;
  /** Of the policies; 2012-10-17 if absent. */
  version?: '2008-10-17';
  /**
   * `allow: key policy 0` (and the like: the policy and the place of the statement), `allow: grant g`, `allow: root`,
   * `deny: key policy 1`, `deny: no identity-based policy`.
   */
  expect: string;
}

export function requestOf({
  by = alice,
  does,
  on,
  context = {},
  encryptionContext,
}: DecisionCase): AuthorizationRequest {
  const values = new Map(Object.entries(context).map(([key, value]) => [key.toLowerCase(), value]));
  return {
    action: does ?? 'kms:Decrypt',
    resource: on ?? KEY,
    principal: by,
    context: (key) => {
      if (key !== key.toLowerCase()) throw new Error(`${key} is not in lower case`);
      return values.get(key);
    },
    ...(encryptionContext === undefined ? {} : { encryptionContext }),
  };
}

export function policiesOf({ key, trust, ids, identity = {}, session, grants, version }: DecisionCase): Policies {
  const compiled = (statements: object[], kind: PolicyKind, namedIds?: NamedIds) =>
    compilePolicy(
      parsePolicyDocument(JSON.stringify({ Version: version ?? '2012-10-17', Statement: statements }), kind),
      namedIds,
    );
  return {
    ...(key === undefined ? {} : { resourcePolicy: compiled(key, 'key', ids) }),
    ...(trust === undefined ? {} : { resourcePolicy: compiled(trust, 'trust', ids) }),
    identityPolicies: Object.entries(identity).map(([name, each]) => ({ name, policy: compiled(each, 'identity') })),
    ...(session === undefined ? {} : { sessionPolicy: compiled(session, 'session') }),
    ...(grants === undefined ? {} : { grants }),
  };
}

/** A decision in the words of DecisionCase.expect. */
export function worded({ allowed, decidedBy }: Decision): string {
  const verdict = allowed ? 'allow' : 'deny';
  if (decidedBy.kind === 'statement') return `${verdict}: ${decidedBy.policy} ${decidedBy.index}`;
  if (decidedBy.kind === 'grant') return `${verdict}: grant ${decidedBy.grantId}`;
  return `${verdict}: ${decidedBy.kind === 'root' ? 'root' : `no ${decidedBy.missing}`}`;
}
