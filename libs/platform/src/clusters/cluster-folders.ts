import { join } from 'node:path';
import type { ExistingCluster, Hsm } from '#domain/cluster/state';
import type { MemberPlace } from '#hsm/cluster/member';

export const clusterFolder = (folder: string, clusterId: string): string => join(folder, clusterId);

export const hsmFolder = (folder: string, clusterId: string, hsmId: string): string => join(folder, clusterId, hsmId);

export const backupFolder = (folder: string, backupId: string): string => join(folder, 'backups', backupId);

const placeOf = (folder: string, clusterId: string, { hsmId, zone }: Hsm): MemberPlace => ({
  ...{ hsmId, zone, folder: hsmFolder(folder, clusterId, hsmId) },
});

/** The HSMs that a connection to the cluster may use. */
export const membersOf = (folder: string, clusterId: string, { hsms }: ExistingCluster): MemberPlace[] =>
  hsms.filter(({ state }) => state === 'ACTIVE').map((hsm) => placeOf(folder, clusterId, hsm));
