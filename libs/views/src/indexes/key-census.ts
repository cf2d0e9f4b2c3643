import type { Key } from '#domain/key/state';
import type { Change, ViewIndex } from '../folded';

/** The states of keys that are counted. */
export const COUNTED_STATES = [
  'Enabled',
  'Disabled',
  'Creating',
  'Updating',
  'PendingDeletion',
  'PendingReplicaDeletion',
  'Deleted',
] as const;
type CountedState = (typeof COUNTED_STATES)[number];

const HOUR = 'yyyy-mm-ddThh'.length;

/** How many keys there are in each state, and how many are to be deleted in each hour. */
export class KeyCensus implements ViewIndex {
  private readonly states = new Map<CountedState, number>();
  /** By the hour of the deletion date: a waiting period has at most 720 of them, however many keys. */
  private readonly hours = new Map<string, number>();

  readonly on = {
    key: ({ before, after }: Change<'key'>): void => {
      if (before) this.count(before.state, -1);
      this.count(after.state, 1);
    },
  };

  inState(state: CountedState): number {
    return this.states.get(state) ?? 0;
  }

  /** The beginnings of the hours in which keys are to be deleted, ISO 8601, and how many keys those are. */
  *deletions(): Iterable<{ hour: string; keys: number }> {
    for (const [hour, keys] of this.hours) yield { hour: `${hour}:00:00.000Z`, keys };
  }

  private count(key: Key, change: 1 | -1): void {
    if (key.keyState === 'None') return;
    add(this.states, key.keyState, change);
    if (key.keyState === 'PendingDeletion') add(this.hours, key.deletionDate.slice(0, HOUR), change);
  }
}

function add<K>(counts: Map<K, number>, key: K, change: number): void {
  const count = (counts.get(key) ?? 0) + change;
  if (count === 0) counts.delete(key);
  else counts.set(key, count);
}
