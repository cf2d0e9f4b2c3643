import {
  ADMIN_ROLE,
  AWAY,
  AWAY_ROOT,
  alice,
  allow,
  ann,
  awayRoot,
  bob,
  type DecisionCase,
  deny,
  GUEST_ROLE,
  guest,
  HOME,
  HOME_ROOT,
  logs,
  root,
} from './case';

/** Who decides, in one letter: a key policy's allow is its first statement, its deny the second. */
const LETTERS: Record<string, string> = {
  K: 'allow: key policy 0',
  I: 'allow: identity policy own 0',
  L: 'allow: key policy 1',
  R: 'deny: no resource-based policy',
  i: 'deny: no identity-based policy',
  D: 'deny: key policy 1',
  d: 'deny: identity policy own 0',
};

const mayAll = { own: [allow({})] };
const mayNothing = { own: [deny({})] };

/** The columns of the table: callers without (-), with an allowing (+) and with a denying (!) policy of their own. */
const CALLERS: [string, Pick<DecisionCase, 'by' | 'identity'>][] = [
  ['root', { by: root }],
  ['alice-', { by: alice }],
  ['alice+', { by: alice, identity: mayAll }],
  ['alice!', { by: alice, identity: mayNothing }],
  ['ann-', { by: ann }],
  ['ann+', { by: ann, identity: mayAll }],
  ['ann!', { by: ann, identity: mayNothing }],
  ['away root', { by: awayRoot }],
  ['bob-', { by: bob }],
  ['bob+', { by: bob, identity: mayAll }],
  ['bob!', { by: bob, identity: mayNothing }],
  ['guest-', { by: guest }],
  ['guest+', { by: guest, identity: mayAll }],
  ['logs', { by: logs }],
];

/** Each key policy, and how it settles the request of each caller: own account, own role, other account, service. */
const TABLE: [string, object[], string][] = [
  //                                                                    root alice ann  away bob guest logs
  ['names nobody of them', [allow({ who: `arn:aws:iam::${HOME}:role/Other` })], 'R RRd RRd R RRd RR R'],
  ['names the account by its root', [allow({ who: HOME_ROOT })], 'K iId iId R RRd RR R'],
  ['names the account by its number', [allow({ who: HOME })], 'K iId iId R RRd RR R'],
  ['names the root in another partition', [allow({ who: `arn:aws-cn:iam::${HOME}:root` })], 'K iId iId R RRd RR R'],
  ['names alice', [allow({ who: alice.arn })], 'R KKd RRd R RRd RR R'],
  ['names alice’s unique id', [allow({ who: alice.uniqueId })], 'R KKd RRd R RRd RR R'],
  ['names an earlier alice’s unique id', [allow({ who: 'AIDAALICE0000EARLIER' })], 'R RRd RRd R RRd RR R'],
  ['names alice in another case', [allow({ who: `arn:aws:iam::${HOME}:user/Alice` })], 'R RRd RRd R RRd RR R'],
  ['names alice under a path', [allow({ who: `arn:aws:iam::${HOME}:user/x/alice` })], 'R RRd RRd R RRd RR R'],
  ['names an alice of the other account', [allow({ who: `arn:aws:iam::${AWAY}:user/alice` })], 'R RRd RRd R RRd RR R'],
  ['names the role', [allow({ who: ADMIN_ROLE })], 'R RRd KKd R RRd RR R'],
  ['names the role without its path', [allow({ who: `arn:aws:iam::${HOME}:role/Admin` })], 'R RRd RRd R RRd RR R'],
  ['names the role’s unique id', [allow({ who: ann.uniqueId })], 'R RRd KKd R RRd RR R'],
  ['names the session', [allow({ who: ann.arn })], 'R RRd KKd R RRd RR R'],
  [
    'names another session of the role',
    [allow({ who: `arn:aws:sts::${HOME}:assumed-role/Admin/zoe` })],
    'R RRd RRd R RRd RR R',
  ],
  ['names everyone', [allow({ who: '*' })], 'K KKd KKd K iKd iK K'],
  ['names every AWS principal', [allow({ who: { AWS: '*' } })], 'K KKd KKd K iKd iK R'],
  ['names the other account', [allow({ who: AWAY_ROOT })], 'R RRd RRd K iKd iK R'],
  ['names both accounts', [allow({ who: [HOME, AWAY] })], 'K iId iId K iKd iK R'],
  ['names the account, then alice', [allow({ who: HOME }), allow({ who: alice.arn })], 'K LLd iId R RRd RR R'],
  ['names alice, then the account', [allow({ who: alice.arn }), allow({ who: HOME })], 'L KKd iId R RRd RR R'],
  ['names bob', [allow({ who: bob.arn })], 'R RRd RRd R iKd RR R'],
  ['names bob’s unique id', [allow({ who: bob.uniqueId })], 'R RRd RRd R iKd RR R'],
  ['names the guest’s role', [allow({ who: GUEST_ROLE })], 'R RRd RRd R RRd iK R'],
  ['names the guest’s session', [allow({ who: guest.arn })], 'R RRd RRd R RRd iK R'],
  ['names the service', [allow({ who: { Service: 'logs.amazonaws.com' } })], 'R RRd RRd R RRd RR K'],
  ['names another service', [allow({ who: { Service: 'ec2.amazonaws.com' } })], 'R RRd RRd R RRd RR R'],
  ['names an identity provider', [allow({ who: { Federated: 'accounts.google.com' } })], 'R RRd RRd R RRd RR R'],
  ['only denies', [deny({ who: HOME }), deny({ who: HOME })], 'E EEE EEE R RRd RR R'],
  ['denies alice', [allow({ who: HOME }), deny({ who: alice.arn })], 'K DDD iId R RRd RR R'],
  ['denies the account', [allow({ who: HOME }), deny({ who: HOME })], 'D DDD DDD R RRd RR R'],
  ['denies the role', [allow({ who: HOME }), deny({ who: ADMIN_ROLE })], 'K iId DDD R RRd RR R'],
  ['denies the session', [allow({ who: HOME }), deny({ who: ann.arn })], 'K iId DDD R RRd RR R'],
  ['denies the role’s unique id', [allow({ who: HOME }), deny({ who: ann.uniqueId })], 'K iId DDD R RRd RR R'],
  ['denies everyone', [allow({ who: '*' }), deny({ who: '*' })], 'D DDD DDD D DDD DD D'],
  ['denies every AWS principal', [allow({ who: '*' }), deny({ who: { AWS: '*' } })], 'D DDD DDD D DDD DD K'],
  ['denies the other account', [allow({ who: '*' }), deny({ who: AWAY })], 'K KKd KKd D DDD DD K'],
  [
    'denies the service',
    [allow({ who: '*' }), deny({ who: { Service: 'logs.amazonaws.com' } })],
    'K KKd KKd K iKd iK D',
  ],
  ['denies another action', [allow({ who: HOME }), deny({ who: '*', does: 'kms:Encrypt' })], 'K iId iId R RRd RR R'],
  ['denies all but alice', [allow({ who: '*' }), deny({ notWho: alice.arn })], 'D KKd DDD D DDD DD D'],
  ['denies all but the role', [allow({ who: '*' }), deny({ notWho: ADMIN_ROLE })], 'D DDD KKd D DDD DD D'],
  ['denies all but the session', [allow({ who: '*' }), deny({ notWho: ann.arn })], 'D DDD KKd D DDD DD D'],
  ['denies all but the account', [allow({ who: '*' }), deny({ notWho: HOME })], 'K DDD DDD D DDD DD D'],
  [
    'denies all but alice and the account',
    [allow({ who: '*' }), deny({ notWho: [HOME, alice.arn] })],
    'K KKd DDD D DDD DD D',
  ],
  ['allows all but bob', [allow({ notWho: bob.arn })], 'K KKd KKd K RRd iK K'],
  ['allows all but the role', [allow({ notWho: ADMIN_ROLE })], 'K KKd RRd K iKd iK K'],
  ['allows all but the account', [allow({ notWho: HOME })], 'R RRd RRd K iKd iK K'],
  ['allows all but everyone', [allow({ notWho: '*' })], 'R RRd RRd R RRd RR R'],
  ['allows another action', [allow({ who: '*', does: 'kms:Encrypt' })], 'R RRd RRd R RRd RR R'],
  ['allows another key', [allow({ who: '*', on: `arn:aws:kms:us-east-1:${HOME}:key/other` })], 'R RRd RRd R RRd RR R'],
  [
    'allows under a condition that fails',
    [allow({ who: '*', when: { Bool: { 'aws:SecureTransport': 'true' } } })],
    'R RRd RRd R RRd RR R',
  ],
];

export const KEY_POLICIES: DecisionCase[] = TABLE.flatMap(([policy, key, row]) => {
  const letters = row.replaceAll(' ', '');
  return CALLERS.map(([caller, asked], at) => ({
    name: `a key policy that ${policy}, asked by ${caller}`,
    ...asked,
    key,
    // Where nothing but denies is there, the first of them decides.
    expect: letters[at] === 'E' ? 'deny: key policy 0' : LETTERS[letters[at]!]!,
  }));
});
