import { storeStatuses } from '#platform/key-stores/store-figures';
import { hsmLine, storeLine } from '../apps/keytrail/src/cli/services';
import { connectedStore, disconnect, proxyRequest } from './support/memory-key-stores';
import { MemoryOperations } from './support/memory-operations';

describe('status shows', () => {
  test('a custom key store: its state, and whether this process can use it while it is connected', async () => {
    const operations = new MemoryOperations();
    const id = await connectedStore(operations, proxyRequest('vault "2"'));
    const line = (isUp: boolean): string[] => storeStatuses(operations.projection, () => isUp).map(storeLine);
    expect(line(true)).toEqual([`${id} "vault \\"2\\"", EXTERNAL_KEY_STORE: CONNECTED; in use`]);
    expect(line(false)).toEqual([`${id} "vault \\"2\\"", EXTERNAL_KEY_STORE: CONNECTED; cannot be used now`]);
    await disconnect(operations, id);
    expect(line(false)).toEqual([`${id} "vault \\"2\\"", EXTERNAL_KEY_STORE: DISCONNECTED`]);
    await operations.call('DeleteCustomKeyStore', { CustomKeyStoreId: id });
    expect(line(false)).toEqual([]);
  });

  test('why a custom key store could not be connected', () => {
    const store = { storeId: 'cks-1', name: 'a', type: 'AWS_CLOUDHSM' } as const;
    expect(storeLine({ ...store, state: 'FAILED', errorCode: 'INVALID_CREDENTIALS' })).toBe(
      'cks-1 "a", AWS_CLOUDHSM: FAILED (INVALID_CREDENTIALS)',
    );
  });

  test('an HSM: its state, and what its connection finds', () => {
    const hsm = { clusterId: 'cluster-1', hsmId: 'hsm-1', zone: 'us-east-1a', state: 'ACTIVE' };
    expect(hsmLine(hsm)).toBe('hsm-1 of cluster-1 in us-east-1a: ACTIVE');
    expect(hsmLine({ ...hsm, connection: { state: 'in', sessions: 4, syncLagMs: 0, pid: 17 } })).toBe(
      'hsm-1 of cluster-1 in us-east-1a: ACTIVE; in use, 4 sessions, in sync, process 17',
    );
    expect(hsmLine({ ...hsm, connection: { state: 'out', sessions: 0, syncLagMs: 1_200, why: 'it ended' } })).toBe(
      'hsm-1 of cluster-1 in us-east-1a: ACTIVE; out: it ended, behind for 2 s',
    );
  });
});
