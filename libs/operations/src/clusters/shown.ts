import { createHash } from 'node:crypto';
import { type Backup, type Cluster, type ExistingCluster, exists, type Hsm } from '#domain/cluster/state';
import { zonesOf } from '#domain/cluster/zones';
import type { Tag } from '#domain/key/events';
import { epochSeconds } from '../wire/wire';
import type { ClusterRef, FoundBackup } from './cluster-lookup';
import type { WireTag } from './fields';

type Shown = Record<string, unknown>;

export const wireTags = (tags: readonly Tag[]): WireTag[] => tags.map(({ key, value }) => ({ Key: key, Value: value }));

/** Of what there is none of here, and clients expect all the same: always the same for one cluster. */
const standIn = (prefix: string, { region, account, id }: ClusterRef): string =>
  `${prefix}-${createHash('sha256').update(`${prefix} ${region} ${account} ${id}`).digest('hex').slice(0, 17)}`;

const subnetOf = (zone: string, region: string, subnetIds: readonly string[]): string | undefined =>
  subnetIds[zonesOf(region, subnetIds).indexOf(zone)];

export function shownHsm(
  { hsmId, zone, eniId, eniIp, state, message }: Hsm,
  ref: ClusterRef,
  of: ExistingCluster,
): Shown {
  return {
    AvailabilityZone: zone,
    ClusterId: ref.id,
    SubnetId: subnetOf(zone, ref.region, of.subnetIds),
    EniId: eniId,
    EniIp: eniIp,
    HsmId: hsmId,
    HsmType: of.hsmType,
    State: state,
    ...(message === undefined ? {} : { StateMessage: message }),
  };
}

/** That of a cluster which exists, or did; `state` is then what it is shown to be in. */
export function shownCluster(cluster: Exclude<Cluster, { clusterState: 'None' }>, ref: ClusterRef): Shown {
  const of = exists(cluster) ? cluster : cluster.was;
  const { certificates, csr, restored } = of;
  const degraded = exists(cluster) && of.hsms.some(({ state }) => state === 'DEGRADED');
  const zones = zonesOf(ref.region, of.subnetIds);
  return {
    BackupPolicy: 'DEFAULT',
    BackupRetentionPolicy: { Type: 'DAYS', Value: String(of.backupRetentionDays) },
    ClusterId: ref.id,
    CreateTimestamp: epochSeconds(of.createdAt),
    Hsms: of.hsms.map((hsm) => shownHsm(hsm, ref, of)),
    HsmType: of.hsmType,
    ...(restored && { SourceBackupId: restored.backupId }),
    SecurityGroup: standIn('sg', ref),
    State: cluster.clusterState === 'ACTIVE' && degraded ? 'DEGRADED' : cluster.clusterState,
    SubnetMapping: Object.fromEntries(zones.map((zone, nth) => [zone, of.subnetIds[nth]])),
    VpcId: standIn('vpc', ref),
    NetworkType: 'IPV4',
    Certificates: {
      ...(csr === undefined ? {} : { ClusterCsr: csr }),
      ...(certificates && { ClusterCertificate: certificates.signed }),
    },
    TagList: wireTags(of.tags),
    Mode: of.mode,
  };
}

export function shownBackup({ backup, ref, state }: FoundBackup): Shown {
  const of = exists(state) ? state : state.clusterState === 'DELETED' ? state.was : undefined;
  const { backupId, createdAt, deleteAt, neverExpires, tags } = backup;
  return {
    BackupId: backupId,
    BackupArn: `arn:aws:cloudhsm:${ref.region}:${ref.account}:backup/${backupId}`,
    BackupState: backup.state,
    ClusterId: ref.id,
    CreateTimestamp: epochSeconds(createdAt),
    NeverExpires: neverExpires,
    ...(deleteAt === undefined ? {} : { DeleteTimestamp: epochSeconds(deleteAt) }),
    TagList: wireTags(tags),
    ...(of && { HsmType: of.hsmType, Mode: of.mode }),
  };
}

export const stateOfBackup = ({ backup }: { backup: Backup }): string => backup.state;
