import { StoreError } from '#hsm/key-store/store-connection';
import type { ClusterDirectory, KeyStorePorts } from '#operations/custom-key-stores/key-store-ports';

const none = () => Promise.reject(new StoreError('unreachable', 'the test has no custom key stores'));

export const NO_CLUSTERS: ClusterDirectory = { cluster: () => undefined };

/** For tests that are not about custom key stores. */
export const NO_KEY_STORES: { keyStores: KeyStorePorts; clusters: ClusterDirectory } = {
  clusters: NO_CLUSTERS,
  keyStores: {
    cluster: none,
    external: none,
    storeSecret: none,
    eraseSecret: async () => {},
    probe: none,
    runCommand: none,
  },
};
