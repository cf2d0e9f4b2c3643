import type { Clusters } from '../clusters/clusters';
import type { Settings } from '../settings';
import { externalStores, type TellHealth } from './external-stores';
import type { StoreConnectors } from './store-connectors';

/** Clusters of this machine's HSMs, and proxies wherever they are. */
export const openConnectors = (
  settings: Pick<Settings, 'xks'>,
  clusters: Pick<Clusters, 'connect'>,
  tellHealth: TellHealth,
): StoreConnectors => ({
  cluster: ({ ref: { region, account }, clusterId, password, copies }) =>
    clusters.connect({ region, account, aggregate: 'cluster', id: clusterId }, password, copies),
  ...externalStores(settings, tellHealth),
});
