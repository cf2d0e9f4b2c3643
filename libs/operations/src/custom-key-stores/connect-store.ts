import type { ConnectCustomKeyStoreRequest, DisconnectCustomKeyStoreRequest } from '@aws-sdk/client-kms';
import { authorizeAccount } from '../authorization';
import { control } from '../operation';
import { Required } from '../wire/fields';
import { activeCluster } from './cluster-checks';
import { CUSTOM_KEY_STORE_ID } from './fields';
import { findStore } from './store-lookup';

class StoreIdOnly implements ConnectCustomKeyStoreRequest, DisconnectCustomKeyStoreRequest {
  @Required(CUSTOM_KEY_STORE_ID) CustomKeyStoreId!: string;
}

/** Answers once it is begun: crypto-workers connect, and report. */
export const connectCustomKeyStore = control<StoreIdOnly, object>({
  name: 'ConnectCustomKeyStore',
  request: StoreIdOnly,
  async run(request, call, ports) {
    authorizeAccount(call);
    const { ref, state } = findStore(request.CustomKeyStoreId, call, ports.projection);
    const { backing, connection } = state;
    if (backing.storeType === 'AWS_CLOUDHSM' && connection === 'DISCONNECTED') {
      // A cluster that is gone is what the connection fails of: CLUSTER_NOT_FOUND.
      if (ports.clusters.cluster(ref.region, ref.account, backing.clusterId)) {
        activeCluster(backing.clusterId, ref, ports.clusters, 1);
      }
    }
    await ports.runCommand(ref, { type: 'ConnectCustomKeyStore' }, call);
    return {};
  },
});

/** Returns once nobody uses the store any more; that its connections are closed is reported then. */
export const disconnectCustomKeyStore = control<StoreIdOnly, object>({
  name: 'DisconnectCustomKeyStore',
  request: StoreIdOnly,
  async run(request, call, ports) {
    authorizeAccount(call);
    const { ref } = findStore(request.CustomKeyStoreId, call, ports.projection);
    await ports.runCommand(ref, { type: 'DisconnectCustomKeyStore' }, call);
    return {};
  },
});
