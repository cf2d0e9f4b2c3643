import type { AggregateType, StateOf } from '#domain/aggregates';
import type { AggregateRef } from '#domain/subjects';

/** The fold of one aggregate's history, and where that history ends. */
export interface Folded<S, T extends AggregateType = AggregateType> {
  ref: AggregateRef<T>;
  state: S;
  /** Version, position, hash and time of the newest commit; 0, 0, 64 zeros and '' before the first. */
  version: number;
  seq: number;
  hash: string;
  time: string;
}

export type FoldedOf<T extends AggregateType> = Folded<StateOf<T>, T>;

/** One aggregate as it was before a commit and as it is after it. `before` is absent for its first. */
export interface Change<T extends AggregateType> {
  subject: string;
  before: FoldedOf<T> | undefined;
  after: FoldedOf<T>;
}

/**
 * What can be found otherwise than by id. Told of every change of the aggregates it names, after the fold; it holds
 * nothing that could not be built again from the folded states alone.
 */
export interface ViewIndex {
  readonly on: { readonly [T in AggregateType]?: (change: Change<T>) => void };
}
