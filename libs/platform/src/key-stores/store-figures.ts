import type { StoreType } from '#domain/custom-key-store/events';
import type { ConnectionState } from '#domain/custom-key-store/state';
import type { Projection } from '#views/projection';
import type { Metrics, Series } from '../metrics';

/** A custom key store as the log has it, and whether this process can use it, where the log says that it is connected. */
export interface StoreStatus {
  storeId: string;
  name: string;
  type: StoreType;
  state: ConnectionState;
  errorCode?: string;
  isUp?: boolean;
}

export function storeStatuses(projection: Projection, isUp: (storeId: string) => boolean): StoreStatus[] {
  return [...projection.all('customKeyStore')].flatMap(({ ref, state }): StoreStatus[] => {
    if (state.storeState !== 'Existing') return [];
    const { name, backing, connection, errorCode } = state;
    return [
      {
        ...{ storeId: ref.id, name, type: backing.storeType, state: connection },
        ...(errorCode !== undefined && { errorCode }),
        ...(connection === 'CONNECTED' && { isUp: isUp(ref.id) }),
      },
    ];
  });
}

/** What a crypto-worker has to tell of custom key stores. `isUp`: whether this process can use the store, as far as it knows. */
export function showKeyStores(metrics: Metrics, projection: Projection, isUp: (storeId: string) => boolean): void {
  metrics.gauges('keytrail_custom_key_stores', () => {
    const counts = new Map<string, number>();
    for (const { state } of projection.all('customKeyStore')) {
      if (state.storeState !== 'Existing') continue;
      const labels = JSON.stringify({ type: state.backing.storeType, state: state.connection });
      counts.set(labels, (counts.get(labels) ?? 0) + 1);
    }
    return [...counts].map(([labels, count]): Series => [JSON.parse(labels), count]);
  });
  metrics.gauges('keytrail_custom_key_store_up', () => {
    const series: Series[] = [];
    for (const { ref, state } of projection.all('customKeyStore')) {
      if (state.storeState !== 'Existing' || state.connection !== 'CONNECTED') continue;
      series.push([{ store: ref.id }, Number(isUp(ref.id))]);
    }
    return series;
  });
}
