import {
  AWAY,
  alice,
  allow,
  bob,
  type DecisionCase,
  deny,
  HOME,
  KEY,
  policiesOf,
  requestOf,
} from './decision-cases/case';
import { explain } from './explain';

const explained = (each: Omit<DecisionCase, 'name' | 'expect'>) => {
  const whole = { name: '', expect: '', ...each };
  return explain(requestOf(whole), policiesOf(whole));
};
const considered = (each: Omit<DecisionCase, 'name' | 'expect'>) => explained(each).considered;

describe('an explanation', () => {
  it('tells every statement and grant, also those behind the one that decided', () => {
    const all = explained({
      key: [deny({ who: '*', sid: 'stop' }), allow({ who: HOME }), allow({ who: alice.arn })],
      identity: { a: [allow({})], b: [allow({})] },
      session: [allow({})],
      grants: [
        { grantId: 'g1', granteePrincipal: alice.arn, operations: ['Decrypt'] },
        { grantId: 'g2', granteePrincipal: alice.arn, operations: ['Decrypt'] },
      ],
    });
    expect(all.decision).toMatchObject({ allowed: false, decidedBy: { sid: 'stop' } });
    expect(all.considered).toEqual([
      { kind: 'statement', policy: 'key policy', sid: 'stop', index: 0, effect: 'Deny', covers: 'name' },
      { kind: 'statement', policy: 'key policy', index: 1, effect: 'Allow', covers: 'account' },
      { kind: 'statement', policy: 'key policy', index: 2, effect: 'Allow', covers: 'name' },
      { kind: 'statement', policy: 'identity policy a', index: 0, effect: 'Allow', covers: 'name' },
      { kind: 'statement', policy: 'identity policy b', index: 0, effect: 'Allow', covers: 'name' },
      { kind: 'statement', policy: 'session policy', index: 0, effect: 'Allow', covers: 'name' },
      { kind: 'grant', grantId: 'g1', covers: 'name' },
      { kind: 'grant', grantId: 'g2', covers: 'name' },
    ]);
  });

  it.each<[string, object, object]>([
    [
      'action',
      allow({ who: HOME, does: 'kms:Encrypt' }),
      { element: 'action', expected: ['kms:Encrypt'], actual: 'kms:Decrypt' },
    ],
    ['principal', allow({ who: AWAY }), { element: 'principal', expected: { AWS: [AWAY] }, actual: alice.arn }],
    ['resource', allow({ who: HOME, on: `${KEY}0` }), { element: 'resource', expected: [`${KEY}0`], actual: KEY }],
    [
      'condition',
      allow({
        who: HOME,
        when: { Bool: { 'aws:SecureTransport': 'true' }, 'ForAnyValue:StringLikeIfExists': { 'kms:X': ['a', 'b'] } },
      }),
      {
        element: 'condition',
        operator: 'ForAnyValue:StringLikeIfExists',
        key: 'kms:X',
        expected: ['a', 'b'],
        actual: ['c'],
      },
    ],
    [
      'condition on a key that is not there',
      allow({ who: HOME, when: { StringEquals: { 'kms:Y': 'a' } } }),
      { element: 'condition', operator: 'StringEquals', key: 'kms:Y', expected: ['a'], actual: undefined },
    ],
  ])('tells the %s that a statement did not fit in', (_, statement, reason) => {
    const context = { 'aws:SecureTransport': 'true', 'kms:X': ['c'] };
    expect(considered({ key: [statement], context })).toEqual([
      { kind: 'statement', policy: 'key policy', index: 0, effect: 'Allow', reason },
    ]);
  });

  it.each<[string, object]>([
    ['allows', allow({ who: alice.arn })],
    ['allows all but', allow({ notWho: alice.arn })],
  ])('tells that a statement that %s the caller’s ARN meant a deleted principal', (_, statement) => {
    expect(considered({ key: [statement], ids: { [alice.arn]: 'AIDAFORMERFORMER' } })).toMatchObject([
      {
        effect: 'Allow',
        reason: {
          element: 'principal',
          expected: { AWS: [alice.arn] },
          actual: alice.arn,
          deletedPrincipal: 'AIDAFORMERFORMER',
        },
      },
    ]);
    expect(considered({ key: [allow({ notWho: alice.arn })], ids: { [alice.arn]: alice.uniqueId } })[0]).toEqual(
      considered({ key: [allow({ notWho: alice.arn })] })[0],
    );
  });

  it.each<[string, object, object]>([
    ['principal', { granteePrincipal: bob.arn }, { element: 'principal', expected: bob.arn, actual: alice.arn }],
    ['operation', { operations: ['Sign'] }, { element: 'operation', expected: ['Sign'], actual: 'kms:Decrypt' }],
    [
      'exact encryption context',
      { constraints: { EncryptionContextEquals: { a: '1' } } },
      { element: 'EncryptionContextEquals', expected: { a: '1' }, actual: { b: '2' } },
    ],
    [
      'part of the encryption context',
      { constraints: { EncryptionContextSubset: { a: '1' } } },
      { element: 'EncryptionContextSubset', expected: { a: '1' }, actual: { b: '2' } },
    ],
    ['source', { constraints: { SourceArn: KEY } }, { element: 'SourceArn', expected: KEY, actual: undefined }],
  ])('tells the %s that a grant did not fit in', (_, changes, reason) => {
    const grant = { grantId: 'g', granteePrincipal: alice.arn, operations: ['Decrypt'], ...changes };
    expect(considered({ grants: [grant], encryptionContext: { b: '2' } })).toEqual([
      { kind: 'grant', grantId: 'g', reason },
    ]);
  });
});
