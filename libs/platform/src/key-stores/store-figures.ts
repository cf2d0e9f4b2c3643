import type { Projection } from '#views/projection';
import type { Metrics, Series } from '../metrics';

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
