import { existingStore } from '#domain/custom-key-store/decide';
import { wrongConnection } from '#domain/custom-key-store/refusals';
import type { ExistingStore } from '#domain/custom-key-store/state';
import type { Projection } from '#views/projection';
import { checked } from '../checks';
import type { Call } from '../operation';
import type { StoreRef } from './key-store-ports';

export interface FoundStore {
  ref: StoreRef;
  state: ExistingStore;
}

/** The store of the caller's account and region. Throws CustomKeyStoreNotFoundException. */
export function findStore(storeId: string, { caller }: Call, projection: Projection): FoundStore {
  const { region, account } = caller;
  const ref = { region, account, aggregate: 'customKeyStore', id: storeId } as const;
  // What cannot be in a subject is no id of a store.
  const folded = /^cks-[0-9a-f]{17}$/.test(storeId) ? projection.folded(ref) : undefined;
  return { ref, state: existingStore(folded?.state, storeId) };
}

/** The same of one that can be used now: of a control operation also when it appends. */
export const connectedStore = (storeId: string, call: Call, projection: Projection): FoundStore =>
  checked(call, (now) => {
    const found = findStore(storeId, now, projection);
    const { connection } = found.state;
    if (connection !== 'CONNECTED') throw wrongConnection(storeId, connection, 'it must be CONNECTED');
    return found;
  });
