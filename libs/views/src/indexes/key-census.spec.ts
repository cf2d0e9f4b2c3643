import fc from 'fast-check';
import type { Key } from '#domain/key/state';
import type { FoldedOf } from '../folded';
import { COUNTED_STATES, KeyCensus } from './key-census';

const HOUR_MS = 3_600_000;
const START = Date.parse('2026-11-25T00:00:00.000Z');
const iso = (ms: number): string => new Date(ms).toISOString();

const facts = {
  createdAt: iso(START),
  ...({ description: '', keyUsage: 'ENCRYPT_DECRYPT', keySpec: 'SYMMETRIC_DEFAULT', origin: 'AWS_KMS' } as const),
  ...{ multiRegion: false, policy: '{}', tags: [], versions: [] },
};
const folded = (id: string, state: Key): FoldedOf<'key'> => ({
  ref: { region: 'us-east-1', account: '000000000000', aggregate: 'key', id },
  ...{ state, version: 1, seq: 1, hash: '', time: '' },
});

const keyState: fc.Arbitrary<Key> = fc.oneof(
  fc.constant<Key>({ ...facts, keyState: 'Enabled' }),
  fc.constant<Key>({ ...facts, keyState: 'Disabled' }),
  fc
    .integer({ min: 0, max: 5 * HOUR_MS })
    .map(
      (ms): Key => ({ ...facts, keyState: 'PendingDeletion', deletionDate: iso(START + ms), pendingWindowInDays: 7 }),
    ),
  fc.constant<Key>({ keyState: 'Deleted', createdAt: '', deletedAt: '', materialIds: [], allMaterialIds: [] }),
);

test('the census is what counting all keys gives, whatever they went through', () => {
  const changes = fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd'), keyState), { maxLength: 40 });
  fc.assert(
    fc.property(changes, (all) => {
      const census = new KeyCensus();
      const keys = new Map<string, FoldedOf<'key'>>();
      for (const [id, state] of all) {
        const after = folded(id, state);
        census.on.key({ subject: id, before: keys.get(id), after });
        keys.set(id, after);
      }
      const states = [...keys.values()].map(({ state }) => state);
      for (const counted of COUNTED_STATES) {
        expect(census.inState(counted)).toBe(states.filter(({ keyState }) => keyState === counted).length);
      }
      const hours = new Map<string, number>();
      for (const state of states) {
        if (state.keyState !== 'PendingDeletion') continue;
        const hour = iso(Math.floor(Date.parse(state.deletionDate) / HOUR_MS) * HOUR_MS);
        hours.set(hour, (hours.get(hour) ?? 0) + 1);
      }
      expect(new Map([...census.deletions()].map(({ hour, keys }) => [hour, keys]))).toEqual(hours);
    }),
  );
});
