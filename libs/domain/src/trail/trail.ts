import { type Aggregate, EvolveError, type Evolvers, evolveBy, isEventOf } from '../aggregate';
import type { AggregateRef } from '../subjects';

/**
 * The records of an account and month, as far as what they keep sealed can be shredded. They are sealed under one key after the
 * other: 1, and after each shredding the next.
 */
export interface Trail {
  /** Keys up to this one are erased, or are about to be; 0 for none. */
  shredded: number;
}

/** From here on nobody is given the key to read with, or a key before it; then it is erased. */
export interface RecordsShredded {
  type: 'RecordsShredded';
  v: 1;
  generation: number;
}

export type TrailEvent = RecordsShredded;

export interface ShredRecords {
  type: 'ShredRecords';
}

export const initialTrail: Trail = { shredded: 0 };

/** THE table of trail events. */
const evolvers: Evolvers<Trail, TrailEvent> = {
  RecordsShredded: (trail, { generation }) => {
    if (generation !== trail.shredded + 1) throw new EvolveError(`RecordsShredded ${generation} on ${trail.shredded}`);
    return { shredded: generation };
  },
};

export const trailAggregate: Aggregate<Trail, TrailEvent, ShredRecords> = {
  initial: initialTrail,
  isEvent: (type) => isEventOf(evolvers, type),
  evolve: (trail, event, time) => evolveBy('trail', evolvers, trail, event, time),
  decide: (_command, { shredded }) => [{ type: 'RecordsShredded', v: 1, generation: shredded + 1 }],
  // What anybody may do stays the same.
  revokes: { RecordsShredded: false },
};

/** `month`: `2026-11`, of the records' times. */
export const trailRef = (account: string, month: string): AggregateRef<'trail'> => ({
  region: 'global',
  account,
  aggregate: 'trail',
  id: month,
});
