import fc from 'fast-check';
import type { DecidePlace } from '../aggregate';
import { KmsError } from '../errors';
import type { NamedIds } from '../named-ids';
import { accessKeyMaterialId } from './access-key-material-id';
import type { PrincipalCommand } from './commands';
import { decidePrincipal, IAM_LIMITS } from './decide';
import type { PrincipalEvent } from './events';
import { evolvePrincipal } from './evolve';
import { ACCOUNT_ID, roleId, userId } from './principal-id';
import { initialPrincipal, type Principal } from './state';

const ACCOUNT = '000000000000';
const T0 = '2026-01-01T00:00:00.000Z';
const T1 = '2026-01-02T00:00:00.000Z';

const fold = (events: readonly PrincipalEvent[]): Principal =>
  events.reduce((state, event, at) => evolvePrincipal(state, event, at === 0 ? T0 : T1), initialPrincipal);
const place = (id: string): DecidePlace => ({ region: 'global', account: ACCOUNT, id, now: T1 });
const givenAt =
  (id: string) =>
  (...events: PrincipalEvent[]) => ({
    when: (command: PrincipalCommand) => ({
      thenEvents: (expected: PrincipalEvent[]) =>
        expect(decidePrincipal(command, fold(events), place(id))).toEqual(expected),
      refused: (code: string, message: string) =>
        expect(() => decidePrincipal(command, fold(events), place(id))).toThrow(
          expect.objectContaining({ code, message }),
        ),
    }),
  });

const givenUser = givenAt(userId('Ann'));
const givenRole = givenAt(roleId('Orders'));
const givenAccount = givenAt(ACCOUNT_ID);

const createUser: PrincipalCommand = { type: 'CreateUser', name: 'Ann', path: '/', uniqueId: 'AIDA1', tags: [] };
const userCreated: PrincipalEvent = { ...createUser, type: 'UserCreated', v: 1 };
const userDeleted: PrincipalEvent = { type: 'UserDeleted', v: 1 };
const createRole: Extract<PrincipalCommand, { type: 'CreateRole' }> = {
  type: 'CreateRole',
  name: 'Orders',
  path: '/team/',
  uniqueId: 'AROA1',
  description: '',
  maxSessionDuration: 3600,
  trustPolicy: '{"Statement":[]}',
  tags: [],
};
const roleCreated: PrincipalEvent = { ...createRole, type: 'RoleCreated', v: 1 };
const accountCreated: PrincipalEvent = { type: 'AccountCreated', v: 1, accountId: ACCOUNT };
const policyPut = (policyName: string, policy = '{}'): PrincipalEvent => ({
  type: 'PolicyPut',
  v: 1,
  policyName,
  policy,
});
const keyCreated = (accessKeyId: string): PrincipalEvent => ({
  type: 'AccessKeyCreated',
  v: 1,
  accessKeyId,
  materialId: accessKeyMaterialId(accessKeyId),
});
const tagged = (...keys: string[]): PrincipalEvent => ({
  type: 'PrincipalTagged',
  v: 1,
  tags: keys.map((key) => ({ key, value: key })),
});

const NO_USER = ['NoSuchEntity', 'The user with name ann cannot be found.'] as const;
const NO_ROLE = ['NoSuchEntity', 'The role with name orders cannot be found.'] as const;

describe('a user', () => {
  test('is created once, and again with another unique id after it was deleted', () => {
    givenUser().when(createUser).thenEvents([userCreated]);
    givenUser(userCreated).when(createUser).refused('EntityAlreadyExists', 'User with name Ann already exists.');
    givenUser(userCreated, userDeleted)
      .when({ ...createUser, uniqueId: 'AIDA2' })
      .thenEvents([{ ...userCreated, uniqueId: 'AIDA2' }]);
    givenUser(userCreated, userDeleted)
      .when(createUser)
      .refused('ServiceFailure', 'The unique id AIDA1 was used before.');
    expect(fold([userCreated, tagged('a'), userDeleted, { ...userCreated, uniqueId: 'AIDA2' }])).toEqual({
      kind: 'User',
      name: 'Ann',
      path: '/',
      uniqueId: 'AIDA2',
      createdAt: T1,
      tags: [],
      policies: {},
      accessKeys: [],
    });
  });

  test.each<PrincipalCommand>([
    { type: 'DeleteUser' },
    { type: 'PutPolicy', policyName: 'p', policy: '{}' },
    { type: 'DeletePolicy', policyName: 'p' },
    { type: 'TagPrincipal', tags: [] },
    { type: 'UntagPrincipal', tagKeys: [] },
    { type: 'CreateAccessKey', accessKeyId: 'AKIA1' },
    { type: 'UpdateAccessKey', accessKeyId: 'AKIA1', status: 'Inactive' },
    { type: 'DeleteAccessKey', accessKeyId: 'AKIA1' },
  ])('that does not exist cannot be found: $type', (command) => {
    givenUser()
      .when(command)
      .refused(...NO_USER);
    givenUser(userCreated, userDeleted)
      .when(command)
      .refused(...NO_USER);
  });

  test('is deleted only after its access keys and policies', () => {
    const remove: PrincipalCommand = { type: 'DeleteUser' };
    givenUser(userCreated).when(remove).thenEvents([userDeleted]);
    givenUser(userCreated, keyCreated('AKIA1'))
      .when(remove)
      .refused('DeleteConflict', 'Cannot delete entity, must delete access keys first.');
    givenUser(userCreated, policyPut('p'))
      .when(remove)
      .refused('DeleteConflict', 'Cannot delete entity, must delete policies first.');
  });

  test('has two access keys at most, which are switched off and on and deleted', () => {
    const first = keyCreated('AKIA1');
    const off: PrincipalEvent = { type: 'AccessKeyStatusChanged', v: 1, accessKeyId: 'AKIA1', status: 'Inactive' };
    givenUser(userCreated).when({ type: 'CreateAccessKey', accessKeyId: 'AKIA1' }).thenEvents([first]);
    givenUser(userCreated, first).when({ type: 'CreateAccessKey', accessKeyId: 'AKIA1' }).thenEvents([]);
    givenUser(userCreated, first, keyCreated('AKIA2'))
      .when({ type: 'CreateAccessKey', accessKeyId: 'AKIA3' })
      .refused('LimitExceeded', 'Cannot exceed quota for AccessKeysPerUser: 2');
    const switchOff: PrincipalCommand = { type: 'UpdateAccessKey', accessKeyId: 'AKIA1', status: 'Inactive' };
    givenUser(userCreated, first).when(switchOff).thenEvents([off]);
    givenUser(userCreated, first, off).when(switchOff).thenEvents([]);
    givenUser(userCreated, first, off)
      .when({ type: 'DeleteAccessKey', accessKeyId: 'AKIA1' })
      .thenEvents([{ type: 'AccessKeyDeleted', v: 1, accessKeyId: 'AKIA1' }]);
    for (const type of ['DeleteAccessKey', 'UpdateAccessKey'] as const) {
      givenUser(userCreated, first)
        .when({ type, accessKeyId: 'AKIA9', status: 'Active' })
        .refused('NoSuchEntity', 'The Access Key with id AKIA9 cannot be found.');
    }
    expect(fold([userCreated, first, keyCreated('AKIA2'), off])).toMatchObject({
      accessKeys: [
        { accessKeyId: 'AKIA1', status: 'Inactive', createdAt: T1, materialId: accessKeyMaterialId('AKIA1') },
        { accessKeyId: 'AKIA2', status: 'Active' },
      ],
    });
  });

  test('has inline policies, ordered by name whatever they are called', () => {
    givenUser(userCreated)
      .when({ type: 'PutPolicy', policyName: 'constructor', policy: '{}' })
      .thenEvents([policyPut('constructor')]);
    givenUser(userCreated, policyPut('p')).when({ type: 'PutPolicy', policyName: 'p', policy: '{}' }).thenEvents([]);
    givenUser(userCreated)
      .when({ type: 'DeletePolicy', policyName: 'toString' })
      .refused('NoSuchEntity', 'The user policy with name toString cannot be found.');
    givenUser(userCreated, policyPut('__proto__'))
      .when({ type: 'DeletePolicy', policyName: '__proto__' })
      .thenEvents([{ type: 'PolicyDeleted', v: 1, policyName: '__proto__' }]);
    const policies = (...events: PrincipalEvent[]) => {
      const state = fold([userCreated, ...events]);
      return state.kind === 'User' ? Object.entries(state.policies) : [];
    };
    expect(policies(policyPut('b', '1'), policyPut('a', '2'), policyPut('b', '3'))).toEqual([
      ['a', '2'],
      ['b', '3'],
    ]);
    expect(policies(policyPut('__proto__', '1'))).toEqual([['__proto__', '1']]);
    expect(policies(policyPut('b'), { type: 'PolicyDeleted', v: 1, policyName: 'b' })).toEqual([]);
  });

  test('has 2048 characters of policies at most, not counting white space', () => {
    const policy = 'x'.repeat(1024);
    const put = (text: string): PrincipalCommand => ({ type: 'PutPolicy', policyName: 'q', policy: text });
    givenUser(userCreated, policyPut('p', policy))
      .when(put(` ${policy}\n\t`))
      .thenEvents([policyPut('q', ` ${policy}\n\t`)]);
    givenUser(userCreated, policyPut('p', policy))
      .when(put(`${policy}x`))
      .refused('LimitExceeded', 'Maximum policy size of 2048 bytes exceeded for user Ann');
    givenUser(userCreated, policyPut('q', policy))
      .when(put(`${policy}x`))
      .thenEvents([policyPut('q', `${policy}x`)]);
  });

  test('has tags that are the same without case, 50 at most', () => {
    givenUser(userCreated, tagged('Team'))
      .when({ type: 'TagPrincipal', tags: [{ key: 'Team', value: 'Team' }] })
      .thenEvents([]);
    expect(fold([userCreated, tagged('Team', 'a'), tagged('team')])).toMatchObject({
      tags: [{ key: 'team' }, { key: 'a' }],
    });
    givenUser(userCreated, tagged('Team', 'a'))
      .when({ type: 'UntagPrincipal', tagKeys: ['TEAM', 'none'] })
      .thenEvents([{ type: 'PrincipalUntagged', v: 1, tagKeys: ['Team'] }]);
    givenUser(userCreated)
      .when({ type: 'UntagPrincipal', tagKeys: ['none'] })
      .thenEvents([]);
    const full = tagged(...Array.from({ length: IAM_LIMITS.tags }, (_, index) => `k${index}`));
    givenUser(userCreated, full)
      .when({ type: 'TagPrincipal', tags: [{ key: 'K0', value: '' }] })
      .thenEvents([{ type: 'PrincipalTagged', v: 1, tags: [{ key: 'K0', value: '' }] }]);
    givenUser(userCreated, full)
      .when({ type: 'TagPrincipal', tags: [{ key: 'more', value: '' }] })
      .refused('LimitExceeded', 'The number of tags has reached the maximum limit.');
  });
});

describe('a role', () => {
  test('is created once, changed, and deleted after its policies', () => {
    givenRole().when(createRole).thenEvents([roleCreated]);
    givenRole(roleCreated).when(createRole).refused('EntityAlreadyExists', 'Role with name Orders already exists.');
    givenRole(roleCreated).when({ type: 'PutTrustPolicy', trustPolicy: createRole.trustPolicy }).thenEvents([]);
    givenRole(roleCreated)
      .when({ type: 'PutTrustPolicy', trustPolicy: '{}' })
      .thenEvents([{ type: 'TrustPolicyPut', v: 1, trustPolicy: '{}' }]);
    givenRole(roleCreated, policyPut('p'))
      .when({ type: 'DeleteRole' })
      .refused('DeleteConflict', 'Cannot delete entity, must delete policies first.');
    givenRole(roleCreated)
      .when({ type: 'DeleteRole' })
      .thenEvents([{ type: 'RoleDeleted', v: 1 }]);
    expect(fold([roleCreated, { type: 'RoleDeleted', v: 1 }])).toEqual({
      kind: 'Deleted',
      was: 'Role',
      name: 'Orders',
      uniqueId: 'AROA1',
      deletedAt: T1,
    });
  });

  test('that does not exist cannot be found, and has no access keys', () => {
    givenRole()
      .when({ type: 'DeleteRole' })
      .refused(...NO_ROLE);
    givenRole()
      .when({ type: 'PutTrustPolicy', trustPolicy: '{}' })
      .refused(...NO_ROLE);
    givenRole(roleCreated)
      .when({ type: 'CreateAccessKey', accessKeyId: 'AKIA1' })
      .refused(...NO_ROLE);
    givenRole(roleCreated)
      .when({ type: 'DeletePolicy', policyName: 'p' })
      .refused('NoSuchEntity', 'The role policy with name p cannot be found.');
  });

  test('is given a trust policy once more when its text means others', () => {
    const { trustPolicy } = createRole;
    const put = (namedIds?: Record<string, string>): PrincipalCommand => ({
      type: 'PutTrustPolicy',
      trustPolicy,
      namedIds,
    });
    const wasPut = (namedIds?: Record<string, string>): PrincipalEvent => ({
      ...{ type: 'TrustPolicyPut', v: 1, trustPolicy },
      ...(namedIds && { namedIds }),
    });
    const meant = { ann: 'AIDA1' };
    const madeMeaning: PrincipalEvent = { ...roleCreated, namedIds: meant };
    givenRole()
      .when({ ...createRole, namedIds: meant })
      .thenEvents([madeMeaning]);
    givenRole()
      .when({ ...createRole, namedIds: {} })
      .thenEvents([roleCreated]);
    givenRole(madeMeaning).when(put(meant)).thenEvents([]);
    givenRole(madeMeaning)
      .when(put({ ann: 'AIDA2' }))
      .thenEvents([wasPut({ ann: 'AIDA2' })]);
    givenRole(madeMeaning).when(put({})).thenEvents([wasPut()]);
    givenRole(roleCreated)
      .when(put(meant))
      .thenEvents([wasPut(meant)]);
    expect(fold([madeMeaning])).toEqual({ ...fold([roleCreated]), namedIds: meant });
    expect(fold([madeMeaning, wasPut()])).toEqual(fold([roleCreated]));
  });

  test('keeps within the limits of its trust policy, its policies and its session duration', () => {
    const long = 'x'.repeat(2049);
    const tooLong = ['LimitExceeded', 'Cannot exceed quota for ACLSizePerRole: 2048'] as const;
    givenRole()
      .when({ ...createRole, trustPolicy: long })
      .refused(...tooLong);
    givenRole(roleCreated)
      .when({ type: 'PutTrustPolicy', trustPolicy: long })
      .refused(...tooLong);
    givenRole(roleCreated)
      .when({ type: 'PutPolicy', policyName: 'p', policy: 'x'.repeat(10_240) })
      .thenEvents([policyPut('p', 'x'.repeat(10_240))]);
    givenRole(roleCreated)
      .when({ type: 'PutPolicy', policyName: 'p', policy: 'x'.repeat(10_241) })
      .refused('LimitExceeded', 'Maximum policy size of 10240 bytes exceeded for role Orders');
    for (const [seconds, bound] of [
      [3599, 'greater than or equal to 3600'],
      [43_201, 'less than or equal to 43200'],
    ] as const) {
      givenRole()
        .when({ ...createRole, maxSessionDuration: seconds })
        .refused(
          'ValidationError',
          `1 validation error detected: Value '${seconds}' at 'maxSessionDuration' failed to satisfy constraint: Member must have value ${bound}`,
        );
    }
  });
});

describe('an account', () => {
  test('is created once, and has the access keys of its root', () => {
    givenAccount().when({ type: 'CreateAccount' }).thenEvents([accountCreated]);
    givenAccount(accountCreated)
      .when({ type: 'CreateAccount' })
      .refused('EntityAlreadyExists', `Account ${ACCOUNT} already exists.`);
    givenAccount(accountCreated)
      .when({ type: 'CreateAccessKey', accessKeyId: 'AKIA1' })
      .thenEvents([keyCreated('AKIA1')]);
    givenAccount()
      .when({ type: 'CreateAccessKey', accessKeyId: 'AKIA1' })
      .refused('NoSuchEntity', `The account ${ACCOUNT} cannot be found.`);
    givenAccount(accountCreated)
      .when({ type: 'PutPolicy', policyName: 'p', policy: '{}' })
      .refused('NoSuchEntity', `The account ${ACCOUNT} cannot be found.`);
  });
});

describe('a principal', () => {
  test('is created under its own id only', () => {
    givenRole().when(createUser).refused('ServiceFailure', 'user:ann cannot be created as role:orders.');
    givenUser().when(createRole).refused('ServiceFailure', 'role:orders cannot be created as user:ann.');
    givenUser().when({ type: 'CreateAccount' }).refused('ServiceFailure', 'account cannot be created as user:ann.');
  });

  test.each<[string, PrincipalEvent[]]>([
    ['created twice', [userCreated, userCreated]],
    ['deleted before it was created', [userDeleted]],
    ['deleted as a role where it is a user', [userCreated, { type: 'RoleDeleted', v: 1 }]],
    ['given a policy after it was deleted', [userCreated, userDeleted, policyPut('p')]],
    ['rid of a policy it does not have', [userCreated, { type: 'PolicyDeleted', v: 1, policyName: 'constructor' }]],
    ['a user with a trust policy', [userCreated, { type: 'TrustPolicyPut', v: 1, trustPolicy: '{}' }]],
    ['a role with an access key', [roleCreated, keyCreated('AKIA1')]],
    ['given the same access key twice', [userCreated, keyCreated('AKIA1'), keyCreated('AKIA1')]],
    ['rid of an access key it does not have', [userCreated, { type: 'AccessKeyDeleted', v: 1, accessKeyId: 'AKIA1' }]],
    ['an account with tags', [accountCreated, tagged('a')]],
    ['an account created over a user', [userCreated, accountCreated]],
    ['of an unknown kind', [{ type: 'PrincipalLost' } as unknown as PrincipalEvent]],
  ])('has no history in which it is %s', (_what, events) => {
    expect(() => fold(events)).toThrow(expect.objectContaining({ name: 'EvolveError' }));
  });

  test('never fails but with a KmsError, and replays to the same state, whatever is asked of it', () => {
    const accessKeyId = fc.constantFrom('AKIA1', 'AKIA2', 'AKIA3');
    const policyName = fc.constantFrom('a', 'b', '__proto__');
    const text = fc.constantFrom('{}', '{"a":1}', 'x'.repeat(2000));
    const tags = fc.array(fc.record({ key: fc.constantFrom('a', 'A', 'b'), value: fc.constantFrom('', 'v') }));
    const command: fc.Arbitrary<PrincipalCommand> = fc.oneof(
      fc.constantFrom<PrincipalCommand>({ type: 'CreateAccount' }, { type: 'DeleteUser' }, { type: 'DeleteRole' }),
      fc.integer().map((n): PrincipalCommand => ({ ...createUser, uniqueId: `AIDA${n}` })),
      fc.integer().map((n): PrincipalCommand => ({ ...createRole, uniqueId: `AROA${n}` })),
      fc.record({ type: fc.constant('PutPolicy'), policyName, policy: text }),
      fc.record({ type: fc.constant('DeletePolicy'), policyName }),
      fc.record(
        {
          type: fc.constant('PutTrustPolicy'),
          trustPolicy: text,
          namedIds: fc.constantFrom<NamedIds>({}, { a: 'AIDA1' }),
        },
        { requiredKeys: ['type', 'trustPolicy'] },
      ),
      fc.record({ type: fc.constant('TagPrincipal'), tags }),
      fc.record({ type: fc.constant('UntagPrincipal'), tagKeys: fc.array(fc.constantFrom('a', 'B')) }),
      fc.record({ type: fc.constantFrom('CreateAccessKey', 'DeleteAccessKey'), accessKeyId }),
      fc.record({
        type: fc.constant('UpdateAccessKey'),
        accessKeyId,
        status: fc.constantFrom('Active', 'Inactive'),
      }),
    );
    const id = fc.constantFrom(ACCOUNT_ID, userId('Ann'), roleId('Orders'));
    fc.assert(
      fc.property(id, fc.array(command, { maxLength: 40 }), (at, commands) => {
        const log: PrincipalEvent[] = [];
        let state = initialPrincipal;
        for (const one of commands) {
          try {
            for (const event of decidePrincipal(one, state, place(at))) {
              state = evolvePrincipal(state, event, T0);
              log.push(JSON.parse(JSON.stringify(event)) as PrincipalEvent);
            }
          } catch (error) {
            expect(error).toBeInstanceOf(KmsError);
          }
        }
        expect(log.reduce((folded, event) => evolvePrincipal(folded, event, T0), initialPrincipal)).toEqual(state);
      }),
    );
  });
});
