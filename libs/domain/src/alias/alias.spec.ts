import fc from 'fast-check';
import { KmsError } from '../errors';
import { type Alias, type AliasCommand, decideAlias, evolveAlias, initialAlias } from './alias';
import type { AliasEvent } from './events';

const ARN = 'arn:aws:kms:us-east-1:000000000000:alias/orders';
const T0 = '2026-01-01T00:00:00.000Z';
const T1 = '2026-01-02T00:00:00.000Z';

const fold = (events: readonly AliasEvent[]): Alias =>
  events.reduce((alias, event, at) => evolveAlias(alias, event, at === 0 ? T0 : T1), initialAlias);
const given = (...events: AliasEvent[]) => ({
  when: (command: AliasCommand) => ({
    thenEvents: (expected: AliasEvent[]) => expect(decideAlias(command, fold(events), ARN)).toEqual(expected),
    refused: (code: string, message: string) =>
      expect(() => decideAlias(command, fold(events), ARN)).toThrow(expect.objectContaining({ code, message })),
  }),
});

const created: AliasEvent = { type: 'AliasCreated', v: 1, targetKeyId: 'key-1' };
const deleted: AliasEvent = { type: 'AliasDeleted', v: 1, reason: 'REQUESTED' };
const notFound = ['NotFoundException', `Alias ${ARN} is not found.`] as const;

describe('an alias', () => {
  test('is created once, and again after it was deleted', () => {
    given().when({ type: 'CreateAlias', targetKeyId: 'key-1' }).thenEvents([created]);
    given(created)
      .when({ type: 'CreateAlias', targetKeyId: 'key-1' })
      .refused('AlreadyExistsException', `An alias with the name ${ARN} already exists`);
    given(created, deleted).when({ type: 'CreateAlias', targetKeyId: 'key-1' }).thenEvents([created]);
  });

  test('is pointed at another key, and left as it is when it points there', () => {
    given(created)
      .when({ type: 'UpdateAlias', targetKeyId: 'key-2' })
      .thenEvents([{ type: 'AliasUpdated', v: 1, targetKeyId: 'key-2' }]);
    given(created).when({ type: 'UpdateAlias', targetKeyId: 'key-1' }).thenEvents([]);
  });

  test('that does not exist is neither updated nor deleted', () => {
    given()
      .when({ type: 'UpdateAlias', targetKeyId: 'key-1' })
      .refused(...notFound);
    given()
      .when({ type: 'DeleteAlias' })
      .refused(...notFound);
    given(created, deleted)
      .when({ type: 'DeleteAlias' })
      .refused(...notFound);
  });

  test('of a key that is gone stands in nobody’s way, and is found by nobody', () => {
    const goneKeyId = 'key-1';
    given(created)
      .when({ type: 'CreateAlias', targetKeyId: 'key-2', goneKeyId })
      .thenEvents([
        { type: 'AliasDeleted', v: 1, reason: 'KEY_DELETED' },
        { type: 'AliasCreated', v: 1, targetKeyId: 'key-2' },
      ]);
    given(created)
      .when({ type: 'UpdateAlias', targetKeyId: 'key-2', goneKeyId })
      .refused(...notFound);
    given(created)
      .when({ type: 'DeleteAlias', goneKeyId })
      .refused(...notFound);
    // Meanwhile it was pointed at a key that lives.
    given(created, { type: 'AliasUpdated', v: 1, targetKeyId: 'key-2' })
      .when({ type: 'DeleteAlias', goneKeyId })
      .thenEvents([deleted]);
  });

  test('goes with its key, unless it points elsewhere by then', () => {
    const remove: AliasCommand = { type: 'RemoveAliasOfDeletedKey', keyId: 'key-1' };
    given(created)
      .when(remove)
      .thenEvents([{ type: 'AliasDeleted', v: 1, reason: 'KEY_DELETED' }]);
    given(created, { type: 'AliasUpdated', v: 1, targetKeyId: 'key-2' }).when(remove).thenEvents([]);
    given(created, deleted).when(remove).thenEvents([]);
  });

  test('knows when it was created and when it was last changed', () => {
    expect(fold([created, { type: 'AliasUpdated', v: 1, targetKeyId: 'key-2' }])).toEqual({
      aliasState: 'Active',
      targetKeyId: 'key-2',
      createdAt: T0,
      updatedAt: T1,
    });
  });

  test.each<[string, AliasEvent[]]>([
    ['created twice', [created, created]],
    ['updated before it was created', [{ type: 'AliasUpdated', v: 1, targetKeyId: 'key-2' }]],
    ['deleted twice', [created, deleted, deleted]],
    ['of an unknown kind', [{ type: 'AliasLost' } as unknown as AliasEvent]],
  ])('has no history in which it is %s', (_what, events) => {
    expect(() => fold(events)).toThrow(expect.objectContaining({ name: 'EvolveError' }));
  });

  test('never fails but with a KmsError, and replays to the same state, whatever is asked of it', () => {
    const keyId = fc.constantFrom('key-1', 'key-2');
    const goneKeyId = fc.option(keyId, { nil: undefined });
    const command: fc.Arbitrary<AliasCommand> = fc.oneof(
      fc.record({ type: fc.constantFrom('CreateAlias', 'UpdateAlias'), targetKeyId: keyId, goneKeyId }),
      fc.record({ type: fc.constant('DeleteAlias'), goneKeyId }),
      fc.record({ type: fc.constant('RemoveAliasOfDeletedKey'), keyId }),
    );
    fc.assert(
      fc.property(fc.array(command, { maxLength: 20 }), (commands) => {
        const log: AliasEvent[] = [];
        let alias = initialAlias;
        for (const one of commands) {
          try {
            for (const event of decideAlias(one, alias, ARN)) {
              alias = evolveAlias(alias, event, T0);
              log.push(event);
            }
          } catch (error) {
            expect(error).toBeInstanceOf(KmsError);
          }
        }
        expect(log.reduce((state, event) => evolveAlias(state, event, T0), initialAlias)).toEqual(alias);
      }),
    );
  });
});
