import {
  ADMIN_ROLE,
  AWAY,
  alice,
  allow,
  ann,
  bob,
  type DecisionCase,
  deny,
  GUEST_ROLE,
  guest,
  HOME,
  HOME_ROOT,
  root,
  trust,
} from './case';

/** Letters as in the table of key policies. */
const LETTERS: Record<string, string> = {
  K: 'allow: key policy 0',
  L: 'allow: key policy 1',
  I: 'allow: identity policy own 0',
  R: 'deny: no resource-based policy',
  i: 'deny: no identity-based policy',
  D: 'deny: key policy 1',
};

const EVERYBODY = [alice, ann, bob, guest];
const ARNS = [alice.arn, ADMIN_ROLE, ann.arn, bob.arn, GUEST_ROLE, guest.arn];
const idOf = (arn: string): string => EVERYBODY.find((one) => one.arn === arn || one.roleArn === arn)!.uniqueId;

/** The rows' columns: what is recorded of every ARN: nothing, those who call, or others who had their names before. */
const RECORDED: [string, Record<string, string> | undefined][] = [
  ['without recorded ids', undefined],
  ['with the ids of those who are named', Object.fromEntries(ARNS.map((arn) => [arn, idOf(arn)]))],
  [
    'with the ids of others who had the names',
    Object.fromEntries(ARNS.map((arn) => [arn, `${idOf(arn).slice(0, 4)}FORMERFORMER`])),
  ],
];

/** Within each: root, alice, ann (as Admin), bob and guest of the other account; all may everything by policies of their own. */
const CALLERS = [root, ...EVERYBODY];

const TABLE: [string, object[], string][] = [
  //                                                                     by ARN  theirs  others’
  ['allows a user', [allow({ who: alice.arn })], 'RKRRR RKRRR RRRRR'],
  ['allows a role', [allow({ who: ADMIN_ROLE })], 'RRKRR RRKRR RRRRR'],
  ['allows a session', [allow({ who: ann.arn })], 'RRKRR RRKRR RRRRR'],
  ['allows a user elsewhere', [allow({ who: bob.arn })], 'RRRKR RRRKR RRRRR'],
  ['allows a role elsewhere', [allow({ who: GUEST_ROLE })], 'RRRRK RRRRK RRRRR'],
  ['allows a session elsewhere', [allow({ who: guest.arn })], 'RRRRK RRRRK RRRRR'],
  ['allows a user by ARN and by id', [allow({ who: [alice.arn, alice.uniqueId] })], 'RKRRR RKRRR RKRRR'],
  ['allows a user and everyone', [allow({ who: [alice.arn, '*'] })], 'KKKKK KKKKK KKKKK'],
  ['allows a user and the account', [allow({ who: [alice.arn, HOME] })], 'KKIRR KKIRR KIIRR'],
  ['allows the account, then a user', [allow({ who: HOME }), allow({ who: alice.arn })], 'KLIRR KLIRR KIIRR'],
  ['denies a user', [allow({ who: '*' }), deny({ who: alice.arn })], 'KDKKK KDKKK KDKKK'],
  ['denies a role', [allow({ who: '*' }), deny({ who: ADMIN_ROLE })], 'KKDKK KKDKK KKDKK'],
  ['denies a session', [allow({ who: '*' }), deny({ who: ann.arn })], 'KKDKK KKDKK KKDKK'],
  ['denies a role elsewhere', [allow({ who: '*' }), deny({ who: GUEST_ROLE })], 'KKKKD KKKKD KKKKD'],
  ['allows all but a user', [allow({ notWho: alice.arn })], 'KRKKK KRKKK KRKKK'],
  ['allows all but a role', [allow({ notWho: ADMIN_ROLE })], 'KKRKK KKRKK KKRKK'],
  ['allows all but a session elsewhere', [allow({ notWho: guest.arn })], 'KKKKR KKKKR KKKKR'],
  ['denies all but a user', [allow({ who: '*' }), deny({ notWho: alice.arn })], 'DKDDD DKDDD DDDDD'],
  ['denies all but a role', [allow({ who: '*' }), deny({ notWho: ADMIN_ROLE })], 'DDKDD DDKDD DDDDD'],
  ['denies all but a session', [allow({ who: '*' }), deny({ notWho: ann.arn })], 'DDKDD DDKDD DDDDD'],
  ['denies all but a user elsewhere', [allow({ who: '*' }), deny({ notWho: bob.arn })], 'DDDKD DDDKD DDDDD'],
  [
    'denies all but root and a user',
    [allow({ who: '*' }), deny({ notWho: [HOME_ROOT, alice.arn] })],
    'KKDDD KKDDD KDDDD',
  ],
  ['names nobody by ARN', [allow({ who: [HOME, AWAY, bob.uniqueId] })], 'KIIKK KIIKK KIIKK'],
];

const mayAll = { own: [allow({})] };
const FORMER_ADMIN = { [ADMIN_ROLE]: 'AROAFORMERFORMER' };
const FORMER_SESSION = { [ann.arn]: 'AROAFORMERFORMER' };

const MORE: DecisionCase[] = [
  {
    name: 'a trust policy that meant an earlier user of the name',
    does: 'sts:AssumeRole',
    on: ADMIN_ROLE,
    trust: [trust({ who: alice.arn, does: 'sts:AssumeRole' })],
    ids: { [alice.arn]: 'AIDAFORMERFORMER' },
    identity: { own: [allow({ does: 'sts:*' })] },
    expect: 'deny: no resource-based policy',
  },
  {
    name: 'a trust policy that means the user',
    does: 'sts:AssumeRole',
    on: ADMIN_ROLE,
    trust: [trust({ who: alice.arn, does: 'sts:AssumeRole' })],
    ids: { [alice.arn]: alice.uniqueId },
    expect: 'allow: trust policy 0',
  },
  {
    name: 'a session by its own name, of an earlier role, is no more than the role that is named too',
    by: ann,
    key: [allow({ who: [ann.arn, ADMIN_ROLE] })],
    ids: FORMER_SESSION,
    session: [allow({ does: 'kms:Encrypt' })],
    expect: 'deny: no session policy',
  },
  {
    name: 'a session by its own name, where the role that is named too was an earlier one',
    by: ann,
    key: [allow({ who: [ann.arn, ADMIN_ROLE] })],
    ids: FORMER_ADMIN,
    session: [allow({ does: 'kms:Encrypt' })],
    expect: 'allow: key policy 0',
  },
  {
    name: 'an id recorded of one ARN says nothing of another',
    by: alice,
    key: [allow({ who: [alice.arn, bob.arn] })],
    ids: { [bob.arn]: 'AIDAFORMERFORMER' },
    expect: 'allow: key policy 0',
  },
  {
    name: 'a grant is not looked at by the ids of the key policy',
    key: [allow({ who: alice.arn })],
    ids: { [alice.arn]: 'AIDAFORMERFORMER' },
    grants: [{ grantId: 'g', granteePrincipal: alice.arn, operations: ['Decrypt'] }],
    expect: 'allow: grant g',
  },
];

export const NAMED_IDS: DecisionCase[] = [
  ...TABLE.flatMap(([policy, key, row]) =>
    RECORDED.flatMap(([recorded, ids], column) =>
      CALLERS.map((by, at) => ({
        name: `a key policy that ${policy}, ${recorded}, asked by ${by.arn}`,
        by,
        key,
        ...(ids && { ids }),
        identity: mayAll,
        expect: LETTERS[row.split(' ')[column]![at]!]!,
      })),
    ),
  ),
  ...MORE,
];
