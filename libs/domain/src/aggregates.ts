import type { Aggregate } from './aggregate';
import { aliasAggregate } from './alias/aggregate';
import { clusterAggregate } from './cluster/aggregate';
import { customKeyStoreAggregate } from './custom-key-store/aggregate';
import { grantAggregate } from './grant/grant';
import { keyAggregate } from './key/aggregate';
import { principalAggregate } from './principal/aggregate';
import { rootAggregate } from './root/root';
import { trailAggregate } from './trail/trail';

/** THE table of aggregates. Subjects, the commit codec, folding, digests and commands all derive from it. */
export const AGGREGATES = {
  key: keyAggregate,
  alias: aliasAggregate,
  principal: principalAggregate,
  grant: grantAggregate,
  trail: trailAggregate,
  customKeyStore: customKeyStoreAggregate,
  cluster: clusterAggregate,
  root: rootAggregate,
};

export type AggregateType = keyof typeof AGGREGATES;
export type StateOf<T extends AggregateType> = (typeof AGGREGATES)[T]['initial'];
export type EventOf<T extends AggregateType> = ReturnType<(typeof AGGREGATES)[T]['decide']>[number];
export type CommandOf<T extends AggregateType> = Parameters<(typeof AGGREGATES)[T]['decide']>[0];

export const AGGREGATE_TYPES = Object.keys(AGGREGATES) as AggregateType[];

export const isAggregateType = (text: string | undefined): text is AggregateType =>
  text !== undefined && Object.hasOwn(AGGREGATES, text);

export const aggregateOf = <T extends AggregateType>(type: T): Aggregate<StateOf<T>, EventOf<T>, CommandOf<T>> =>
  AGGREGATES[type] as unknown as Aggregate<StateOf<T>, EventOf<T>, CommandOf<T>>;

/** Whether every holder of a lease must have heard of the event before the write that caused it may return. */
export const isRevoking = <T extends AggregateType>(type: T, event: EventOf<T>): boolean =>
  (AGGREGATES[type].revokes as Record<string, boolean>)[event.type] ?? true;
