import fc from 'fast-check';
import { authorize } from './authorize';
import type { Decision } from './decision';
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
  guest,
  HOME,
  KEY,
  logs,
  policiesOf,
  requestOf,
  root,
  worded,
} from './decision-cases/case';
import { explain } from './explain';

const decide = (each: DecisionCase): Decision => authorize(requestOf(each), policiesOf(each));

const who = fc.constantFrom('*', HOME, AWAY, alice.arn, bob.arn, ADMIN_ROLE, ann.arn, ann.uniqueId, guest.arn);
const does = fc.constantFrom('kms:*', 'kms:Decrypt', 'kms:D*', 'kms:Encrypt', '*');
const on = fc.constantFrom('*', KEY, 'arn:aws:kms:*:*:key/*', `${KEY}0`);
const when = fc.constantFrom<object[]>(
  { Bool: { 'aws:SecureTransport': 'true' } },
  { StringNotEquals: { 'aws:username': 'alice' } },
  { 'ForAllValues:StringEquals': { 'kms:EncryptionContextKeys': ['a'] } },
  { Null: { 'aws:username': 'true' } },
  { StringEquals: { 'aws:ResourceTag/t': '$' + '{aws:PrincipalTag/t}' } },
);
const recorded = fc.dictionary(
  fc.constantFrom(alice.arn, bob.arn, ADMIN_ROLE, ann.arn, guest.arn),
  fc.constantFrom('AIDAFORMERFORMER', alice.uniqueId, bob.uniqueId, ann.uniqueId, guest.uniqueId),
);
const words = fc.record({ does, on, when }, { requiredKeys: ['does', 'on'] });
const ofResource = fc
  .tuple(words, who, fc.boolean())
  .map(([each, name, not]) => (not ? { ...each, notWho: name } : { ...each, who: name }));
const oneOf = (each: typeof words | typeof ofResource) =>
  fc.tuple(each, fc.integer({ min: 0, max: 5 })).map(([said, denies]) => (denies === 0 ? deny(said) : allow(said)));
const keyStatement = oneOf(ofResource);
const ownStatement = oneOf(words);
const grants = fc.uniqueArray(
  fc.record({
    grantId: fc.uuid(),
    granteePrincipal: who,
    operations: fc.subarray(['Decrypt', 'Encrypt']),
  }),
  { maxLength: 3, selector: ({ grantId }) => grantId },
);
const some = <T>(each: fc.Arbitrary<T>) => fc.array(each, { minLength: 1, maxLength: 4 });
const asked = fc.record(
  {
    name: fc.constant(''),
    expect: fc.constant(''),
    by: fc.constantFrom(root, alice, ann, awayRoot, bob, guest, logs),
    key: some(keyStatement),
    identity: fc.record({ a: some(ownStatement), b: some(ownStatement) }, { requiredKeys: [] }),
    session: some(ownStatement),
    ids: recorded,
    grants,
    context: fc.record(
      {
        'aws:SecureTransport': fc.constantFrom('true', 'false'),
        'aws:username': fc.constantFrom('alice', 'bob'),
        'kms:EncryptionContextKeys': fc.subarray(['a', 'b']),
        'aws:ResourceTag/t': fc.constantFrom('1', '2'),
        'aws:PrincipalTag/t': fc.constantFrom('1', '2'),
      },
      { requiredKeys: [] },
    ),
  },
  { requiredKeys: ['name', 'expect', 'by', 'key', 'identity'] },
);

const RUNS = { numRuns: 150 };

/** The case with a statement put into one of its policies, at some place. */
const insert = (list: object[], at: number, statement: object): object[] =>
  list.toSpliced(at % (list.length + 1), 0, statement);
const withKey = (each: DecisionCase, at: number, statement: object) => ({
  ...each,
  key: insert(each.key!, at, statement),
});
const withOwn = (each: DecisionCase, at: number, statement: object) => ({
  ...each,
  identity: { ...each.identity, a: insert(each.identity?.['a'] ?? [], at, statement) },
});
const withSession = (each: DecisionCase, at: number, statement: object) =>
  each.session ? { ...each, session: insert(each.session, at, statement) } : each;

describe('whatever the policies', () => {
  it('a deny that fits always wins', () => {
    fc.assert(
      fc.property(asked, fc.nat(), fc.constantFrom(withKey, withOwn, withSession), (each, at, put) => {
        const denied = put(each, at, put === withKey ? deny({ who: '*' }) : deny({}));
        fc.pre(denied !== each);
        const { allowed, decidedBy } = decide(denied);
        expect({ allowed, kind: decidedBy.kind }).toEqual({ allowed: false, kind: 'statement' });
      }),
      RUNS,
    );
  });

  it('another allow never takes anything away', () => {
    fc.assert(
      fc.property(asked, fc.nat(), ofResource, words, (each, at, said, own) => {
        fc.pre(decide(each).allowed);
        expect(decide(withKey(each, at, allow(said))).allowed).toBe(true);
        expect(decide(withOwn(each, at, allow(own))).allowed).toBe(true);
        expect(decide(withSession(each, at, allow(own))).allowed).toBe(true);
      }),
      RUNS,
    );
  });

  it('another grant never takes anything away', () => {
    fc.assert(
      fc.property(asked, grants, (each, more) => {
        fc.pre(decide(each).allowed);
        expect(decide({ ...each, grants: [...more, ...(each.grants ?? [])] }).allowed).toBe(true);
      }),
      RUNS,
    );
  });

  it('another deny never gives anything', () => {
    fc.assert(
      fc.property(asked, fc.nat(), ofResource, words, (each, at, said, own) => {
        fc.pre(!decide(each).allowed);
        expect(decide(withKey(each, at, deny(said))).allowed).toBe(false);
        expect(decide(withOwn(each, at, deny(own))).allowed).toBe(false);
        expect(decide(withSession(each, at, deny(own))).allowed).toBe(false);
      }),
      RUNS,
    );
  });

  it('an id recorded of another never turns a refusal into an allow, and that of the caller changes nothing', () => {
    fc.assert(
      fc.property(asked, recorded, ({ ids: _ids, ...each }, ids) => {
        const byArn = decide(each);
        if (!byArn.allowed) expect(decide({ ...each, ids }).allowed).toBe(false);
        const { arn, roleArn, uniqueId } = each.by;
        const own = Object.fromEntries([arn, roleArn ?? arn].map((name) => [name, uniqueId]));
        expect(decide({ ...each, ids: own })).toEqual(byArn);
      }),
      RUNS,
    );
  });

  it('an ARN that meant another of the name gives the caller no more than an ARN of nobody', () => {
    fc.assert(
      fc.property(asked, (each) => {
        const { arn, roleArn } = each.by;
        const names = [arn, ...(roleArn === undefined ? [] : [roleArn])];
        const ids = Object.fromEntries(names.map((name) => [name, 'AIDAFORMERFORMER']));
        fc.pre(decide({ ...each, ids }).allowed);
        const nobody = names.reduce(
          (text, name) => text.replaceAll(`"${name}"`, '"AIDANOBODYNOBODY"'),
          JSON.stringify(each.key),
        );
        expect(decide({ ...each, key: JSON.parse(nobody) as object[] }).allowed).toBe(true);
      }),
      RUNS,
    );
  });

  it('the order of statements, policies and grants does not matter', () => {
    fc.assert(
      fc.property(asked, (each) => {
        const { a, b } = each.identity;
        const turned: DecisionCase = {
          ...each,
          key: each.key.toReversed(),
          identity: { ...(b ? { b: b.toReversed() } : {}), ...(a ? { a: a.toReversed() } : {}) },
          ...(each.session ? { session: each.session.toReversed() } : {}),
          ...(each.grants ? { grants: each.grants.toReversed() } : {}),
        };
        expect(decide(turned).allowed).toBe(decide(each).allowed);
      }),
      RUNS,
    );
  });

  it('nothing is allowed but by a statement or grant that is there, and without it the decision is another', () => {
    fc.assert(
      fc.property(asked, (each) => {
        const decision = decide(each);
        fc.pre(decision.allowed);
        const less = without(each, decision);
        // A policy cannot be empty: one whose last statement goes is left with one that fits nothing.
        expect(worded(decide(less))).not.toBe(worded(decision));
      }),
      RUNS,
    );
  });

  it('an explanation comes to the same decision and shows what decided', () => {
    fc.assert(
      fc.property(asked, (each) => {
        const { decision, considered } = explain(requestOf(each), policiesOf(each));
        expect(decision).toEqual(decide(each));
        const { decidedBy } = decision;
        if (decidedBy.kind === 'nothing' || decidedBy.kind === 'root') return;
        const { kind } = decidedBy;
        const shown = considered.filter(
          (one) =>
            one.kind === kind &&
            (one.kind === 'grant'
              ? decidedBy.kind === 'grant' && one.grantId === decidedBy.grantId
              : decidedBy.kind === 'statement' && one.policy === decidedBy.policy && one.index === decidedBy.index),
        );
        expect(shown).toHaveLength(1);
        expect(shown[0]).toHaveProperty('covers');
      }),
      RUNS,
    );
  });
});

/** The case with what decided replaced by a statement that fits nothing, or the grant taken out. */
function without(each: DecisionCase, { decidedBy }: Decision): DecisionCase {
  if (decidedBy.kind === 'grant') {
    return { ...each, grants: each.grants!.filter(({ grantId }) => grantId !== decidedBy.grantId) };
  }
  if (decidedBy.kind !== 'statement') throw new Error(`allowed by ${decidedBy.kind}`);
  const void_ = (statements: object[], said: object) =>
    statements.with(decidedBy.index, allow({ ...said, does: 's3:GetObject' }));
  if (decidedBy.policy === 'key policy') return { ...each, key: void_(each.key!, { who: HOME }) };
  const name = decidedBy.policy.replace('identity policy ', '');
  return { ...each, identity: { ...each.identity, [name]: void_(each.identity![name]!, {}) } };
}
