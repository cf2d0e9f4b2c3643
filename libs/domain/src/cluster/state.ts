import { EvolveError, type Evolvers, evolveBy, isEventOf } from '../aggregate';
import type { Tag } from '../key/events';
import type { ClusterCertificates, ClusterEvent, ClusterMode, RestoredCluster } from './events';

export type HsmState = 'CREATE_IN_PROGRESS' | 'ACTIVE' | 'DEGRADED' | 'DELETE_IN_PROGRESS';

export interface Hsm {
  hsmId: string;
  zone: string;
  eniId: string;
  eniIp: string;
  state: HsmState;
  /** Of the backup that is made on the way. */
  backupId?: string;
  /** Why it is DEGRADED. */
  message?: string;
}

export type BackupState = 'READY' | 'PENDING_DELETION' | 'DELETED';

export interface Backup {
  backupId: string;
  state: BackupState;
  createdAt: string;
  /** While it is PENDING_DELETION, and after that. */
  deleteAt?: string;
  neverExpires: boolean;
  tags: readonly Tag[];
}

export interface NoCluster {
  clusterState: 'None';
}
export interface ExistingCluster {
  clusterState: 'UNINITIALIZED' | 'INITIALIZED' | 'ACTIVE';
  hsmType: string;
  mode: ClusterMode;
  subnetIds: readonly string[];
  backupRetentionDays: number;
  restored?: RestoredCluster;
  createdAt: string;
  hsms: readonly Hsm[];
  /** How many HSMs it ever had: the next one's address is made of it. */
  hsmsMade: number;
  csr?: string;
  certificates?: ClusterCertificates;
  backups: readonly Backup[];
  tags: readonly Tag[];
}
/** What is left is what its backups are restored with. */
export interface DeletedCluster {
  clusterState: 'DELETED';
  was: ExistingCluster;
  deletedAt: string;
  backups: readonly Backup[];
}
export type Cluster = NoCluster | ExistingCluster | DeletedCluster;

export const initialCluster: Cluster = { clusterState: 'None' };

export const exists = (cluster: Cluster): cluster is ExistingCluster =>
  cluster.clusterState !== 'None' && cluster.clusterState !== 'DELETED';

/** Those of a deleted cluster, too. */
export const backupsOf = (cluster: Cluster): readonly Backup[] =>
  cluster.clusterState === 'None' ? [] : cluster.backups;

function existing(cluster: Cluster, event: ClusterEvent): ExistingCluster {
  if (!exists(cluster)) throw new EvolveError(`${event.type} on a cluster that is ${cluster.clusterState}`);
  return cluster;
}

/** The cluster with another state of one of its HSMs, which must be in one of `from`. */
function withHsm(
  cluster: Cluster,
  event: ClusterEvent & { hsmId: string },
  from: readonly HsmState[],
  change: (hsm: Hsm) => Hsm | undefined,
): ExistingCluster {
  const { hsmId } = event;
  const current = existing(cluster, event);
  const hsm = current.hsms.find((each) => each.hsmId === hsmId);
  if (!hsm || !from.includes(hsm.state)) throw new EvolveError(`${event.type} on ${hsmId}: ${hsm?.state ?? 'none'}`);
  return { ...current, hsms: current.hsms.flatMap((each) => (each === hsm ? (change(hsm) ?? []) : each)) };
}

function withBackup<C extends Cluster>(
  cluster: C,
  event: ClusterEvent & { backupId: string },
  from: readonly BackupState[],
  change: (backup: Backup) => Backup,
): C {
  const { backupId } = event;
  const backup = backupsOf(cluster).find((each) => each.backupId === backupId);
  if (!backup || !from.includes(backup.state)) {
    throw new EvolveError(`${event.type} on ${backupId}: ${backup?.state ?? 'none'}`);
  }
  return { ...cluster, backups: backupsOf(cluster).map((each) => (each === backup ? change(backup) : each)) };
}

function retagged(
  cluster: Cluster,
  event: ClusterEvent & { resourceId: string },
  change: (tags: readonly Tag[]) => Tag[],
): Cluster {
  const { resourceId } = event;
  if (resourceId.startsWith('cluster-')) {
    const current = existing(cluster, event);
    return { ...current, tags: change(current.tags) };
  }
  const states = ['READY', 'PENDING_DELETION', 'DELETED'] as const;
  return withBackup(cluster, { ...event, backupId: resourceId }, states, (backup) => ({
    ...backup,
    tags: change(backup.tags),
  }));
}

const settled = ({ backupId: _backup, ...hsm }: Hsm, state: HsmState): Hsm => ({ ...hsm, state });

/** THE table of cluster events. */
const evolvers: Evolvers<Cluster, ClusterEvent> = {
  ClusterCreated: (cluster, { type: _type, v: _v, restored, ...facts }, time) => {
    if (cluster.clusterState !== 'None') throw new EvolveError('ClusterCreated on a cluster that there is, or was');
    return {
      clusterState: restored ? 'ACTIVE' : 'UNINITIALIZED',
      ...facts,
      ...(restored && { restored, csr: restored.csr, certificates: restored.certificates }),
      ...{ createdAt: time, hsms: [], hsmsMade: 0, backups: [] },
    };
  },
  HsmCreationBegun: (cluster, event) => {
    const { type: _type, v: _v, ...facts } = event;
    const current = existing(cluster, event);
    const hsm: Hsm = { ...facts, state: 'CREATE_IN_PROGRESS' };
    return { ...current, hsms: [...current.hsms, hsm], hsmsMade: current.hsmsMade + 1 };
  },
  HsmCreated: (cluster, event) => ({
    ...withHsm(cluster, event, ['CREATE_IN_PROGRESS'], (hsm) => settled(hsm, 'ACTIVE')),
    ...(event.csr === undefined ? {} : { csr: event.csr }),
  }),
  HsmCreationFailed: (cluster, event) =>
    withHsm(cluster, event, ['CREATE_IN_PROGRESS'], (hsm) => ({
      ...settled(hsm, 'DEGRADED'),
      message: event.reason,
    })),
  ClusterInitialized: (cluster, event) => {
    const current = existing(cluster, event);
    if (current.clusterState !== 'UNINITIALIZED') throw new EvolveError(`${event.type} on ${current.clusterState}`);
    return { ...current, clusterState: 'INITIALIZED', certificates: event.certificates };
  },
  ClusterActivated: (cluster, event) => {
    const current = existing(cluster, event);
    if (current.clusterState !== 'INITIALIZED') throw new EvolveError(`${event.type} on ${current.clusterState}`);
    return { ...current, clusterState: 'ACTIVE' };
  },
  HsmDeletionBegun: (cluster, event) =>
    withHsm(cluster, event, ['ACTIVE', 'DEGRADED', 'CREATE_IN_PROGRESS'], (hsm) => ({
      ...settled(hsm, 'DELETE_IN_PROGRESS'),
      ...(event.backupId === undefined ? {} : { backupId: event.backupId }),
    })),
  HsmDeleted: (cluster, event) => withHsm(cluster, event, ['DELETE_IN_PROGRESS'], () => undefined),
  ClusterDeleted: (cluster, event, time) => {
    const { backups, ...was } = existing(cluster, event);
    if (was.hsms.length > 0) throw new EvolveError('ClusterDeleted on a cluster with HSMs');
    return { clusterState: 'DELETED', was: { ...was, backups: [] }, deletedAt: time, backups };
  },
  ClusterModified: (cluster, event) => ({
    ...existing(cluster, event),
    backupRetentionDays: event.backupRetentionDays,
  }),
  BackupCreated: (cluster, event, time) => {
    const current = existing(cluster, event);
    const { backupId } = event;
    const backup: Backup = { backupId, state: 'READY', createdAt: time, neverExpires: false, tags: [] };
    return { ...current, backups: [...current.backups, backup] };
  },
  BackupDeletionScheduled: (cluster, event) =>
    withBackup(cluster, event, ['READY'], (backup) => ({
      ...backup,
      ...{ state: 'PENDING_DELETION', deleteAt: event.deleteAt },
    })),
  BackupRestored: (cluster, event) =>
    withBackup(cluster, event, ['PENDING_DELETION'], ({ deleteAt: _at, ...backup }) => ({ ...backup, state: 'READY' })),
  BackupDeleted: (cluster, event, time) =>
    withBackup(cluster, event, ['READY', 'PENDING_DELETION'], (backup) => ({
      ...backup,
      ...{ state: 'DELETED', deleteAt: time },
    })),
  BackupModified: (cluster, event) =>
    withBackup(cluster, event, ['READY', 'PENDING_DELETION'], (backup) => ({
      ...backup,
      neverExpires: event.neverExpires,
    })),
  ClusterTagged: (cluster, event) =>
    retagged(cluster, event, (tags) => [
      ...tags.filter(({ key }) => !event.tags.some((tag) => tag.key === key)),
      ...event.tags,
    ]),
  ClusterUntagged: (cluster, event) =>
    retagged(cluster, event, (tags) => tags.filter(({ key }) => !event.tagKeys.includes(key))),
};

export const isClusterEvent = (type: string): type is ClusterEvent['type'] => isEventOf(evolvers, type);

/** `time` is that of the commit the event is in. */
export const evolveCluster = (cluster: Cluster, event: ClusterEvent, time: string): Cluster =>
  evolveBy('cluster', evolvers, cluster, event, time);
