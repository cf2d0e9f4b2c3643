import fc from 'fast-check';
import type { DecidePlace } from '../aggregate';
import { KmsError } from '../errors';
import type { GrantConstraints, GrantEvent } from './events';
import { decideGrant, evolveGrant, type Grant, type GrantCommand, GrantEndedError, initialGrant } from './grant';
import { GRANT_OPERATIONS, type GrantOperation } from './grant-operations';

const ID = 'a'.repeat(64);
const T0 = '2026-01-01T00:00:00.000Z';
const T1 = '2026-01-02T00:00:00.000Z';
const PLACE: DecidePlace = { region: 'us-east-1', account: '000000000000', id: ID, now: T1 };

const fold = (events: readonly GrantEvent[]): Grant =>
  events.reduce((grant, event, at) => evolveGrant(grant, event, at === 0 ? T0 : T1), initialGrant);
const given = (...events: GrantEvent[]) => ({
  when: (command: GrantCommand) => ({
    thenEvents: (expected: GrantEvent[]) => expect(decideGrant(command, fold(events), PLACE)).toEqual(expected),
    refused: (code: string, message: string) =>
      expect(() => decideGrant(command, fold(events), PLACE)).toThrow(expect.objectContaining({ code, message })),
  }),
});

const create: Extract<GrantCommand, { type: 'CreateGrant' }> = {
  type: 'CreateGrant',
  keyId: 'key-1',
  granteePrincipal: 'arn:aws:iam::000000000000:role/Orders',
  operations: ['Encrypt', 'Decrypt'],
  issuedBy: 'arn:aws:iam::000000000000:root',
  keySpec: 'SYMMETRIC_DEFAULT',
  keyUsage: 'ENCRYPT_DECRYPT',
};
const created: GrantEvent = {
  type: 'GrantCreated',
  v: 1,
  keyId: 'key-1',
  granteePrincipal: create.granteePrincipal,
  operations: ['Decrypt', 'Encrypt'],
  issuedBy: create.issuedBy,
};
const revoked: GrantEvent = { type: 'GrantRevoked', v: 1 };
const retired: GrantEvent = { type: 'GrantRetired', v: 1 };
const revoke: GrantCommand = { type: 'RevokeGrant', keyId: 'key-1' };
const retire: GrantCommand = { type: 'RetireGrant', keyId: 'key-1' };

describe('a grant', () => {
  test('is created, and a repeated request finds it as it is', () => {
    given().when(create).thenEvents([created]);
    given(created).when(create).thenEvents([]);
    given(created)
      .when({ ...create, operations: ['Decrypt', 'Encrypt'], issuedBy: 'arn:aws:iam::000000000000:user/ann' })
      .thenEvents([]);
    given(created)
      .when({ ...create, operations: ['Decrypt'] })
      .refused('KMSInternalException', `Grant ${ID} exists already, with other parameters; try again.`);
  });

  test('keeps what the request had, and nothing that it had not', () => {
    const full = {
      granteeUniqueId: 'AROA1',
      retiringPrincipal: 'arn:aws:iam::000000000000:user/ann',
      retiringUniqueId: 'AIDA1',
      name: 'nightly',
    };
    const constraints = { encryptionContextSubset: { a: 'b' } };
    const [event] = decideGrant(
      { ...create, ...full, constraints: { ...constraints, encryptionContextEquals: {} } },
      initialGrant,
      PLACE,
    );
    expect(event).toEqual({ ...created, ...full, constraints });
    expect(fold([event!])).toEqual({
      grantState: 'Active',
      keyId: 'key-1',
      granteePrincipal: create.granteePrincipal,
      ...full,
      operations: ['Decrypt', 'Encrypt'],
      constraints,
      issuedBy: create.issuedBy,
      createdAt: T0,
    });
  });

  test('is revoked or retired once, on its own key only', () => {
    const notFound = ['NotFoundException', `Grant ID ${ID} not found`] as const;
    given(created).when(revoke).thenEvents([revoked]);
    given(created).when(retire).thenEvents([retired]);
    for (const command of [revoke, retire]) {
      given()
        .when(command)
        .refused(...notFound);
      given(created, revoked)
        .when(command)
        .refused(...notFound);
      given(created, retired)
        .when(command)
        .refused(...notFound);
      given(created)
        .when({ ...command, keyId: 'key-2' })
        .refused(...notFound);
    }
    expect(fold([created, retired])).toEqual({ grantState: 'Ended', how: 'Retired', keyId: 'key-1', endedAt: T1 });
  });

  test('that has ended is not created again: the next generation is', () => {
    expect(() => decideGrant(create, fold([created, revoked]), PLACE)).toThrow(GrantEndedError);
  });

  test('allows operations that its key supports, and never CreateGrant alone', () => {
    const refusedWith = (operations: GrantOperation[], message: string) =>
      given()
        .when({ ...create, operations })
        .refused('ValidationException', message);
    refusedWith(
      [],
      "1 validation error detected: Value '[]' at 'operations' failed to satisfy constraint: Member must have length greater than or equal to 1",
    );
    refusedWith(['CreateGrant'], 'Grants must not contain only the CreateGrant operation.');
    refusedWith(
      ['Decrypt', 'Sign'],
      'A key of spec SYMMETRIC_DEFAULT and usage ENCRYPT_DECRYPT does not support Sign.',
    );
    const fits = GRANT_OPERATIONS.filter((operation) => {
      try {
        return decideGrant({ ...create, operations: ['Decrypt', operation] }, initialGrant, PLACE).length === 1;
      } catch {
        return false;
      }
    });
    expect(fits).toEqual([
      'Decrypt',
      'Encrypt',
      'GenerateDataKey',
      'GenerateDataKeyWithoutPlaintext',
      'ReEncryptFrom',
      'ReEncryptTo',
      'CreateGrant',
      'RetireGrant',
      'DescribeKey',
      'GenerateDataKeyPair',
      'GenerateDataKeyPairWithoutPlaintext',
    ]);
  });

  test('has one constraint at most, of 8 pairs whose keys and values have 384 characters', () => {
    const pairs = (many: number) => Object.fromEntries(Array.from({ length: many }, (_, at) => [`k${at}`, 'v']));
    const withConstraints = (constraints: GrantConstraints) => given().when({ ...create, constraints });
    withConstraints({ encryptionContextEquals: { a: 'b' }, encryptionContextSubset: { a: 'b' } }).refused(
      'ValidationException',
      'More than one constraint supplied',
    );
    withConstraints({ encryptionContextEquals: pairs(8) }).thenEvents([
      { ...created, constraints: { encryptionContextEquals: pairs(8) } },
    ]);
    withConstraints({ encryptionContextEquals: pairs(9) }).refused(
      'ValidationException',
      'A grant constraint can have at most 8 encryption context pairs.',
    );
    withConstraints({ encryptionContextSubset: { a: 'v'.repeat(385) } }).refused(
      'ValidationException',
      'The value of "a" in a grant constraint can have at most 384 characters.',
    );
    for (const context of [{ a: '\ud800' }, { '\udfff': 'a' }] as Record<string, string>[]) {
      withConstraints({ encryptionContextSubset: context }).refused(
        'ValidationException',
        'A grant constraint must be well-formed Unicode text.',
      );
    }
    const longest = { ['k'.repeat(384)]: 'v'.repeat(384) };
    withConstraints({ encryptionContextSubset: longest }).thenEvents([
      { ...created, constraints: { encryptionContextSubset: longest } },
    ]);
    withConstraints({ encryptionContextSubset: { ['k'.repeat(385)]: 'v' } }).refused(
      'ValidationException',
      'A key in a grant constraint can have at most 384 characters.',
    );
    withConstraints({ encryptionContextEquals: {}, encryptionContextSubset: {} }).thenEvents([created]);
  });

  test.each<[string, GrantEvent[]]>([
    ['created twice', [created, created]],
    ['created again after its end', [created, revoked, created]],
    ['revoked before it was created', [revoked]],
    ['retired after it was revoked', [created, revoked, retired]],
    ['of an unknown kind', [{ type: 'GrantLost' } as unknown as GrantEvent]],
  ])('has no history in which it is %s', (_what, events) => {
    expect(() => fold(events)).toThrow(expect.objectContaining({ name: 'EvolveError' }));
  });

  test('never fails but as it says, and replays to the same state, whatever is asked of it', () => {
    const command: fc.Arbitrary<GrantCommand> = fc.oneof(
      fc
        .record({
          operations: fc.array(fc.constantFrom(...GRANT_OPERATIONS), { maxLength: 3 }),
          name: fc.option(fc.constantFrom('a', 'b'), { nil: undefined }),
        })
        .map(
          ({ operations, name }): GrantCommand => ({ ...create, operations, ...(name === undefined ? {} : { name }) }),
        ),
      fc.constantFrom<GrantCommand>(create, revoke, retire, { type: 'RetireGrant', keyId: 'key-2' }),
    );
    fc.assert(
      fc.property(fc.array(command, { maxLength: 20 }), (commands) => {
        const log: GrantEvent[] = [];
        let grant = initialGrant;
        for (const one of commands) {
          try {
            for (const event of decideGrant(one, grant, PLACE)) {
              grant = evolveGrant(grant, event, T0);
              log.push(JSON.parse(JSON.stringify(event)) as GrantEvent);
            }
          } catch (error) {
            expect(error instanceof KmsError || error instanceof GrantEndedError).toBe(true);
          }
        }
        expect(log.reduce((state, event) => evolveGrant(state, event, T0), initialGrant)).toEqual(grant);
      }),
    );
  });
});
