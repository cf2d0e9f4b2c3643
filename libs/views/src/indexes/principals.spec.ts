import fc from 'fast-check';
import { KmsError } from '#domain/errors';
import { accountRef, roleRef, userRef } from '#domain/principal/principal-id';
import { hasAccessKeys, isNamed } from '#domain/principal/state';
import { FoldedLog } from '../../../../test/support/fold-log';
import { GOLDEN_COMMITS } from '../../../../test/support/golden-commits';
import { Projection } from '../projection';

const ACCOUNT = '000000000000';
const OTHER = '111122223333';
const NOW = '2026-01-01T00:00:00.000Z';

function golden(): Projection {
  const projection = new Projection();
  for (const entry of GOLDEN_COMMITS) projection.apply(entry);
  return projection;
}

describe('principals', () => {
  test('are found by name whatever its case, and by the unique id they have now', () => {
    const projection = golden();
    expect(projection.user(ACCOUNT, 'ANN.ORDERS')?.state).toMatchObject({ kind: 'User', name: 'Ann.Orders' });
    expect(projection.role(ACCOUNT, 'orders')?.state).toMatchObject({ kind: 'Role', name: 'Orders' });
    expect(projection.account(OTHER)?.state).toMatchObject({ kind: 'Account', accountId: OTHER });
    expect(projection.account(ACCOUNT)).toBeUndefined();
    expect(projection.principalByUniqueId(ACCOUNT, 'AIDAGOLDEN0000000003')?.state.name).toBe('Bob');
    expect(projection.principalByUniqueId(ACCOUNT, 'AIDAGOLDEN0000000002')).toBeUndefined();
    expect(projection.principalByUniqueId(OTHER, 'AIDAGOLDEN0000000003')).toBeUndefined();
    expect(projection.principalByUniqueId(ACCOUNT, 'AROAGOLDEN0000000002')).toBeUndefined();
  });

  test('are found by their access keys until these are deleted', () => {
    const projection = golden();
    expect(projection.accessKey('AKIAGOLDEN0000000002')).toMatchObject({
      account: ACCOUNT,
      accessKey: { status: 'Active' },
      owner: { ref: { id: 'user:ann%2Eorders' }, state: { uniqueId: 'AIDAGOLDEN0000000001' } },
    });
    expect(projection.accessKey('AKIAROOTGOLDEN000001')).toMatchObject({
      account: OTHER,
      owner: { ref: { id: 'account' } },
    });
    expect(projection.accessKey('AKIAGOLDEN0000000001')).toBeUndefined();
  });

  test('are listed by kind in the order of their names without case, a path at a time, page by page', () => {
    const log = new FoldedLog(NOW);
    for (const [name, path] of [
      ['bob', '/'],
      ['Ann', '/team/'],
      ['carl', '/team/a/'],
      ['Dora', '/teams/'],
    ] as const) {
      log.run(userRef(ACCOUNT, name), { type: 'CreateUser', name, path, uniqueId: `AIDA${name}`, tags: [] });
    }
    const names = (after?: string, path?: string) =>
      Array.from(log.projection.usersAfter(ACCOUNT, after, path), ({ state }) => state.name);
    expect(names()).toEqual(['Ann', 'bob', 'carl', 'Dora']);
    expect(names('BOB')).toEqual(['carl', 'Dora']);
    expect(names(undefined, '/team/')).toEqual(['Ann', 'carl']);
    expect(names('ann', '/team')).toEqual(['carl', 'Dora']);
    expect([...log.projection.rolesAfter(ACCOUNT, undefined)]).toEqual([]);
    expect([...log.projection.usersAfter(OTHER, undefined)]).toEqual([]);
    expect(log.projection.principalCount('User', ACCOUNT)).toBe(4);
    log.run(userRef(ACCOUNT, 'bob'), { type: 'DeleteUser' });
    expect(names()).toEqual(['Ann', 'carl', 'Dora']);
  });

  test('are found as their folded states say, at every step and again from the log alone', () => {
    const name = fc.constantFrom('a', 'B.c');
    const account = fc.constantFrom(ACCOUNT, ACCOUNT, ACCOUNT, OTHER);
    const step = fc.record({
      what: fc.constantFrom(...STEPS),
      name,
      account,
      key: fc.constantFrom(0, 0, 0, 1),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 30 }), (steps) => {
        const log = new FoldedLog(NOW);
        steps.forEach((one, at) => {
          try {
            take(log, one, at);
          } catch (error) {
            expect(error).toBeInstanceOf(KmsError);
          }
          expect(found(log.projection)).toEqual(expected(log.projection));
        });
        const rebuilt = new Projection();
        for (const entry of log.entries) rebuilt.apply(entry);
        expect(found(rebuilt)).toEqual(found(log.projection));
      }),
    );
  });
});

const STEPS = ['user', 'role', 'account', 'deleteUser', 'deleteRole', 'key', 'off', 'dropKey', 'tag'] as const;

interface Step {
  what: (typeof STEPS)[number];
  name: string;
  account: string;
  key: number;
}

function take(log: FoldedLog, { what, name, account, key }: Step, at: number): void {
  const user = userRef(account, name);
  const role = roleRef(account, name);
  const accessKeyId = `AKIA${account}${name}${key}`;
  const facts = { description: '', maxSessionDuration: 3600, trustPolicy: '{}', tags: [] };
  const steps: Record<Step['what'], () => void> = {
    user: () => log.run(user, { type: 'CreateUser', name, path: '/', uniqueId: `AIDA${at}`, tags: [] }),
    role: () => log.run(role, { type: 'CreateRole', name, path: '/', uniqueId: `AROA${at}`, ...facts }),
    account: () => {
      log.run(accountRef(account), { type: 'CreateAccount' });
      log.run(accountRef(account), { type: 'CreateAccessKey', accessKeyId: `AKIA${account}` });
    },
    deleteUser: () => log.run(user, { type: 'DeleteUser' }),
    deleteRole: () => log.run(role, { type: 'DeleteRole' }),
    key: () => log.run(user, { type: 'CreateAccessKey', accessKeyId }),
    off: () => log.run(user, { type: 'UpdateAccessKey', accessKeyId, status: 'Inactive' }),
    dropKey: () => log.run(user, { type: 'DeleteAccessKey', accessKeyId }),
    tag: () => log.run(role, { type: 'TagPrincipal', tags: [{ key: `k${at}`, value: '' }] }),
  };
  steps[what]();
}

const ACCESS_KEYS = [ACCOUNT, OTHER].flatMap((account) => [
  `AKIA${account}`,
  ...['a', 'B.c'].flatMap((name) => [`AKIA${account}${name}0`, `AKIA${account}${name}1`]),
]);
const UNIQUE_IDS = Array.from({ length: 30 }, (_, at) => [`AIDA${at}`, `AROA${at}`]).flat();

/** What the indexes answer. */
const found = (projection: Projection) => ({
  keys: ACCESS_KEYS.map((id) => projection.accessKey(id)).filter((key) => key !== undefined),
  users: [ACCOUNT, OTHER].flatMap((account) => [...projection.usersAfter(account, undefined)]),
  roles: [ACCOUNT, OTHER].flatMap((account) => [...projection.rolesAfter(account, undefined)]),
  byId: [ACCOUNT, OTHER].flatMap((account) =>
    UNIQUE_IDS.map((id) => projection.principalByUniqueId(account, id)).filter((one) => one !== undefined),
  ),
});

/** The same from the folded states alone. */
function expected(projection: Projection): ReturnType<typeof found> {
  const all = [...projection.all('principal')];
  const named = (kind: 'User' | 'Role') =>
    all
      .filter(({ state }) => state.kind === kind)
      .sort((a, b) => (`${a.ref.account} ${nameOf(a)}` < `${b.ref.account} ${nameOf(b)}` ? -1 : 1));
  const keys = all.flatMap((owner) =>
    hasAccessKeys(owner.state)
      ? owner.state.accessKeys.map((accessKey) => ({ accessKey, account: owner.ref.account, owner }))
      : [],
  );
  const position = (id: string, account: string) => [ACCOUNT, OTHER].indexOf(account) * 1000 + UNIQUE_IDS.indexOf(id);
  return {
    keys: keys.sort(
      (a, b) => ACCESS_KEYS.indexOf(a.accessKey.accessKeyId) - ACCESS_KEYS.indexOf(b.accessKey.accessKeyId),
    ),
    users: named('User'),
    roles: named('Role'),
    byId: all
      .filter(({ state }) => isNamed(state))
      .sort((a, b) => position(idOf(a), a.ref.account) - position(idOf(b), b.ref.account)),
  } as ReturnType<typeof found>;
}

type FoldedPrincipal = NonNullable<ReturnType<Projection['user']>>;
const nameOf = ({ state }: FoldedPrincipal): string => (isNamed(state) ? state.name.toLowerCase() : '');
const idOf = ({ state }: FoldedPrincipal): string => (isNamed(state) ? state.uniqueId : '');
