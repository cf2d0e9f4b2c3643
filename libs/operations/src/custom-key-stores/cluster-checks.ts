import { KmsError } from '#domain/errors';
import type { ClusterDirectory, ClusterFacts } from './key-store-ports';
import { fingerprintOf } from './store-limits';

const notFound = (clusterId: string): KmsError =>
  new KmsError('CloudHsmClusterNotFoundException', `The cluster ${clusterId} was not found.`);

/** The cluster, active and with HSMs in so many zones. Throws what AWS has for each. */
export function activeCluster(
  clusterId: string,
  { region, account }: { region: string; account: string },
  clusters: ClusterDirectory,
  zones: 1 | 2,
): ClusterFacts {
  const cluster = clusters.cluster(region, account, clusterId);
  if (!cluster) throw notFound(clusterId);
  if (cluster.state !== 'ACTIVE' && cluster.state !== 'DEGRADED') {
    throw new KmsError('CloudHsmClusterNotActiveException', `The cluster ${clusterId} is ${cluster.state}.`);
  }
  if (new Set(cluster.activeZones).size < zones) {
    throw new KmsError(
      'CloudHsmClusterInvalidConfigurationException',
      zones === 1
        ? `The cluster ${clusterId} must have at least one active HSM.`
        : `The cluster ${clusterId} must have at least two active HSMs, each in a different Availability Zone.`,
    );
  }
  return cluster;
}

/** Throws IncorrectTrustAnchorException unless it is the certificate that the cluster was initialised with. */
export function assertTrustAnchor(clusterId: string, given: string, { trustAnchor }: ClusterFacts): void {
  if (trustAnchor !== undefined && fingerprintOf(given) === fingerprintOf(trustAnchor)) return;
  throw new KmsError(
    'IncorrectTrustAnchorException',
    `The trust anchor certificate is not the one that the cluster ${clusterId} was initialized with.`,
  );
}

/** Of a cluster that is to take the place of the store's own: throws CloudHsmClusterNotRelatedException. */
export function assertRelated(clusterId: string, before: string, { trustAnchor }: ClusterFacts): void {
  if (trustAnchor !== undefined && fingerprintOf(before) === fingerprintOf(trustAnchor)) return;
  throw new KmsError(
    'CloudHsmClusterNotRelatedException',
    `The cluster ${clusterId} does not share a backup history with the cluster of the custom key store.`,
  );
}
