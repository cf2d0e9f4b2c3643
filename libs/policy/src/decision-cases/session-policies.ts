import { ADMIN_ROLE, AWAY, allow, ann, type DecisionCase, deny, GUEST_ROLE, guest, HOME } from './case';

const LETTERS: Record<string, string> = {
  K: 'allow: key policy 0',
  L: 'allow: key policy 1',
  I: 'allow: identity policy own 0',
  G: 'allow: grant g',
  R: 'deny: no resource-based policy',
  i: 'deny: no identity-based policy',
  S: 'deny: no session policy',
  s: 'deny: session policy 0',
  D: 'deny: key policy 1',
};

/** The columns: no session policy, one that allows, one that allows another action, one that denies. */
const SESSION_POLICIES_TRIED: [string, Pick<DecisionCase, 'session'>][] = [
  ['without a session policy', {}],
  ['with a session policy that allows', { session: [allow({ does: 'kms:*' })] }],
  ['with a session policy that allows something else', { session: [allow({ does: 'kms:Encrypt' })] }],
  ['with a session policy that denies', { session: [deny({ does: '*' })] }],
];

const may = { identity: { own: [allow({})] } };
const grantTo = (granteePrincipal: string) => ({
  key: [allow({ who: `arn:aws:iam::${HOME}:role/Other` })],
  grants: [{ grantId: 'g', granteePrincipal, operations: ['Decrypt'] }],
});
const createKey = { does: 'kms:CreateKey', on: '*' };

const TABLE: [string, Omit<DecisionCase, 'name' | 'expect'>, string][] = [
  ['a policy of the role', { by: ann, key: [allow({ who: HOME })], ...may }, 'IISs'],
  [
    'a policy of the role for another action',
    { by: ann, key: [allow({ who: HOME })], identity: { own: [allow({ does: 'kms:Encrypt' })] } },
    'iiis',
  ],
  ['the account alone', { by: ann, key: [allow({ who: HOME })] }, 'iiis'],
  ['a key policy naming the role', { by: ann, key: [allow({ who: ADMIN_ROLE })] }, 'KKSs'],
  ['a key policy naming the role’s unique id', { by: ann, key: [allow({ who: ann.uniqueId })] }, 'KKSs'],
  ['a key policy naming everyone', { by: ann, key: [allow({ who: '*' })] }, 'KKSs'],
  ['a key policy naming the session', { by: ann, key: [allow({ who: ann.arn })] }, 'KKKs'],
  ['a key policy naming role and session', { by: ann, key: [allow({ who: [ADMIN_ROLE, ann.arn] })] }, 'KKKs'],
  [
    'a key policy naming the role, then the session',
    { by: ann, key: [allow({ who: ADMIN_ROLE }), allow({ who: ann.arn })] },
    'LLLs',
  ],
  ['a key policy naming another session', { by: ann, key: [allow({ who: `${ann.arn}2` })] }, 'RRRs'],
  [
    'a key policy that denies the session as well',
    { by: ann, key: [allow({ who: ann.arn }), deny({ who: ann.arn })] },
    'DDDD',
  ],
  ['a grant to the role', { by: ann, ...grantTo(ADMIN_ROLE) }, 'GGSs'],
  ['a grant to the session', { by: ann, ...grantTo(ann.arn) }, 'GGSs'],
  ['a policy of the role, for an action without a key', { by: ann, ...createKey, ...may }, 'IISs'],
  ['nothing, for an action without a key', { by: ann, ...createKey }, 'iiis'],
  [
    'another account’s key policy naming the guest’s account',
    { by: guest, key: [allow({ who: AWAY })], ...may },
    'KKSs',
  ],
  [
    'another account’s key policy naming the guest’s role',
    { by: guest, key: [allow({ who: GUEST_ROLE })], ...may },
    'KKSs',
  ],
  [
    'another account’s key policy naming the guest’s session',
    { by: guest, key: [allow({ who: guest.arn })], ...may },
    'KKSs',
  ],
  ['another account’s key policy alone', { by: guest, key: [allow({ who: guest.arn })] }, 'iiis'],
  ['another account’s grant to the guest’s role', { by: guest, ...grantTo(GUEST_ROLE), ...may }, 'GGSs'],
];

export const SESSION_POLICIES: DecisionCase[] = TABLE.flatMap(([through, asked, row]) =>
  SESSION_POLICIES_TRIED.map(([session, policy], at) => ({
    name: `a session allowed by ${through}, ${session}`,
    ...asked,
    ...policy,
    expect: LETTERS[row[at]!]!,
  })),
);
