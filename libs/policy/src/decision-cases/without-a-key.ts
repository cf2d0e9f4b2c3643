import {
  ADMIN_ROLE,
  AWAY,
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
  KEY,
  logs,
  root,
  trust,
} from './case';

const may = { own: [allow({ does: '*' })] };

const ownPolicies: DecisionCase[] = [
  'kms:CreateKey',
  'kms:ListKeys',
  'kms:ListAliases',
  'kms:GenerateRandom',
  'iam:CreateUser',
].flatMap((does) => [
  { name: `${does} by root`, by: root, does, on: '*', expect: 'allow: root' },
  { name: `${does} by another account’s root, in its own`, by: awayRoot, does, on: '*', expect: 'allow: root' },
  { name: `${does} by a user without a policy`, does, on: '*', expect: 'deny: no identity-based policy' },
  { name: `${does} by a user with a policy`, does, on: '*', identity: may, expect: 'allow: identity policy own 0' },
  {
    name: `${does} by a session of a role with a policy`,
    by: ann,
    does,
    on: '*',
    identity: may,
    expect: 'allow: identity policy own 0',
  },
  {
    name: `${does} by a user who is denied`,
    does,
    on: '*',
    identity: { own: [allow({ does: '*' }), deny({ does })] },
    expect: 'deny: identity policy own 1',
  },
  {
    name: `${does} by a user with a policy for one key`,
    does,
    on: '*',
    identity: { own: [allow({ does: '*', on: KEY })] },
    expect: 'deny: no identity-based policy',
  },
  { name: `${does} by a service`, by: logs, does, on: '*', expect: 'deny: no identity-based policy' },
]);

const ofTheAccount: DecisionCase[] = [
  {
    name: 'a user of the own account, managed by root',
    by: root,
    does: 'iam:GetUser',
    on: bob.arn.replace(AWAY, HOME),
    expect: 'allow: root',
  },
  {
    name: 'a user of another account, managed by root',
    by: root,
    does: 'iam:GetUser',
    on: bob.arn,
    expect: 'deny: no resource-based policy',
  },
  {
    name: 'a user of another account, managed by a user',
    does: 'iam:GetUser',
    on: bob.arn,
    identity: may,
    expect: 'deny: no resource-based policy',
  },
  {
    name: 'an alias of the own account',
    does: 'kms:CreateAlias',
    on: `arn:aws:kms:us-east-1:${HOME}:alias/a`,
    identity: may,
    expect: 'allow: identity policy own 0',
  },
  {
    name: 'an alias of another account',
    does: 'kms:CreateAlias',
    on: `arn:aws:kms:us-east-1:${AWAY}:alias/a`,
    identity: may,
    expect: 'deny: no resource-based policy',
  },
  { name: 'a key whose policy is not given', identity: may, expect: 'deny: no resource-based policy' },
  { name: 'a key whose policy is not given, by root', by: root, expect: 'deny: no resource-based policy' },
  {
    name: 'the second of several policies',
    does: 'kms:ListKeys',
    on: '*',
    identity: { a: [allow({ does: 'kms:CreateKey' })], b: [allow({ does: 'kms:List*' })] },
    expect: 'allow: identity policy b 0',
  },
  {
    name: 'the first that allows of several',
    does: 'kms:ListKeys',
    on: '*',
    identity: { a: [allow({})], b: [allow({})] },
    expect: 'allow: identity policy a 0',
  },
  {
    name: 'a deny in a later policy',
    does: 'kms:ListKeys',
    on: '*',
    identity: { a: [allow({})], b: [allow({}), deny({})] },
    expect: 'deny: identity policy b 1',
  },
  {
    name: 'the first of several denies',
    does: 'kms:ListKeys',
    on: '*',
    identity: { a: [deny({})], b: [deny({})] },
    expect: 'deny: identity policy a 0',
  },
];

const assume = { does: 'sts:AssumeRole', on: ADMIN_ROLE };
const mayAssume = { own: [allow({ does: 'sts:AssumeRole', on: ADMIN_ROLE })] };
const does = 'sts:AssumeRole';

const assumed: DecisionCase[] = [
  { name: 'named by the trust policy', trust: [trust({ who: alice.arn, does })], expect: 'allow: trust policy 0' },
  {
    name: 'whose account is trusted, without own policy',
    trust: [trust({ who: HOME, does })],
    expect: 'deny: no identity-based policy',
  },
  {
    name: 'whose account is trusted, with own policy',
    trust: [trust({ who: HOME, does })],
    identity: mayAssume,
    expect: 'allow: identity policy own 0',
  },
  {
    name: 'whom no one trusts, with own policy',
    trust: [trust({ who: bob.arn, does })],
    identity: mayAssume,
    expect: 'deny: no resource-based policy',
  },
  {
    name: 'trusted for something else',
    trust: [trust({ who: alice.arn, does: 'sts:TagSession' })],
    expect: 'deny: no resource-based policy',
  },
  {
    name: 'of another account, named, without own policy',
    by: bob,
    trust: [trust({ who: bob.arn, does })],
    expect: 'deny: no identity-based policy',
  },
  {
    name: 'of another account, named, with own policy',
    by: bob,
    trust: [trust({ who: bob.arn, does })],
    identity: mayAssume,
    expect: 'allow: trust policy 0',
  },
  {
    name: 'of another account that is trusted, with own policy',
    by: bob,
    trust: [trust({ who: AWAY, does })],
    identity: mayAssume,
    expect: 'allow: trust policy 0',
  },
  {
    name: 'of another account, with own policy for another role',
    by: bob,
    trust: [trust({ who: AWAY, does })],
    identity: { own: [allow({ does, on: GUEST_ROLE })] },
    expect: 'deny: no identity-based policy',
  },
  {
    name: 'of another account as a session',
    by: guest,
    trust: [trust({ who: GUEST_ROLE, does })],
    identity: mayAssume,
    expect: 'allow: trust policy 0',
  },
  { name: 'who is root', by: root, trust: [trust({ who: HOME, does })], expect: 'allow: trust policy 0' },
  {
    name: 'who is a service',
    by: logs,
    trust: [trust({ who: { Service: 'logs.amazonaws.com' }, does })],
    expect: 'allow: trust policy 0',
  },
  {
    name: 'denied by own policy',
    trust: [trust({ who: alice.arn, does })],
    identity: { own: [deny({ does: 'sts:*' })] },
    expect: 'deny: identity policy own 0',
  },
  {
    name: 'who shows the agreed external id',
    by: bob,
    trust: [trust({ who: AWAY, does, when: { StringEquals: { 'sts:ExternalId': 'x' } } })],
    identity: mayAssume,
    context: { 'sts:ExternalId': 'x' },
    expect: 'allow: trust policy 0',
  },
  {
    name: 'who shows no external id',
    by: bob,
    trust: [trust({ who: AWAY, does, when: { StringEquals: { 'sts:ExternalId': 'x' } } })],
    identity: mayAssume,
    expect: 'deny: no resource-based policy',
  },
  { name: 'where the trust policy is not given', identity: mayAssume, expect: 'deny: no resource-based policy' },
].map((each) => ({ ...assume, ...each, name: `a role assumed by a caller ${each.name}` }));

export const WITHOUT_A_KEY: DecisionCase[] = [...ownPolicies, ...ofTheAccount, ...assumed];
