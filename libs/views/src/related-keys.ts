import { type DueStep, dueSteps } from '#domain/key/related-keys';
import type { AggregateRef } from '#domain/subjects';
import type { Projection } from './projection';

/** What the multi-Region keys of an id owe each other, as the view has them. */
export const dueStepsOf = (projection: Projection, ref: Pick<AggregateRef, 'account' | 'id'>): DueStep[] =>
  dueSteps(
    Array.from(projection.relatedKeys(ref), ({ ref: { region }, state, time }) => ({ region, key: state, time })),
  );
