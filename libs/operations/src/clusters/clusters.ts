import { certificateProblem } from '#crypto/cluster-certificate';
import { invalid } from '#domain/cluster/cluster-refusals';
import { existing } from '#domain/cluster/decide';
import type { ClusterMode, RestoredCluster } from '#domain/cluster/events';
import { type Cluster, exists } from '#domain/cluster/state';
import type { Projection } from '#views/projection';
import { authorizeOwn } from '../authorization';
import type { Limit } from '../limits';
import { type Call, type ControlPorts, control } from '../operation';
import { listName, pageOfList } from '../pagination';
import { Optional, Required } from '../wire/fields';
import {
  authorizeOn,
  type ClusterRef,
  clusterRef,
  clustersOf,
  type FoundCluster,
  findBackup,
  findCluster,
} from './cluster-lookup';
import {
  BACKUP_ARN,
  CERTIFICATE,
  CLUSTER_ID,
  FILTERS,
  HSM_TYPE,
  MODE,
  NETWORK_TYPE,
  NEXT_TOKEN,
  RETENTION,
  SUBNET_IDS,
  TAG_LIST,
  type WireTag,
} from './fields';
import { type Filters, filterOf } from './filters';
import { newId } from './new-ids';
import { shownCluster } from './shown';
import { domainTags } from './tags';

/** AWS's quota, of an account and region. */
const CLUSTERS = 4;
const RETENTION_DAYS = { byDefault: 90, min: 7, max: 379 };
const CLUSTERS_PER_PAGE = 25;

interface Retention {
  Type?: 'DAYS';
  Value?: string;
}

function retentionOf(policy: Retention | undefined): number {
  if (policy?.Value === undefined) return RETENTION_DAYS.byDefault;
  const days = Number(policy.Value);
  const { min, max } = RETENTION_DAYS;
  if (days < min || days > max) {
    throw invalid(`BackupRetentionPolicy: expected ${min} to ${max} days, not ${policy.Value}.`);
  }
  return days;
}

const clusterLimit = (call: Call, projection: Projection): Limit => ({
  of: `clusters of ${call.caller.account} in ${call.caller.region}`,
  max: CLUSTERS,
  count: () => clustersOf(call.caller, projection).filter(({ state }) => exists(state)).length,
  has: (id) => clustersOf(call.caller, projection).some(({ ref, state }) => ref.id === id && exists(state)),
  refusal: () => invalid(`There are ${CLUSTERS} clusters, which is as many as there may be in an account and region.`),
});

class CreateCluster {
  @Optional(RETENTION) BackupRetentionPolicy?: Retention;
  @Required(HSM_TYPE) HsmType!: string;
  @Optional(BACKUP_ARN) SourceBackupId?: string;
  @Required(SUBNET_IDS) SubnetIds!: string[];
  @Optional(NETWORK_TYPE) NetworkType?: 'IPV4' | 'DUALSTACK';
  @Optional(TAG_LIST) TagList?: WireTag[];
  @Optional(MODE) Mode?: ClusterMode;
}

/** What of the cluster that the backup is of the new one has from the start. */
function restoredFrom(
  source: string | undefined,
  call: Call,
  { projection }: ControlPorts,
): RestoredCluster | undefined {
  if (source === undefined) return undefined;
  const backupId = source.split('/').at(-1)!;
  const { backup, ref, state } = findBackup(backupId, call, projection);
  if (backup.state !== 'READY')
    throw invalid(`The backup ${backupId} is ${backup.state}: only a READY one can be used.`);
  const of = state.clusterState === 'DELETED' ? state.was : existing(state, ref.id);
  if (!of.csr || !of.certificates) throw invalid(`The backup ${backupId} is of a cluster that was never initialized.`);
  return { backupId, sourceCluster: ref.id, csr: of.csr, certificates: of.certificates };
}

export const createCluster = control<CreateCluster, object>({
  service: 'cloudhsm',
  name: 'CreateCluster',
  request: CreateCluster,
  async run(request, call, ports) {
    authorizeOwn(call, 'cloudhsm:CreateCluster', '*');
    const { HsmType, SubnetIds, Mode, NetworkType, TagList, BackupRetentionPolicy } = request;
    if (NetworkType === 'DUALSTACK') throw invalid('NetworkType: expected IPV4, which is all there is here.');
    if (new Set(SubnetIds).size < SubnetIds.length) throw invalid('SubnetIds: a subnet is given twice.');
    const restored = restoredFrom(request.SourceBackupId, call, ports);
    const ref: ClusterRef = clusterRef(newId('cluster', ports), call);
    const command = {
      type: 'CreateCluster',
      hsmType: HsmType,
      mode: Mode ?? 'FIPS',
      subnetIds: SubnetIds,
      backupRetentionDays: retentionOf(BackupRetentionPolicy),
      ...(restored && { restored }),
      tags: domainTags(TagList),
    } as const;
    const limit = clusterLimit(call, ports.projection);
    await ports.limits.within(limit, ref.id, call, () => ports.runCommand(ref, command, call));
    return { Cluster: shownCluster(findCluster(ref.id, call, ports.projection), ref) };
  },
});

class DescribeClusters {
  @Optional(FILTERS) Filters?: Filters;
  @Optional(NEXT_TOKEN) NextToken?: string;
  @Optional({ kind: 'integer', min: 1, max: CLUSTERS_PER_PAGE }) MaxResults?: number;
}

type Existed = FoundCluster & { state: Exclude<Cluster, { clusterState: 'None' }> };

/** A deleted one is told of only to who asks for it. */
export const describeClusters = control<DescribeClusters, object>({
  service: 'cloudhsm',
  name: 'DescribeClusters',
  request: DescribeClusters,
  run({ Filters, NextToken, MaxResults = CLUSTERS_PER_PAGE }, call, { projection }) {
    authorizeOwn(call, 'cloudhsm:DescribeClusters', '*');
    const filter = filterOf<Existed>(Filters, {
      clusterIds: ({ ref }) => ref.id,
      vpcIds: ({ ref, state }) => String(shownCluster(state, ref)['VpcId']),
      states: ({ ref, state }) => String(shownCluster(state, ref)['State']),
    });
    const asksForDeleted = Object.keys(Filters ?? {}).some((name) => name === 'states' || name === 'clusterIds');
    const all = clustersOf(call.caller, projection).filter(
      (found): found is Existed =>
        found.state.clusterState !== 'None' &&
        (exists(found.state) || asksForDeleted) &&
        filter({ ...found, state: found.state }),
    );
    const list = listName(call, [JSON.stringify(Filters ?? {})]);
    const page = pageOfList(
      all.map(({ ref, state }) => shownCluster(state, ref)),
      { list, limit: MaxResults, marker: NextToken },
    );
    return { Clusters: page.items, ...(page.nextMarker === undefined ? {} : { NextToken: page.nextMarker }) };
  },
});

class InitializeCluster {
  @Required(CLUSTER_ID) ClusterId!: string;
  @Required(CERTIFICATE) SignedCert!: string;
  @Required(CERTIFICATE) TrustAnchor!: string;
}

export const initializeCluster = control<InitializeCluster, object>({
  service: 'cloudhsm',
  name: 'InitializeCluster',
  request: InitializeCluster,
  async run({ ClusterId, SignedCert, TrustAnchor }, call, ports) {
    authorizeOn(call, 'InitializeCluster', ClusterId);
    const { csr } = findCluster(ClusterId, call, ports.projection);
    // Without one it is refused for its state.
    const problem = csr === undefined ? undefined : certificateProblem(csr, SignedCert, TrustAnchor);
    if (problem !== undefined) throw invalid(problem);
    const certificates = { signed: SignedCert, trustAnchor: TrustAnchor };
    const ref = clusterRef(ClusterId, call);
    await ports.runCommand(ref, { type: 'InitializeCluster', certificates }, call);
    return { State: findCluster(ClusterId, call, ports.projection).clusterState };
  },
});

class ModifyCluster {
  @Optional(HSM_TYPE) HsmType?: string;
  @Optional(RETENTION) BackupRetentionPolicy?: Retention;
  @Required(CLUSTER_ID) ClusterId!: string;
}

export const modifyCluster = control<ModifyCluster, object>({
  service: 'cloudhsm',
  name: 'ModifyCluster',
  request: ModifyCluster,
  async run({ ClusterId, HsmType, BackupRetentionPolicy }, call, ports) {
    authorizeOn(call, 'ModifyCluster', ClusterId);
    const found = findCluster(ClusterId, call, ports.projection);
    if (HsmType !== undefined && HsmType !== found.hsmType) {
      throw invalid(`HsmType: the HSMs of ${ClusterId} stay ${found.hsmType}.`);
    }
    const backupRetentionDays =
      BackupRetentionPolicy === undefined ? found.backupRetentionDays : retentionOf(BackupRetentionPolicy);
    const ref = clusterRef(ClusterId, call);
    await ports.runCommand(ref, { type: 'ModifyCluster', backupRetentionDays }, call);
    return { Cluster: shownCluster(findCluster(ClusterId, call, ports.projection), ref) };
  },
});

class DeleteCluster {
  @Required(CLUSTER_ID) ClusterId!: string;
}

export const deleteCluster = control<DeleteCluster, object>({
  service: 'cloudhsm',
  name: 'DeleteCluster',
  request: DeleteCluster,
  async run({ ClusterId }, call, ports) {
    authorizeOn(call, 'DeleteCluster', ClusterId);
    const was = findCluster(ClusterId, call, ports.projection);
    const ref = clusterRef(ClusterId, call);
    await ports.runCommand(ref, { type: 'DeleteCluster' }, call);
    return { Cluster: { ...shownCluster(was, ref), State: 'DELETE_IN_PROGRESS' } };
  },
});
