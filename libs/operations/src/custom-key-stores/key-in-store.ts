import { KmsError, RequestFault } from '#domain/errors';
import type { KeyOrigin } from '#domain/key/events';
import { isSymmetricEncryption, type KeySpec } from '#domain/key/key-kinds';
import { isLiving } from '#domain/key/state';
import type { Projection } from '#views/projection';
import type { Limit } from '../limits';
import type { Call, ControlPorts } from '../operation';
import { activeCluster } from './cluster-checks';
import type { StoreRef } from './key-store-ports';
import { connectedStore, findStore } from './store-lookup';

interface Placed {
  CustomKeyStoreId?: string;
  XksKeyId?: string;
  MultiRegion?: boolean;
}

/** Throws ValidationException where the members do not go together, and UnsupportedOperationException for what no store has. */
export function assertPlaced(request: Placed, origin: KeyOrigin, keySpec: KeySpec): void {
  const { CustomKeyStoreId, XksKeyId, MultiRegion } = request;
  const inStore = origin === 'AWS_CLOUDHSM' || origin === 'EXTERNAL_KEY_STORE';
  if (inStore && !isSymmetricEncryption(keySpec)) {
    throw new KmsError('UnsupportedOperationException', `KeySpec ${keySpec} is not supported in custom key stores.`);
  }
  if (inStore && MultiRegion) {
    throw new KmsError('UnsupportedOperationException', 'Custom key stores have no multi-Region keys.');
  }
  if (inStore && CustomKeyStoreId === undefined)
    throw new RequestFault(`CustomKeyStoreId is required for Origin ${origin}.`);
  if (!inStore && CustomKeyStoreId !== undefined) {
    throw new RequestFault(
      `CustomKeyStoreId is not valid for Origin ${origin}: AWS_CLOUDHSM or EXTERNAL_KEY_STORE is.`,
    );
  }
  if (origin === 'EXTERNAL_KEY_STORE' && XksKeyId === undefined) {
    throw new RequestFault('XksKeyId is required for Origin EXTERNAL_KEY_STORE.');
  }
  if (origin !== 'EXTERNAL_KEY_STORE' && XksKeyId !== undefined) {
    throw new RequestFault(`XksKeyId is not valid for Origin ${origin}.`);
  }
}

interface InStore {
  facts: { customKeyStoreId?: string; xksKeyId?: string };
  /** Makes the key, unless another key has its external key. */
  within<T>(keyId: string, make: () => Promise<T>): Promise<T>;
}

/** Where a new key is to be, in a store that has room for it; nowhere for most. Checked anew when it is appended. */
export function placeInStore({ CustomKeyStoreId, XksKeyId }: Placed, call: Call, ports: ControlPorts): InStore {
  if (CustomKeyStoreId === undefined) return { facts: {}, within: (_keyId, make) => make() };
  const { ref, state } = findStore(CustomKeyStoreId, call, ports.projection);
  const needed = XksKeyId === undefined ? 'AWS_CLOUDHSM' : 'EXTERNAL_KEY_STORE';
  if (state.backing.storeType !== needed) {
    throw new KmsError(
      'UnsupportedOperationException',
      `Origin ${needed} is not supported in ${CustomKeyStoreId}, whose CustomKeyStoreType is ${state.backing.storeType}.`,
    );
  }
  connectedStore(CustomKeyStoreId, call, ports.projection);
  if (state.backing.storeType === 'AWS_CLOUDHSM') {
    assertRoomFor(state.backing.clusterId, ref, ports);
    return { facts: { customKeyStoreId: CustomKeyStoreId }, within: (_keyId, make) => make() };
  }
  const limit = usesOf(ref, XksKeyId!, ports.projection);
  return {
    facts: { customKeyStoreId: CustomKeyStoreId, xksKeyId: XksKeyId! },
    within: (keyId, make) => ports.limits.within(limit, keyId, call, make),
  };
}

/** Two HSMs in different zones: a key must outlive the loss of one. */
function assertRoomFor(clusterId: string, ref: StoreRef, { clusters }: ControlPorts): void {
  if (clusters.cluster(ref.region, ref.account, clusterId)) activeCluster(clusterId, ref, clusters, 2);
}

/** Each external key is of one KMS key of the store. */
function usesOf(store: StoreRef, xksKeyId: string, projection: Projection): Limit {
  const users = () =>
    [...projection.keysInStore(store)].filter(({ state }) => isLiving(state) && state.xksKeyId === xksKeyId);
  return {
    of: `KMS keys of external key ${xksKeyId} in ${store.region} ${store.account} ${store.id}`,
    max: 1,
    count: () => users().length,
    has: (keyId) => users().some(({ ref }) => ref.id === keyId),
    refusal: () =>
      new KmsError(
        'XksKeyAlreadyInUseException',
        `The external key ${xksKeyId} is already associated with another KMS key of ${store.id}.`,
      ),
  };
}
