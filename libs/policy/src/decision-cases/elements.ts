// biome-ignore-all lint/suspicious/noTemplateCurlyInString: policy variables look like that
import { alice, allow, type DecisionCase, deny, HOME, KEY, type Words } from './case';

const fits = 'allow: identity policy own 0';
const fitsNot = 'deny: no identity-based policy';

const actions: DecisionCase[] = (
  [
    ['kms:Decrypt', 'kms:Decrypt', true],
    ['kms:Decrypt', 'KMS:DECRYPT', true],
    ['KMS:decrypt', 'kms:Decrypt', true],
    ['kms:Decrypt', 'kms:Decryp', false],
    ['kms:Decrypt', 'kms:Decrypt?', false],
    ['kms:Decrypt', 'kms:Decryp?', true],
    ['kms:Decrypt', 'kms:D*', true],
    ['kms:Decrypt', 'kms:*crypt', true],
    ['kms:Encrypt', 'kms:*crypt', true],
    ['kms:ReEncryptFrom', 'kms:*crypt', false],
    ['kms:ReEncryptFrom', 'kms:ReEncrypt*', true],
    ['kms:ReEncryptFrom', 'kms:ReEncrypt', false],
    ['kms:GenerateDataKeyWithoutPlaintext', 'kms:GenerateDataKey*', true],
    ['kms:GenerateDataKeyWithoutPlaintext', 'kms:GenerateDataKey', false],
    ['kms:Decrypt', '*', true],
    ['kms:Decrypt', 's3:*', false],
    ['kms:Decrypt', ['kms:Encrypt', 'kms:Dec*'], true],
    ['kms:Decrypt', ['kms:Encrypt', 'kms:Sign'], false],
  ] as const
).map(([does, pattern, holds]) => ({
  name: `the action ${does} against ${pattern}`,
  does,
  key: [allow({ who: HOME, does: '*' })],
  identity: { own: [allow({ does: [pattern].flat() })] },
  expect: holds ? fits : fitsNot,
}));

const resources: DecisionCase[] = (
  [
    [KEY, true],
    [KEY.toUpperCase().replace('ARN:', 'arn:'), false],
    ['*', true],
    ['arn:aws:kms:us-east-1:111122223333:key/*', true],
    ['arn:aws:kms:*:111122223333:key/*', true],
    ['arn:aws:kms:*:*:key/*', true],
    ['arn:aws:kms:us-*-1:111122223333:key/1234abcd-*', true],
    ['arn:aws:kms:us-east-?:111122223333:key/1234abcd-????-34cd-56ef-1234567890ab', true],
    ['arn:aws:kms:us-west-2:111122223333:key/*', false],
    ['arn:aws:kms:us-east-1:444455556666:key/*', false],
    ['arn:aws:kms:us-east-1:111122223333:alias/*', false],
    ['arn:aws:kms:us-east-1:111122223333:*', true],
    ['arn:*:*:*:*:*', true],
    ['arn:aws:*:*:*:key/*', true],
    ['arn:aws:k*:key/*:*:*:*', false],
    ['arn:aws:kms:*:key/*:*', false],
  ] as const
).map(([pattern, holds]) => ({
  name: `the key against the resource ${pattern}`,
  key: [allow({ who: HOME })],
  identity: { own: [allow({ on: pattern })] },
  expect: holds ? fits : fitsNot,
}));

const negated: DecisionCase[] = (
  [
    ['NotAction of another action', { notDoes: 'kms:Encrypt' }, true],
    ['NotAction of this action', { notDoes: 'kms:Decrypt' }, false],
    ['NotAction of a pattern', { notDoes: ['s3:*', 'kms:Dec*'] }, false],
    ['NotAction of everything', { notDoes: '*' }, false],
    ['NotResource of another key', { notOn: 'arn:aws:kms:us-east-1:111122223333:key/other' }, true],
    ['NotResource of this key', { notOn: KEY }, false],
    ['NotResource of a pattern', { notOn: ['arn:aws:s3:::b', 'arn:aws:kms:*:*:key/*'] }, false],
    ['NotResource of everything', { notOn: '*' }, false],
  ] as [string, Words, boolean][]
).flatMap(([name, words, holds]) => [
  {
    name: `an allow with ${name}`,
    key: [allow({ who: HOME })],
    identity: { own: [allow(words)] },
    expect: holds ? fits : fitsNot,
  },
  {
    name: `a deny with ${name}`,
    key: [allow({ who: alice.arn })],
    identity: { own: [deny(words)] },
    expect: holds ? 'deny: identity policy own 0' : 'allow: key policy 0',
  },
]);

const incomplete: DecisionCase[] = [
  {
    name: 'a key policy without Action has no effect',
    key: [{ Effect: 'Allow', Principal: '*', Resource: '*' }],
    expect: 'deny: no resource-based policy',
  },
  {
    name: 'a key policy without Resource has no effect',
    key: [{ Effect: 'Allow', Principal: '*', Action: '*' }],
    expect: 'deny: no resource-based policy',
  },
  {
    name: 'a deny without Action has no effect',
    key: [allow({ who: alice.arn }), { Effect: 'Deny', Principal: '*', Resource: '*' }],
    expect: 'allow: key policy 0',
  },
];

const TAG = 'aws:ResourceTag/team';
const OWN = 'aws:PrincipalTag/team';
const context = { [OWN]: 'red', [TAG]: 'red', 'aws:username': 'alice' };
const mine = { StringEquals: { [TAG]: `\${${OWN}}` } };
const notMine = { StringNotEquals: { [TAG]: `\${${OWN}}` } };

/** Statement of alice's policy, context, whether it fits. */
const VARIABLES: [string, Words, Record<string, string | string[]>, boolean][] = [
  ['a tag equal to the caller’s', { when: mine }, context, true],
  ['a tag unlike the caller’s', { when: mine }, { ...context, [TAG]: 'blue' }, false],
  ['a caller without the tag', { when: mine }, { [TAG]: 'red' }, false],
  ['a caller without the tag, negated in an Allow', { when: notMine }, { [TAG]: 'red' }, false],
  ['a tag unlike the caller’s, negated', { when: notMine }, { ...context, [TAG]: 'blue' }, true],
  ['a variable in another case', { when: { StringEquals: { [TAG]: '${AWS:principaltag/TEAM}' } } }, context, true],
  ['a default, not needed', { when: { StringEquals: { [TAG]: `\${${OWN}, 'none'}` } } }, context, true],
  ['a default, needed', { when: { StringEquals: { [TAG]: `\${${OWN}, 'none'}` } } }, { [TAG]: 'none' }, true],
  ['an empty default', { when: { StringEquals: { [TAG]: `\${${OWN}, ''}` } } }, { [TAG]: '' }, true],
  [
    'a variable within text',
    { when: { StringEquals: { [TAG]: 'a-${aws:username}-z' } } },
    { ...context, [TAG]: 'a-alice-z' },
    true,
  ],
  [
    'two variables',
    { when: { StringEquals: { [TAG]: `\${aws:username}/\${${OWN}}` } } },
    { ...context, [TAG]: 'alice/red' },
    true,
  ],
  [
    'a variable with wildcards about it',
    { when: { StringLike: { [TAG]: '*${aws:username}?' } } },
    { ...context, [TAG]: 'x-alice1' },
    true,
  ],
  [
    'a wildcard in the variable’s value',
    { when: { StringLike: { [TAG]: `\${${OWN}}` } } },
    { [OWN]: '*', [TAG]: 'red' },
    false,
  ],
  [
    'the wildcard itself in the variable’s value',
    { when: { StringLike: { [TAG]: `\${${OWN}}` } } },
    { [OWN]: '*', [TAG]: '*' },
    true,
  ],
  [
    'a backslash in the variable’s value',
    { when: { StringLike: { [TAG]: `\${${OWN}}` } } },
    { [OWN]: '\\*', [TAG]: '\\*' },
    true,
  ],
  ['a variable of many values', { when: mine }, { [OWN]: ['red', 'blue'], [TAG]: 'red' }, false],
  ['${*} as an ordinary star', { when: { StringLike: { [TAG]: 'a${*}' } } }, { [TAG]: 'a*' }, true],
  ['${*} as no wildcard', { when: { StringLike: { [TAG]: 'a${*}' } } }, { [TAG]: 'ab' }, false],
  ['${?} as no wildcard', { when: { StringLike: { [TAG]: 'a${?}' } } }, { [TAG]: 'ab' }, false],
  ['${?} as an ordinary question mark', { when: { StringLike: { [TAG]: 'a${?}' } } }, { [TAG]: 'a?' }, true],
  ['${$} as an ordinary dollar', { when: { StringEquals: { [TAG]: '${$}{x}' } } }, { [TAG]: '${x}' }, true],
  [
    'a variable in a Bool',
    { when: { Bool: { 'aws:SecureTransport': '${aws:MultiFactorAuthPresent}' } } },
    { 'aws:SecureTransport': 'true', 'aws:MultiFactorAuthPresent': 'true' },
    true,
  ],
  [
    'no variable in a number',
    { when: { NumericEquals: { 'kms:RotationPeriodInDays': '${aws:username}' } } },
    { 'kms:RotationPeriodInDays': '90', 'aws:username': '90' },
    false,
  ],
  [
    'a variable in an ARN',
    { when: { ArnLike: { 'aws:PrincipalArn': 'arn:aws:iam::*:user/${aws:username}' } } },
    { ...context, 'aws:PrincipalArn': alice.arn },
    true,
  ],
  [
    'a variable in the resource',
    { on: 'arn:aws:kms:*:*:key/${aws:PrincipalTag/key}' },
    { 'aws:PrincipalTag/key': KEY.split('/')[1]! },
    true,
  ],
  [
    'a variable in the resource, of another value',
    { on: 'arn:aws:kms:*:*:key/${aws:PrincipalTag/key}' },
    { 'aws:PrincipalTag/key': 'other' },
    false,
  ],
  [
    'a variable in the resource, a wildcard its value',
    { on: 'arn:aws:kms:*:*:key/${aws:PrincipalTag/key}' },
    { 'aws:PrincipalTag/key': '*' },
    false,
  ],
  ['a variable in the resource, without value', { on: 'arn:aws:kms:*:*:key/${aws:PrincipalTag/key}' }, {}, false],
  ['a variable in one of two resources', { on: ['arn:aws:kms:*:*:key/${aws:PrincipalTag/key}', KEY] }, {}, true],
  ['a variable in NotResource, without value', { notOn: 'arn:aws:kms:*:*:key/${aws:PrincipalTag/key}' }, {}, false],
  [
    'a variable in NotResource, of another value',
    { notOn: 'arn:aws:kms:*:*:key/${aws:PrincipalTag/key}' },
    { 'aws:PrincipalTag/key': 'x' },
    true,
  ],
  [
    'a variable as the account',
    { on: 'arn:aws:kms:*:${aws:PrincipalAccount}:key/*' },
    { 'aws:PrincipalAccount': HOME },
    true,
  ],
  [
    'a variable as the resource part',
    { on: 'arn:aws:kms:*:*:${aws:PrincipalTag/x}' },
    { 'aws:PrincipalTag/x': KEY.split(':')[5]! },
    true,
  ],
  [
    'a colon in the variable’s value',
    { on: 'arn:aws:kms:${aws:PrincipalTag/x}:key/*' },
    { 'aws:PrincipalTag/x': `us-east-1:${HOME}` },
    false,
  ],
];

const variables: DecisionCase[] = VARIABLES.map(([name, words, values, holds]) => ({
  name: `a policy variable: ${name}`,
  key: [allow({ who: HOME })],
  identity: { own: [allow(words)] },
  context: values,
  expect: holds ? fits : fitsNot,
}));

const byVersion: DecisionCase[] = [
  {
    name: 'a deny whose negated variable has no value denies',
    key: [allow({ who: alice.arn })],
    identity: { own: [deny({ when: notMine })] },
    context: { [TAG]: 'red' },
    expect: 'deny: identity policy own 0',
  },
  {
    name: 'version 2008-10-17 has no variables',
    version: '2008-10-17',
    key: [allow({ who: HOME })],
    identity: { own: [allow({ when: mine })] },
    context,
    expect: fitsNot,
  },
  {
    name: 'version 2008-10-17 takes variables as text',
    version: '2008-10-17',
    key: [allow({ who: HOME })],
    identity: { own: [allow({ when: mine })] },
    context: { [TAG]: `\${${OWN}}` },
    expect: fits,
  },
];

const conditions: DecisionCase[] = (
  [
    [
      'all conditions hold',
      { Bool: { 'aws:SecureTransport': 'true' }, StringEquals: { 'kms:CallerAccount': HOME } },
      true,
    ],
    [
      'one of two conditions fails',
      { Bool: { 'aws:SecureTransport': 'false' }, StringEquals: { 'kms:CallerAccount': HOME } },
      false,
    ],
    ['one of two keys fails', { StringEquals: { 'kms:CallerAccount': HOME, 'kms:ViaService': 's3' } }, false],
    ['one of two values fits', { StringEquals: { 'kms:CallerAccount': ['444455556666', HOME] } }, true],
    ['the key is written in another case', { StringEquals: { 'KMS:calleraccount': HOME } }, true],
    ['the key is unknown', { StringEquals: { 'kms:NoSuchKey': 'x' } }, false],
    ['the key is unknown, if it exists', { StringEqualsIfExists: { 'kms:NoSuchKey': 'x' } }, true],
    ['no value is listed', { StringEquals: { 'kms:CallerAccount': [] } }, false],
    ['the encryption context has the pair', { StringEquals: { 'kms:EncryptionContext:App': 'pay' } }, true],
    [
      'the encryption context has only known keys',
      { 'ForAllValues:StringEquals': { 'kms:EncryptionContextKeys': ['app', 'team'] } },
      true,
    ],
    [
      'the encryption context has some other key',
      { 'ForAllValues:StringEquals': { 'kms:EncryptionContextKeys': ['app'] } },
      false,
    ],
    [
      'the encryption context has a key',
      { 'ForAnyValue:StringEquals': { 'kms:EncryptionContextKeys': ['app'] } },
      true,
    ],
    ['the encryption context is absent', { Null: { 'kms:EncryptionContextKeys': 'true' } }, false],
    ['the encryption context is present', { Null: { 'kms:EncryptionContextKeys': 'false' } }, true],
  ] as [string, object, boolean][]
).map(([name, when, holds]) => ({
  name: `a condition where ${name}`,
  key: [allow({ who: HOME, when })],
  identity: { own: [allow({})] },
  context: {
    'aws:SecureTransport': 'true',
    'kms:CallerAccount': HOME,
    'kms:EncryptionContext:app': 'pay',
    'kms:EncryptionContextKeys': ['app', 'team'],
  },
  expect: holds ? fits : 'deny: no resource-based policy',
}));

export const ELEMENTS: DecisionCase[] = [
  ...actions,
  ...resources,
  ...negated,
  ...incomplete,
  ...variables,
  ...byVersion,
  ...conditions,
];
