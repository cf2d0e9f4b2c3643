import type { Tag } from '../key/events';

/** What can happen to a CloudHSM cluster, its HSMs and its backups. No secret of any user is ever here. */

export type ClusterMode = 'FIPS' | 'NON_FIPS';

/** Of the certificate that its owner signed, and what it was signed with; PEM, as it was given. */
export interface ClusterCertificates {
  signed: string;
  trustAnchor: string;
}

/** What a cluster that is made from a backup has from the start. */
export interface RestoredCluster {
  backupId: string;
  sourceCluster: string;
  csr: string;
  certificates: ClusterCertificates;
}

export interface ClusterCreated {
  type: 'ClusterCreated';
  v: 1;
  hsmType: string;
  mode: ClusterMode;
  /** Each stands for an availability zone: the first for `<region>a`. */
  subnetIds: string[];
  backupRetentionDays: number;
  restored?: RestoredCluster;
  tags: Tag[];
}

/** A crypto-worker makes it from here on. `backupId`: of the backup of another member that is made before. */
export interface HsmCreationBegun {
  type: 'HsmCreationBegun';
  v: 1;
  hsmId: string;
  zone: string;
  eniId: string;
  eniIp: string;
  backupId?: string;
}

/** It has all keys and users that there were. `csr`: PEM, of the first HSM of a cluster alone. */
export interface HsmCreated {
  type: 'HsmCreated';
  v: 1;
  hsmId: string;
  csr?: string;
}

/** It could not be made, and is of no use but to be deleted. */
export interface HsmCreationFailed {
  type: 'HsmCreationFailed';
  v: 1;
  hsmId: string;
  reason: string;
}

export interface ClusterInitialized {
  type: 'ClusterInitialized';
  v: 1;
  certificates: ClusterCertificates;
}

/** Its first user was made. */
export interface ClusterActivated {
  type: 'ClusterActivated';
  v: 1;
}

/** It is used no more from here on; a crypto-worker removes it once it is backed up. */
export interface HsmDeletionBegun {
  type: 'HsmDeletionBegun';
  v: 1;
  hsmId: string;
  backupId?: string;
}

export interface HsmDeleted {
  type: 'HsmDeleted';
  v: 1;
  hsmId: string;
}

/** With its last HSM gone before. Its backups stay. */
export interface ClusterDeleted {
  type: 'ClusterDeleted';
  v: 1;
}

export interface ClusterModified {
  type: 'ClusterModified';
  v: 1;
  backupRetentionDays: number;
}

export interface BackupCreated {
  type: 'BackupCreated';
  v: 1;
  backupId: string;
}

/** `deleteAt`: ISO 8601; until then it can be restored. */
export interface BackupDeletionScheduled {
  type: 'BackupDeletionScheduled';
  v: 1;
  backupId: string;
  deleteAt: string;
}

export interface BackupRestored {
  type: 'BackupRestored';
  v: 1;
  backupId: string;
}

export interface BackupDeleted {
  type: 'BackupDeleted';
  v: 1;
  backupId: string;
}

export interface BackupModified {
  type: 'BackupModified';
  v: 1;
  backupId: string;
  neverExpires: boolean;
}

/** `resourceId`: of the cluster, or of one of its backups. */
export interface ClusterTagged {
  type: 'ClusterTagged';
  v: 1;
  resourceId: string;
  tags: Tag[];
}

export interface ClusterUntagged {
  type: 'ClusterUntagged';
  v: 1;
  resourceId: string;
  tagKeys: string[];
}

export type ClusterEvent =
  | ClusterCreated
  | HsmCreationBegun
  | HsmCreated
  | HsmCreationFailed
  | ClusterInitialized
  | ClusterActivated
  | HsmDeletionBegun
  | HsmDeleted
  | ClusterDeleted
  | ClusterModified
  | BackupCreated
  | BackupDeletionScheduled
  | BackupRestored
  | BackupDeleted
  | BackupModified
  | ClusterTagged
  | ClusterUntagged;
