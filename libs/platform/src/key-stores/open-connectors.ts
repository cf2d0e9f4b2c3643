import { ConnectError } from '#hsm/key-store/store-connection';
import type { ClusterDirectory } from '#operations/custom-key-stores/key-store-ports';
import type { Settings } from '../settings';
import { externalStores } from './external-stores';
import type { StoreConnectors } from './store-connectors';

export const openConnectors = (settings: Pick<Settings, 'xks'>): StoreConnectors => ({
  cluster: async () => {
    throw new ConnectError('CLUSTER_NOT_FOUND', 'not there yet');
  },
  ...externalStores(settings),
});

export const openClusters = (): ClusterDirectory => ({ cluster: () => undefined });
