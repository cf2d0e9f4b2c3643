import { ConnectError } from '#hsm/key-store/store-connection';
import type { ClusterDirectory } from '#operations/custom-key-stores/key-store-ports';
import type { StoreConnectors } from './store-connectors';

export const openConnectors = (): StoreConnectors => ({
  cluster: async () => {
    throw new ConnectError('CLUSTER_NOT_FOUND', 'not there yet');
  },
  external: async () => {
    throw new ConnectError('XKS_PROXY_NOT_REACHABLE', 'not there yet');
  },
  probe: async () => {},
});

export const openClusters = (): ClusterDirectory => ({ cluster: () => undefined });
