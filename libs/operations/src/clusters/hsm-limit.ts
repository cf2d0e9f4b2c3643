import { invalid } from '#domain/cluster/cluster-refusals';
import { exists } from '#domain/cluster/state';
import type { Projection } from '#views/projection';
import type { Limit } from '../limits';
import { type ClusterRef, clustersOf } from './cluster-lookup';

/** AWS's quota, of an account and region. */
const HSMS = 6;

/** Of HSMs that are there, or being made or deleted. */
export function hsmLimit({ region, account }: Pick<ClusterRef, 'region' | 'account'>, projection: Projection): Limit {
  const ids = (): string[] =>
    clustersOf({ region, account }, projection).flatMap(({ state }) =>
      exists(state) ? state.hsms.map(({ hsmId }) => hsmId) : [],
    );
  return {
    of: `HSMs of ${account} in ${region}`,
    max: HSMS,
    count: () => ids().length,
    has: (hsmId) => ids().includes(hsmId),
    refusal: () => invalid(`There are ${HSMS} HSMs, which is as many as there may be in an account and region.`),
  };
}
