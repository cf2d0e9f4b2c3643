import { cloudHsmArn, isClusterId } from '#domain/cluster/arns';
import { backupNotFound, clusterNotFound } from '#domain/cluster/cluster-refusals';
import { type Backup, backupsOf, type Cluster, type ExistingCluster, exists } from '#domain/cluster/state';
import type { AggregateRef } from '#domain/subjects';
import type { Projection } from '#views/projection';
import { authorizeOwn } from '../authorization';
import type { Call } from '../operation';

export type ClusterRef = AggregateRef<'cluster'>;

export interface FoundCluster {
  ref: ClusterRef;
  state: Cluster;
}

/** Throws AccessDeniedException unless the caller's own policies allow the action on this cluster or backup. */
export function authorizeOn(call: Call, action: string, resourceId: string): void {
  const { region, account } = call.caller;
  authorizeOwn(call, `cloudhsm:${action}`, cloudHsmArn(region, account, resourceId));
}

/** Those of the caller's account and region, the deleted ones too, the oldest first. */
export function clustersOf(of: Pick<ClusterRef, 'region' | 'account'>, projection: Projection): FoundCluster[] {
  const own = ({ region, account }: ClusterRef): boolean => region === of.region && account === of.account;
  return [...projection.all('cluster')].filter(({ ref }) => own(ref as ClusterRef)) as FoundCluster[];
}

export function clusterRef(clusterId: string, { caller: { region, account } }: Call): ClusterRef {
  if (!isClusterId(clusterId)) throw clusterNotFound(clusterId);
  return { region, account, aggregate: 'cluster', id: clusterId };
}

/** Throws CloudHsmResourceNotFoundException. */
export function findCluster(clusterId: string, call: Call, projection: Projection): ExistingCluster {
  const state = projection.folded(clusterRef(clusterId, call))?.state;
  if (!state || !exists(state)) throw clusterNotFound(clusterId);
  return state;
}

export interface FoundBackup extends FoundCluster {
  backup: Backup;
}

/** Throws CloudHsmResourceNotFoundException. */
export function findBackup(backupId: string, call: Call, projection: Projection): FoundBackup {
  for (const { ref, state } of clustersOf(call.caller, projection)) {
    const backup = backupsOf(state).find((each) => each.backupId === backupId);
    if (backup) return { ref, state, backup };
  }
  throw backupNotFound(backupId);
}

/** What a resource's tags are on: a cluster, or the cluster of a backup. */
export const ownerOf = (resourceId: string, call: Call, projection: Projection): ClusterRef =>
  resourceId.startsWith('cluster-') ? clusterRef(resourceId, call) : findBackup(resourceId, call, projection).ref;
