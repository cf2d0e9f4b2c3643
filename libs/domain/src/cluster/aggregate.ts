import type { Aggregate } from '../aggregate';
import { type ClusterCommand, decideCluster } from './decide';
import type { ClusterEvent } from './events';
import { type Cluster, evolveCluster, initialCluster, isClusterEvent } from './state';

export const clusterAggregate: Aggregate<Cluster, ClusterEvent, ClusterCommand> = {
  initial: initialCluster,
  isEvent: isClusterEvent,
  evolve: evolveCluster,
  decide: decideCluster,
  // Who may do what with keys stays the same, whatever becomes of an HSM.
  revokes: {
    ClusterCreated: false,
    HsmCreationBegun: false,
    HsmCreated: false,
    HsmCreationFailed: false,
    ClusterInitialized: false,
    ClusterActivated: false,
    HsmDeletionBegun: false,
    HsmDeleted: false,
    ClusterDeleted: false,
    ClusterModified: false,
    BackupCreated: false,
    BackupDeletionScheduled: false,
    BackupRestored: false,
    BackupDeleted: false,
    BackupModified: false,
    ClusterTagged: false,
    ClusterUntagged: false,
  },
};
