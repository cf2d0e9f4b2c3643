import { exists } from '#domain/cluster/state';
import type { Projection } from '#views/projection';

/** What a custom key store wants to know of a cluster. */
export interface KnownCluster {
  /** As DescribeClusters has it. */
  state: string;
  /** Availability zones that have an active HSM. */
  activeZones: readonly string[];
  /** PEM of the certificate that its owner signed it with. */
  trustAnchor: string | undefined;
}

/** The clusters of an account and region, as the view has them. */
export class ClusterDirectory {
  constructor(private readonly projection: Projection) {}

  cluster(region: string, account: string, id: string): KnownCluster | undefined {
    const state = this.projection.folded({ region, account, aggregate: 'cluster', id })?.state;
    if (!state || !exists(state)) return undefined;
    const active = state.hsms.filter((hsm) => hsm.state === 'ACTIVE');
    return {
      state: state.clusterState,
      activeZones: [...new Set(active.map(({ zone }) => zone))],
      trustAnchor: state.certificates?.trustAnchor,
    };
  }
}
