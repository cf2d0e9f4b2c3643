import type { DecidePlace } from '../aggregate';
import { KmsError } from '../errors';
import type { Tag } from '../key/events';
import { backupNotFound, clusterNotFound, hsmNotFound, invalid } from './cluster-refusals';
import type { ClusterCertificates, ClusterEvent, ClusterMode, RestoredCluster } from './events';
import { type Backup, backupsOf, type Cluster, type ExistingCluster, exists, type Hsm } from './state';
import { addressOf, zonesOf } from './zones';

/** AWS's quota, of a cluster. */
export const HSMS_PER_CLUSTER = 28;
export const TAGS_PER_RESOURCE = 50;
const BACKUP_DELETION_DAYS = 7;
const DAY_MS = 86_400_000;

export interface NewCluster {
  hsmType: string;
  mode: ClusterMode;
  subnetIds: string[];
  backupRetentionDays: number;
  restored?: RestoredCluster;
  tags: Tag[];
}

export type ClusterCommand =
  | ({ type: 'CreateCluster' } & NewCluster)
  | CreateHsm
  /** The certificates have been checked. */
  | { type: 'InitializeCluster'; certificates: ClusterCertificates }
  /** By one of them; `backupId` is new. */
  | { type: 'DeleteHsm'; hsmId?: string; eniId?: string; eniIp?: string; backupId: string }
  | { type: 'DeleteCluster' }
  | { type: 'ModifyCluster'; backupRetentionDays: number }
  | { type: 'DeleteBackup'; backupId: string }
  | { type: 'RestoreBackup'; backupId: string }
  | { type: 'ModifyBackupAttributes'; backupId: string; neverExpires: boolean }
  | { type: 'TagResource'; resourceId: string; tags: Tag[] }
  | { type: 'UntagResource'; resourceId: string; tagKeys: string[] }
  | ClusterReport;

/** The ids are new. */
export interface CreateHsm {
  type: 'CreateHsm';
  hsmId: string;
  zone: string;
  eniId: string;
  ipAddress?: string;
  backupId: string;
}

/** What a crypto-worker tells of what it did; harmless to repeat. */
export type ClusterReport =
  | { type: 'RecordHsmCreated'; hsmId: string; csr?: string; backedUp: boolean }
  | { type: 'RecordHsmFailed'; hsmId: string; reason: string }
  | { type: 'RecordClusterActivated' }
  | { type: 'RecordHsmDeleted'; hsmId: string; backedUp: boolean }
  | { type: 'RecordBackupDeleted'; backupId: string };

/** The events that `command` causes; throws KmsError where AWS would refuse. Pure. */
export function decideCluster(
  command: ClusterCommand,
  cluster: Cluster,
  { id, region, now }: Pick<DecidePlace, 'id' | 'region' | 'now'>,
): ClusterEvent[] {
  switch (command.type) {
    case 'CreateCluster': {
      if (cluster.clusterState !== 'None') throw invalid(`${id} already exists.`);
      const { type: _type, ...facts } = command;
      return [{ type: 'ClusterCreated', v: 1, ...facts }];
    }
    case 'CreateHsm':
      return [hsmBegun(command, existing(cluster, id), region, id)];
    case 'InitializeCluster': {
      const { clusterState, csr } = existing(cluster, id);
      if (clusterState !== 'UNINITIALIZED') throw inState(id, clusterState, 'only an UNINITIALIZED one is initialized');
      if (csr === undefined) throw inState(id, clusterState, 'create its first HSM, and sign its ClusterCsr');
      return [{ type: 'ClusterInitialized', v: 1, certificates: command.certificates }];
    }
    case 'DeleteHsm': {
      const current = existing(cluster, id);
      const hsm = hsmFor(command, current, id);
      if (hsm.state === 'DELETE_IN_PROGRESS') return [];
      const backup = hsm.state === 'ACTIVE' && current.clusterState !== 'UNINITIALIZED';
      const { hsmId } = hsm;
      return [{ type: 'HsmDeletionBegun', v: 1, hsmId, ...(backup ? { backupId: command.backupId } : {}) }];
    }
    case 'DeleteCluster': {
      const { hsms } = existing(cluster, id);
      if (hsms.length > 0) throw invalid(`The cluster ${id} has ${hsms.length} HSMs: delete them first.`);
      return [{ type: 'ClusterDeleted', v: 1 }];
    }
    case 'ModifyCluster': {
      const { backupRetentionDays } = command;
      if (existing(cluster, id).backupRetentionDays === backupRetentionDays) return [];
      return [{ type: 'ClusterModified', v: 1, backupRetentionDays }];
    }
    case 'DeleteBackup': {
      const { backupId, state } = backupNamed(cluster, command.backupId);
      if (state !== 'READY') throw invalid(`The backup ${backupId} is ${state}: only a READY one can be deleted.`);
      const deleteAt = new Date(Date.parse(now) + BACKUP_DELETION_DAYS * DAY_MS).toISOString();
      return [{ type: 'BackupDeletionScheduled', v: 1, backupId, deleteAt }];
    }
    case 'RestoreBackup': {
      const { backupId, state } = backupNamed(cluster, command.backupId);
      if (state !== 'PENDING_DELETION') {
        throw invalid(`The backup ${backupId} is ${state}: only a PENDING_DELETION one can be restored.`);
      }
      return [{ type: 'BackupRestored', v: 1, backupId }];
    }
    case 'ModifyBackupAttributes': {
      const { backupId, state, neverExpires } = backupNamed(cluster, command.backupId);
      if (state === 'DELETED') throw backupNotFound(backupId);
      if (neverExpires === command.neverExpires) return [];
      return [{ type: 'BackupModified', v: 1, backupId, neverExpires: command.neverExpires }];
    }
    case 'TagResource': {
      const { resourceId, tags } = command;
      const before = tagsOf(cluster, resourceId, id);
      const keys = new Set([...before, ...tags].map(({ key }) => key));
      if (keys.size > TAGS_PER_RESOURCE) {
        throw new KmsError('CloudHsmTagException', `${resourceId} would have more than ${TAGS_PER_RESOURCE} tags.`);
      }
      const changed = tags.filter(({ key, value }) => !before.some((tag) => tag.key === key && tag.value === value));
      return changed.length === 0 ? [] : [{ type: 'ClusterTagged', v: 1, resourceId, tags: changed }];
    }
    case 'UntagResource': {
      const { resourceId } = command;
      const before = tagsOf(cluster, resourceId, id);
      const tagKeys = command.tagKeys.filter((tagKey) => before.some(({ key }) => key === tagKey));
      return tagKeys.length === 0 ? [] : [{ type: 'ClusterUntagged', v: 1, resourceId, tagKeys }];
    }
    default:
      return reported(command, cluster);
  }
}

/** What has been reported before, or is about what is gone, changes nothing. */
function reported(report: ClusterReport, cluster: Cluster): ClusterEvent[] {
  if (report.type === 'RecordBackupDeleted') {
    const { backupId } = report;
    const isThere = backupsOf(cluster).some((each) => each.backupId === backupId && each.state !== 'DELETED');
    return isThere ? [{ type: 'BackupDeleted', v: 1, backupId }] : [];
  }
  if (!exists(cluster)) return [];
  if (report.type === 'RecordClusterActivated') {
    return cluster.clusterState === 'INITIALIZED' ? [{ type: 'ClusterActivated', v: 1 }] : [];
  }
  const { hsmId } = report;
  const hsm = cluster.hsms.find((each) => each.hsmId === hsmId);
  const awaited = report.type === 'RecordHsmDeleted' ? 'DELETE_IN_PROGRESS' : 'CREATE_IN_PROGRESS';
  if (hsm?.state !== awaited) return [];
  if (report.type === 'RecordHsmFailed') {
    return [{ type: 'HsmCreationFailed', v: 1, hsmId, reason: report.reason }];
  }
  const backup: ClusterEvent[] =
    report.backedUp && hsm.backupId !== undefined ? [{ type: 'BackupCreated', v: 1, backupId: hsm.backupId }] : [];
  if (report.type === 'RecordHsmDeleted') return [...backup, { type: 'HsmDeleted', v: 1, hsmId }];
  const csr = cluster.csr === undefined && report.csr !== undefined ? { csr: report.csr } : {};
  return [...backup, { type: 'HsmCreated', v: 1, hsmId, ...csr }];
}

function hsmBegun(command: CreateHsm, cluster: ExistingCluster, region: string, id: string): ClusterEvent {
  const { hsmId, zone, eniId, ipAddress, backupId } = command;
  const { clusterState, hsms, subnetIds, hsmsMade } = cluster;
  const zones = zonesOf(region, subnetIds);
  if (!zones.includes(zone)) {
    throw invalid(`The cluster ${id} has no subnet in ${zone}; it has in ${zones.join(', ')}.`);
  }
  if (clusterState === 'UNINITIALIZED' && hsms.length > 0) {
    throw inState(id, clusterState, 'it has its first HSM; initialize it before it gets another');
  }
  if (hsms.length >= HSMS_PER_CLUSTER) throw invalid(`The cluster ${id} has ${HSMS_PER_CLUSTER} HSMs already.`);
  const eniIp = ipAddress ?? addressOf(hsmsMade);
  if (hsms.some((hsm) => hsm.eniIp === eniIp)) throw invalid(`IpAddress: ${eniIp} is another HSM's.`);
  const hasSource = clusterState === 'ACTIVE' && hsms.some(({ state }) => state === 'ACTIVE');
  return { type: 'HsmCreationBegun', v: 1, hsmId, zone, eniId, eniIp, ...(hasSource ? { backupId } : {}) };
}

export function existing(cluster: Cluster | undefined, id: string): ExistingCluster {
  if (!cluster || !exists(cluster)) throw clusterNotFound(id);
  return cluster;
}

function hsmFor(
  { hsmId, eniId, eniIp }: { hsmId?: string; eniId?: string; eniIp?: string },
  { hsms }: ExistingCluster,
  id: string,
): Hsm {
  const hsm = hsms.find(
    (each) =>
      (hsmId === undefined || each.hsmId === hsmId) &&
      (eniId === undefined || each.eniId === eniId) &&
      (eniIp === undefined || each.eniIp === eniIp),
  );
  if (!hsm) throw hsmNotFound(hsmId ?? eniId ?? eniIp ?? '', id);
  return hsm;
}

function backupNamed(cluster: Cluster, backupId: string): Backup {
  const backup = backupsOf(cluster).find((each) => each.backupId === backupId);
  if (!backup) throw backupNotFound(backupId);
  return backup;
}

/** Of the cluster or one of its backups. */
export function tagsOf(cluster: Cluster, resourceId: string, id: string): readonly Tag[] {
  if (resourceId === id) return existing(cluster, id).tags;
  return backupNamed(cluster, resourceId).tags;
}

const inState = (id: string, state: string, why: string): KmsError => invalid(`The cluster ${id} is ${state}: ${why}.`);
