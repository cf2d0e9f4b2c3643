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
  HOME_ROOT,
  logs,
  root,
} from './case';

const other = [allow({ who: `arn:aws:iam::${HOME}:role/Other` })];
const may = { own: [allow({})] };
const grant = (granteePrincipal: string, operations: string[] = ['Decrypt'], constraints?: object, grantId = 'g') => ({
  grantId,
  granteePrincipal,
  operations,
  ...(constraints === undefined ? {} : { constraints }),
});
const missing = 'deny: no resource-based policy';

const grantees: DecisionCase[] = [
  { name: 'a user', grants: [grant(alice.arn)], expect: 'allow: grant g' },
  { name: 'a user by unique id', grants: [grant(alice.uniqueId)], expect: 'allow: grant g' },
  { name: 'another user', grants: [grant(`${alice.arn}2`)], expect: missing },
  { name: 'a role, used by its session', by: ann, grants: [grant(ADMIN_ROLE)], expect: 'allow: grant g' },
  { name: 'a role by unique id', by: ann, grants: [grant(ann.uniqueId)], expect: 'allow: grant g' },
  { name: 'a session', by: ann, grants: [grant(ann.arn)], expect: 'allow: grant g' },
  { name: 'another session', by: ann, grants: [grant(`${ann.arn}2`)], expect: missing },
  { name: 'another role', by: ann, grants: [grant(`${ADMIN_ROLE}2`)], expect: missing },
  { name: 'a service', by: logs, grants: [grant('logs.amazonaws.com')], expect: 'allow: grant g' },
  { name: 'another service', by: logs, grants: [grant('ec2.amazonaws.com')], expect: missing },
  { name: 'the root', by: root, grants: [grant(HOME_ROOT)], expect: 'allow: grant g' },
  {
    name: 'the account, used without own policy',
    grants: [grant(HOME_ROOT)],
    expect: 'deny: no identity-based policy',
  },
  {
    name: 'the account, used with own policy',
    grants: [grant(HOME)],
    identity: may,
    expect: 'allow: identity policy own 0',
  },
  {
    name: 'another account’s user with own policy',
    by: bob,
    grants: [grant(bob.arn)],
    identity: may,
    expect: 'allow: grant g',
  },
  {
    name: 'another account’s user without',
    by: bob,
    grants: [grant(bob.arn)],
    expect: 'deny: no identity-based policy',
  },
  {
    name: 'another account’s role with own policy',
    by: guest,
    grants: [grant(GUEST_ROLE)],
    identity: may,
    expect: 'allow: grant g',
  },
  { name: 'another account, used by its root', by: awayRoot, grants: [grant(AWAY)], expect: 'allow: grant g' },
  {
    name: 'another account, used with own policy',
    by: bob,
    grants: [grant(AWAY)],
    identity: may,
    expect: 'allow: grant g',
  },
  { name: 'everyone, which no grant can name', grants: [grant('*')], expect: missing },
].map((each) => ({ ...each, name: `a grant to ${each.name}`, key: other }));

const operations: DecisionCase[] = (
  [
    ['kms:Decrypt', ['Decrypt'], true],
    ['kms:decrypt', ['Decrypt'], true],
    ['kms:Encrypt', ['Decrypt'], false],
    ['kms:Encrypt', ['Decrypt', 'Encrypt'], true],
    ['kms:GenerateDataKey', ['GenerateDataKeyWithoutPlaintext'], false],
    ['kms:GenerateDataKeyWithoutPlaintext', ['GenerateDataKey'], false],
    ['kms:ReEncryptFrom', ['ReEncryptFrom'], true],
    ['kms:ReEncryptTo', ['ReEncryptFrom'], false],
    ['kms:DescribeKey', ['DescribeKey'], true],
    ['kms:CreateGrant', ['CreateGrant'], true],
    ['kms:RetireGrant', ['RetireGrant'], true],
    ['kms:Sign', ['Verify'], false],
    ['kms:PutKeyPolicy', ['Decrypt'], false],
    ['s3:Decrypt', ['Decrypt'], false],
    ['kms:Decrypt', [], false],
  ] as const
).map(([does, operations, allowed]) => ({
  name: `a grant of ${operations.join(' and ') || 'nothing'}, asked for ${does}`,
  key: other,
  does,
  grants: [grant(alice.arn, [...operations])],
  expect: allowed ? 'allow: grant g' : missing,
}));

const team = { team: 'red' };
const both = { team: 'red', app: 'pay' };
const twice = { team: 'red', TEAM: 'red' };
const kin = { kin: 'yes' };
/** U+212A, whose small letter is `k`. */
const kelvin = { '\u212Ain': 'yes' };
const QUEUE = 'arn:aws:sqs:us-east-1:111122223333:queue';

/** Constraint, operation, encryption context of the call, whether the grant holds. */
const CONSTRAINED: [string, object, string, Record<string, string> | undefined, boolean][] = [
  ['equals', { EncryptionContextEquals: team }, 'Decrypt', team, true],
  ['equals, with a pair too many', { EncryptionContextEquals: team }, 'Decrypt', both, false],
  ['equals, with a pair too few', { EncryptionContextEquals: both }, 'Decrypt', team, false],
  ['equals, without context', { EncryptionContextEquals: team }, 'Decrypt', undefined, false],
  ['equals, with an empty context', { EncryptionContextEquals: team }, 'Decrypt', {}, false],
  ['equals nothing, with an empty context', { EncryptionContextEquals: {} }, 'Decrypt', {}, true],
  ['equals nothing, with a pair', { EncryptionContextEquals: {} }, 'Decrypt', team, false],
  ['equals, in another order', { EncryptionContextEquals: both }, 'Decrypt', { app: 'pay', team: 'red' }, true],
  ['equals, with another value', { EncryptionContextEquals: team }, 'Decrypt', { team: 'blue' }, false],
  ['equals, its key in another case', { EncryptionContextEquals: team }, 'Decrypt', { Team: 'red' }, true],
  ['equals, with a pair that another has in another case', { EncryptionContextEquals: team }, 'Decrypt', twice, false],
  [
    'equals, its key with a letter that only looks the same',
    { EncryptionContextEquals: kin },
    'Decrypt',
    kelvin,
    false,
  ],
  ['equals, its value in another case', { EncryptionContextEquals: team }, 'Decrypt', { team: 'Red' }, false],
  ['subset', { EncryptionContextSubset: team }, 'Decrypt', team, true],
  ['subset, with a pair more', { EncryptionContextSubset: team }, 'Decrypt', both, true],
  ['subset, without context', { EncryptionContextSubset: team }, 'Decrypt', undefined, false],
  ['subset, with another value', { EncryptionContextSubset: team }, 'Decrypt', { team: 'blue', app: 'pay' }, false],
  ['subset, its key in another case', { EncryptionContextSubset: team }, 'Decrypt', { TEAM: 'red', app: 'x' }, true],
  ['subset, with a key of Object.prototype', { EncryptionContextSubset: { constructor: 'x' } }, 'Decrypt', {}, false],
  [
    'both, of which one fails',
    { EncryptionContextSubset: team, EncryptionContextEquals: both },
    'Decrypt',
    team,
    false,
  ],
  ['equals, on Encrypt', { EncryptionContextEquals: team }, 'Encrypt', undefined, false],
  ['equals, on GenerateDataKey', { EncryptionContextEquals: team }, 'GenerateDataKey', undefined, false],
  [
    'equals, on its form without plaintext',
    { EncryptionContextEquals: team },
    'GenerateDataKeyWithoutPlaintext',
    {},
    false,
  ],
  ['equals, on GenerateDataKeyPair', { EncryptionContextEquals: team }, 'GenerateDataKeyPair', undefined, false],
  ['equals, on ReEncryptFrom', { EncryptionContextEquals: team }, 'ReEncryptFrom', team, true],
  ['equals, on ReEncryptTo', { EncryptionContextEquals: team }, 'ReEncryptTo', undefined, false],
  ['equals, on DescribeKey', { EncryptionContextEquals: team }, 'DescribeKey', undefined, true],
  ['equals, on RetireGrant', { EncryptionContextEquals: team }, 'RetireGrant', undefined, true],
  ['equals, on CreateGrant', { EncryptionContextEquals: team }, 'CreateGrant', undefined, true],
  ['subset, on GetPublicKey', { EncryptionContextSubset: team }, 'GetPublicKey', undefined, true],
];

const constrained: DecisionCase[] = CONSTRAINED.map(([name, constraints, operation, encryptionContext, holds]) => ({
  name: `a grant constrained by ${name}`,
  key: other,
  does: `kms:${operation}`,
  grants: [grant(alice.arn, [operation], constraints)],
  ...(encryptionContext === undefined ? {} : { encryptionContext }),
  expect: holds ? 'allow: grant g' : missing,
}));

const bySource: DecisionCase[] = (
  [
    ['the same source', 'kms:Decrypt', QUEUE, true],
    ['another source', 'kms:Decrypt', `${QUEUE}2`, false],
    ['no source', 'kms:Decrypt', undefined, false],
    ['no source, on DescribeKey', 'kms:DescribeKey', undefined, false],
    ['no source, on RetireGrant', 'kms:RetireGrant', undefined, true],
  ] as const
).map(([name, does, source, holds]) => ({
  name: `a grant constrained by source, with ${name}`,
  key: other,
  does,
  grants: [grant(alice.arn, ['Decrypt', 'DescribeKey', 'RetireGrant'], { SourceArn: QUEUE })],
  ...(source === undefined ? {} : { context: { 'aws:SourceArn': source } }),
  expect: holds ? 'allow: grant g' : missing,
}));

const among: DecisionCase[] = [
  {
    name: 'one to the role before one to its session, of which the first decides',
    by: ann,
    grants: [grant(ADMIN_ROLE, ['Decrypt'], undefined, 'first'), grant(ann.arn, ['Decrypt'], undefined, 'second')],
    expect: 'allow: grant first',
  },
  {
    name: 'a grant is no help against a deny of the key policy',
    key: [allow({ who: HOME }), deny({ who: alice.arn })],
    grants: [grant(alice.arn)],
    expect: 'deny: key policy 1',
  },
  {
    name: 'a grant is no help against a deny of the user’s policy',
    key: other,
    identity: { own: [deny({})] },
    grants: [grant(alice.arn)],
    expect: 'deny: identity policy own 0',
  },
  {
    name: 'a grant steps in where the key policy names the account and the user has no policy',
    key: [allow({ who: HOME })],
    grants: [grant(alice.arn)],
    expect: 'allow: grant g',
  },
  {
    name: 'a grant is not asked where the policies allow',
    key: [allow({ who: HOME })],
    identity: may,
    grants: [grant(alice.arn)],
    expect: 'allow: identity policy own 0',
  },
  {
    name: 'a grant is not asked where the key policy names the user',
    key: [allow({ who: alice.arn })],
    grants: [grant(alice.arn)],
    expect: 'allow: key policy 0',
  },
  {
    name: 'the first grant that fits decides',
    key: other,
    grants: [grant(bob.arn, ['Decrypt'], undefined, 'a'), grant(alice.arn, ['Sign'], undefined, 'b'), grant(alice.arn)],
    expect: 'allow: grant g',
  },
  {
    name: 'a grant to the user counts before one to the account',
    key: other,
    grants: [grant(HOME, ['Decrypt'], undefined, 'a'), grant(alice.arn)],
    expect: 'allow: grant g',
  },
  { name: 'a grant on a key without policy', grants: [grant(alice.arn)], expect: 'allow: grant g' },
  { name: 'no grant at all', key: other, grants: [], expect: missing },
];

export const GRANTS: DecisionCase[] = [...grantees, ...operations, ...constrained, ...bySource, ...among];
