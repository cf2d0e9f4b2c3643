import * as fc from 'fast-check';
import { EvolveError } from '../aggregate';
import { livingEpochs, type Root, type RootCommand, type RootEvent, rootAggregate, rootKeyInUse } from './root';

const { initial, decide, evolve } = rootAggregate;
const TIME = '2026-12-01T00:00:00.000Z';
const place = { region: 'global', account: 'keytrail', id: 'root', now: TIME };
const fold = (events: readonly RootEvent[]): Root => events.reduce((root, event) => evolve(root, event, TIME), initial);

const begun = (from: number, keyId = `key-${from + 1}`): RootEvent => ({
  ...{ type: 'RootRotationBegun', v: 1, from, to: from + 1, keyId },
});
const retired = (epoch: number): RootEvent => ({ type: 'RootEpochRetired', v: 1, epoch });
const destroyed = (epoch: number): RootEvent => ({ type: 'RootEpochDestroyed', v: 1, epoch });
const begin = (from: number, keyId = `key-${from + 1}`): RootCommand => ({ type: 'BeginRootRotation', from, keyId });
const retire = (epoch: number): RootCommand => ({ type: 'RetireRootEpoch', epoch });
const record = (epoch: number): RootCommand => ({ type: 'RecordRootEpochDestroyed', epoch });

const given = (...events: RootEvent[]) => ({
  when: (command: RootCommand) => ({
    gives: (...expected: RootEvent[]) => expect(decide(command, fold(events), place)).toEqual(expected),
    isRefused: (message: string) => expect(() => decide(command, fold(events), place)).toThrow(message),
  }),
});

describe('the root', () => {
  test('is rotated: begun, its old epoch retired, then destroyed', () => {
    given().when(begin(1)).gives(begun(1));
    given(begun(1)).when(retire(1)).gives(retired(1));
    given(begun(1), retired(1)).when(record(1)).gives(destroyed(1));
    given(begun(1), retired(1), destroyed(1)).when(begin(2)).gives(begun(2));
  });

  test('may have had any epoch before its first rotation', () => given().when(begin(7)).gives(begun(7)));

  test('is rotated once at a time: whoever comes second goes on with what was begun', () => {
    given(begun(1)).when(begin(1, 'another')).gives();
    given(begun(1), retired(1)).when(begin(1)).gives();
    given(begun(1), retired(1), destroyed(1)).when(begin(1, 'another')).gives();
  });

  test('changes nothing for what is done already', () => {
    given(begun(1), retired(1)).when(retire(1)).gives();
    given(begun(1), retired(1), destroyed(1)).when(retire(1)).gives();
    given(begun(1), retired(1), destroyed(1)).when(record(1)).gives();
  });

  test('never destroys an epoch that is not retired', () => {
    given(begun(1)).when(record(1)).isRefused('epoch 1 of the root key is still in use');
    given().when(record(1)).isRefused('no rotation of the root key from epoch 1 is under way');
    given(begun(1), retired(1)).when(record(2)).isRefused('no rotation of the root key from epoch 2 is under way');
    given(begun(1), retired(1), destroyed(1)).when(record(2)).isRefused('from epoch 2');
  });

  test('retires nothing that is not being replaced', () => {
    given().when(retire(1)).isRefused('no rotation of the root key from epoch 1 is under way');
    given(begun(1)).when(retire(2)).isRefused('from epoch 2');
    given(begun(1), retired(1), destroyed(1)).when(begin(5)).isRefused('the root key is of epoch 2, not 5');
  });

  test('has both epochs until the old one is destroyed, and wraps under the new one', () => {
    expect(livingEpochs(initial)).toEqual([]);
    expect(rootKeyInUse(initial)).toBeUndefined();
    for (const events of [[begun(1)], [begun(1), retired(1)]]) {
      expect(livingEpochs(fold(events))).toEqual([2, 1]);
      expect(rootKeyInUse(fold(events))).toEqual({ epoch: 2, id: 'key-2' });
    }
    expect(livingEpochs(fold([begun(1), retired(1), destroyed(1)]))).toEqual([2]);
  });

  test.each([
    [[retired(1)]],
    [[destroyed(1)]],
    [[begun(1), destroyed(1)]],
    [[begun(1), begun(1)]],
    [[begun(1), retired(1), begun(2)]],
    [[begun(1), retired(1), destroyed(1), begun(1)]],
    [[{ ...begun(1), to: 3 } as RootEvent]],
  ])('refuses events that cannot follow: %j', (events) => {
    expect(() => fold(events)).toThrow(EvolveError);
  });

  test('whatever is asked, in whatever order, its epochs only grow and no epoch is destroyed before it is retired', () => {
    const command = fc.oneof(
      ...[begin, retire, record].map((make) => fc.integer({ min: 1, max: 4 }).map((epoch) => make(epoch))),
    );
    fc.assert(
      fc.property(fc.array(command, { maxLength: 40 }), (commands) => {
        const events: RootEvent[] = [];
        for (const each of commands) {
          try {
            events.push(...decide(each, fold(events), place));
          } catch {
            // Refused.
          }
        }
        const begins = events.flatMap((event) => (event.type === 'RootRotationBegun' ? [event.to] : []));
        expect(begins).toEqual(begins.map((_, nth) => begins[0]! + nth));
        const order = events.map(({ type }) => type);
        expect(order).toEqual(
          order.map((_, nth) => (['RootRotationBegun', 'RootEpochRetired', 'RootEpochDestroyed'] as const)[nth % 3]),
        );
      }),
    );
  });
});
