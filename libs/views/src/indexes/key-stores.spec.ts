import type { CustomKeyStoreCommand } from '#domain/custom-key-store/decide';
import type { KeyCommand } from '#domain/key/commands';
import { eventSubject } from '#domain/subjects';
import { FoldedLog } from '../../../../test/support/fold-log';
import { DueTimes } from '../due-times';
import { isUnavailable } from '../key-store';

const PLACE = { region: 'us-east-1', account: '000000000000' };
const STORE = { ...PLACE, aggregate: 'customKeyStore', id: 'cks-0123456789abcdef0' } as const;
const KEY = { ...PLACE, aggregate: 'key', id: '1234abcd-12ab-34cd-56ef-1234567890ab' } as const;
const SUBJECT = eventSubject(KEY);
const NOW = '2026-01-01T00:00:00.000Z';
const LATER = '2026-01-08T00:00:00.000Z';

/** A store in a cluster with a key, and the timers kept up commit by commit, as a scheduler does. */
function withKey() {
  const due = new DueTimes(new Set(['Deletion', 'Cleanup']));
  const log = new FoldedLog(NOW);
  const { projection } = log;
  const store = (command: CustomKeyStoreCommand) => {
    log.run(STORE, command);
    return due.note(projection, STORE);
  };
  const key = (command: KeyCommand) => {
    log.run(KEY, command);
    due.note(projection, KEY);
  };
  const backing = { storeType: 'AWS_CLOUDHSM', clusterId: 'cluster-abcdefghijk', trustAnchorCertificate: '' } as const;
  store({ type: 'CreateCustomKeyStore', name: 'a', backing, secretId: 's' });
  key({
    ...{ type: 'CreateKey', description: '', keyUsage: 'ENCRYPT_DECRYPT', keySpec: 'SYMMETRIC_DEFAULT', tags: [] },
    ...{ origin: 'AWS_CLOUDHSM', multiRegion: false, policy: '{}', customKeyStoreId: STORE.id },
  });
  const connect = () => {
    const state = projection.folded(STORE)!.state as { attempt: number };
    store({ type: 'ConnectCustomKeyStore' });
    return store({ type: 'RecordConnected', attempt: state.attempt + 1 });
  };
  const disconnect = () => {
    const state = projection.folded(STORE)!.state as { attempt: number };
    store({ type: 'DisconnectCustomKeyStore' });
    return store({ type: 'RecordDisconnected', attempt: state.attempt });
  };
  /** As if its waiting period were over. */
  const deleteKey = () => {
    key({ type: 'ScheduleKeyDeletion', pendingWindowInDays: 7 });
    log.now = LATER;
    key({ type: 'FireDeletion', deadline: LATER });
  };
  return { ...{ due, log, projection, store, key, connect, disconnect, deleteKey } };
}

const inStore = ({ projection }: ReturnType<typeof withKey>): string[] =>
  Array.from(projection.keysInStore(STORE), ({ ref }) => ref.id);

test('a store has its keys until their material is destroyed', () => {
  const subject = withKey();
  expect(inStore(subject)).toEqual([KEY.id]);
  subject.connect();
  subject.deleteKey();
  expect(inStore(subject)).toEqual([KEY.id]);
  subject.key({ type: 'RecordMaterialDestroyed' });
  expect(inStore(subject)).toEqual([]);
});

test('a key is unavailable while its store is not connected, and once there is none', () => {
  const subject = withKey();
  const { projection } = subject;
  const unavailable = () => isUnavailable(projection, KEY, { customKeyStoreId: STORE.id });
  expect(unavailable()).toBe(true);
  subject.connect();
  expect(unavailable()).toBe(false);
  subject.store({ type: 'DisconnectCustomKeyStore' });
  expect(unavailable()).toBe(true);
  expect(isUnavailable(projection, KEY, {})).toBe(false);
});

test('the clean-up of a deleted key is due while its store is connected, and once the store is deleted', () => {
  const { due, connect, disconnect, deleteKey, store } = withKey();
  expect(connect()).toEqual([]);
  deleteKey();
  const cleanup = expect.objectContaining({ kind: 'Cleanup', deadline: LATER });
  expect(due.of(SUBJECT)).toEqual(cleanup);
  expect(disconnect()).toEqual([SUBJECT]);
  expect(due.of(SUBJECT)).toBeUndefined();
  expect(connect()).toEqual([SUBJECT]);
  expect(due.of(SUBJECT)).toEqual(cleanup);
  disconnect();
  store({ type: 'DeleteCustomKeyStore' });
  expect(due.of(SUBJECT)).toEqual(cleanup);
});

test('stores are listed in the order of their ids, until they are deleted', () => {
  const { projection, store } = withKey();
  const ids = () =>
    Array.from(projection.customKeyStoresAfter('us-east-1', '000000000000', undefined), ({ ref }) => ref.id);
  expect(ids()).toEqual([STORE.id]);
  expect([...projection.customKeyStoresAfter('us-east-1', '000000000000', STORE.id)]).toEqual([]);
  expect([...projection.customKeyStoresAfter('eu-west-1', '000000000000', undefined)]).toEqual([]);
  store({ type: 'DeleteCustomKeyStore' });
  expect(ids()).toEqual([]);
});
