import type { ExistingStore } from '#domain/custom-key-store/state';
import type { DeletedKey, LivingKey } from '#domain/key/state';
import type { AggregateRef } from '#domain/subjects';
import type { FoldedStore } from './indexes/key-stores';
import type { Projection } from './projection';

type InStore = Pick<LivingKey | DeletedKey, 'customKeyStoreId'>;

/** The custom key store that the key is in; undefined for most keys, and once the store has been deleted. */
export function storeOf(projection: Projection, ref: AggregateRef, key: InStore): FoldedStore | undefined {
  if (key.customKeyStoreId === undefined) return undefined;
  const folded = projection.customKeyStore(ref.region, ref.account, key.customKeyStoreId);
  return folded?.state.storeState === 'Existing' ? { ...folded, state: folded.state } : undefined;
}

/** Whether the key is in a store that is not connected. */
export function isUnavailable(projection: Projection, ref: AggregateRef, key: InStore): boolean {
  if (key.customKeyStoreId === undefined) return false;
  const store = projection.customKeyStore(ref.region, ref.account, key.customKeyStoreId)?.state;
  return store?.storeState !== 'Existing' || store.connection !== 'CONNECTED';
}

/**
 * Whether the key's material can be destroyed now: what is in a cluster can while KMS is connected to it, and once the cluster is
 * no concern of KMS's any more.
 */
export function canDestroy(projection: Projection, ref: AggregateRef, key: DeletedKey): boolean {
  const store: ExistingStore | undefined = storeOf(projection, ref, key)?.state;
  return store?.backing.storeType !== 'AWS_CLOUDHSM' || store.connection === 'CONNECTED';
}
