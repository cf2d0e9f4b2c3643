import fc from 'fast-check';
import { KmsError } from '#domain/errors';
import type { ActiveGrant } from '#domain/grant/grant';
import { GrantEndedError } from '#domain/grant/grant';
import { type AggregateRef } from '#domain/subjects';
import { FoldedLog } from '../../../../test/support/fold-log';
import { Projection } from '../projection';

const REGION = 'us-east-1';
const ACCOUNT = '000000000000';
const NOW = '2026-01-01T00:00:00.000Z';
const KEYS = ['key-1', 'key-2'] as const;
const PRINCIPALS = ['arn:aws:iam::000000000000:role/A', 'arn:aws:iam::000000000000:role/B'] as const;
const IDS = Array.from({ length: 6 }, (_, at) => String(at).repeat(64));

const keyRef = (id: string): AggregateRef<'key'> => ({ region: REGION, account: ACCOUNT, aggregate: 'key', id });
const grantRef = (id: string): AggregateRef<'grant'> => ({ region: REGION, account: ACCOUNT, aggregate: 'grant', id });

function createKey(log: FoldedLog, id: string): void {
  log.run(keyRef(id), {
    type: 'CreateKey',
    description: '',
    keyUsage: 'ENCRYPT_DECRYPT',
    keySpec: 'SYMMETRIC_DEFAULT',
    multiRegion: false,
    policy: '{}',
    tags: [],
  });
}

/** At once: the waiting period has no length. */
function deleteKey(log: FoldedLog, id: string): void {
  log.run(keyRef(id), { type: 'ScheduleKeyDeletion', pendingWindowInDays: 0 });
  log.run(keyRef(id), { type: 'FireDeletion', deadline: NOW });
}

function createGrant(log: FoldedLog, id: string, keyId: string, grantee: string, retiring?: string): void {
  log.run(grantRef(id), {
    type: 'CreateGrant',
    keyId,
    granteePrincipal: grantee,
    ...(retiring === undefined ? {} : { retiringPrincipal: retiring }),
    operations: ['Decrypt'],
    issuedBy: 'arn:aws:iam::000000000000:root',
    keySpec: 'SYMMETRIC_DEFAULT',
    keyUsage: 'ENCRYPT_DECRYPT',
  });
}

const idsOf = (grants: Iterable<{ ref: AggregateRef }>): string[] => Array.from(grants, ({ ref }) => ref.id);

/** What the indexes answer. */
const to = (projection: Projection, key: AggregateRef<'key'>, principal: string) =>
  projection.grantsByGrantee(key).get(principal) ?? [];

const found = (projection: Projection) => ({
  byKey: KEYS.map((id) => idsOf(projection.grantsOf(keyRef(id), undefined))),
  counts: KEYS.map((id) => projection.grantCount(keyRef(id))),
  to: KEYS.map((id) => PRINCIPALS.map((principal) => idsOf(to(projection, keyRef(id), principal)).sort())),
  retirable: PRINCIPALS.map((principal) => idsOf(projection.retirableGrants(REGION, principal, undefined))),
});

/** The same from the folded states alone. */
function expected(projection: Projection): ReturnType<typeof found> {
  const active = [...projection.all('grant')]
    .filter(({ state }) => state.grantState === 'Active')
    .map(({ ref, state }) => ({ ref, state: state as ActiveGrant }))
    .filter(({ state }) => projection.key(REGION, ACCOUNT, state.keyId)?.state.keyState !== 'Deleted')
    .sort((a, b) => (a.ref.id < b.ref.id ? -1 : 1));
  const ofKey = (id: string) => active.filter(({ state }) => state.keyId === id);
  return {
    byKey: KEYS.map((id) => idsOf(ofKey(id))),
    counts: KEYS.map((id) => ofKey(id).length),
    to: KEYS.map((id) =>
      PRINCIPALS.map((principal) => idsOf(ofKey(id).filter(({ state }) => state.granteePrincipal === principal))),
    ),
    retirable: PRINCIPALS.map((principal) =>
      idsOf(active.filter(({ state }) => state.retiringPrincipal === principal)),
    ),
  };
}

describe('grants', () => {
  test('are listed by key and by retiring principal in the order of their ids, page by page', () => {
    const log = new FoldedLog(NOW);
    for (const id of KEYS) createKey(log, id);
    for (const at of [2, 0, 1]) createGrant(log, IDS[at]!, 'key-1', PRINCIPALS[0], PRINCIPALS[1]);
    createGrant(log, IDS[3]!, 'key-2', PRINCIPALS[0], PRINCIPALS[1]);
    const { projection } = log;
    expect(idsOf(projection.grantsOf(keyRef('key-1'), undefined))).toEqual(IDS.slice(0, 3));
    expect(idsOf(projection.grantsOf(keyRef('key-1'), IDS[0]))).toEqual(IDS.slice(1, 3));
    expect(idsOf(projection.retirableGrants(REGION, PRINCIPALS[1], IDS[1]))).toEqual(IDS.slice(2, 4));
    expect(idsOf(projection.retirableGrants('eu-west-1', PRINCIPALS[1], undefined))).toEqual([]);
    expect(projection.grantCount(keyRef('key-1'))).toBe(3);
  });

  test('are found by grantee while they are active; where there are none, that is one shared empty map', () => {
    const log = new FoldedLog(NOW);
    createKey(log, 'key-1');
    const none = log.projection.grantsByGrantee(keyRef('key-1'));
    expect(none.size).toBe(0);
    createGrant(log, IDS[0]!, 'key-1', PRINCIPALS[0]);
    expect(to(log.projection, keyRef('key-1'), PRINCIPALS[0])).toMatchObject([{ state: { operations: ['Decrypt'] } }]);
    expect(to(log.projection, keyRef('key-1'), PRINCIPALS[1])).toEqual([]);
    log.run(grantRef(IDS[0]!), { type: 'RetireGrant', keyId: 'key-1' });
    expect(log.projection.grantsByGrantee(keyRef('key-1'))).toBe(none);
  });

  test('are gone with their key, those too that come after its deletion', () => {
    const log = new FoldedLog(NOW);
    createKey(log, 'key-1');
    createGrant(log, IDS[0]!, 'key-1', PRINCIPALS[0], PRINCIPALS[1]);
    deleteKey(log, 'key-1');
    createGrant(log, IDS[1]!, 'key-1', PRINCIPALS[0], PRINCIPALS[1]);
    expect(found(log.projection)).toEqual(found(new Projection()));
    log.run(grantRef(IDS[0]!), { type: 'RevokeGrant', keyId: 'key-1' });
    expect(found(log.projection)).toEqual(found(new Projection()));
  });

  test('are found as their folded states say, at every step and again from the log alone', () => {
    const step = fc.record({
      what: fc.constantFrom('create', 'create', 'create', 'revoke', 'retire', 'key', 'deleteKey'),
      id: fc.constantFrom(...IDS),
      keyId: fc.constantFrom(...KEYS),
      grantee: fc.constantFrom(...PRINCIPALS),
      retiring: fc.option(fc.constantFrom(...PRINCIPALS), { nil: undefined }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const log = new FoldedLog(NOW);
        for (const { what, id, keyId, grantee, retiring } of steps) {
          try {
            if (what === 'create') createGrant(log, id, keyId, grantee, retiring);
            else if (what === 'key') createKey(log, keyId);
            else if (what === 'deleteKey') deleteKey(log, keyId);
            else log.run(grantRef(id), { type: what === 'revoke' ? 'RevokeGrant' : 'RetireGrant', keyId });
          } catch (error) {
            expect(error instanceof KmsError || error instanceof GrantEndedError).toBe(true);
          }
          expect(found(log.projection)).toEqual(expected(log.projection));
        }
        const rebuilt = new Projection();
        for (const entry of log.entries) rebuilt.apply(entry);
        expect(found(rebuilt)).toEqual(found(log.projection));
      }),
    );
  });
});
