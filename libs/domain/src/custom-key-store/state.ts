import { EvolveError, type Evolvers, evolveBy, isEventOf } from '../aggregate';
import type { Backing, ConnectionErrorCode, CustomKeyStoreEvent } from './events';

export type ConnectionState = 'CONNECTED' | 'CONNECTING' | 'FAILED' | 'DISCONNECTED' | 'DISCONNECTING';

export interface NoStore {
  storeState: 'None';
}
export interface ExistingStore {
  storeState: 'Existing';
  name: string;
  backing: Backing;
  secretId: string;
  createdAt: string;
  connection: ConnectionState;
  /** Of a FAILED connection. */
  errorCode?: ConnectionErrorCode;
  /** How often it was connected; reports name the attempt that they are about. */
  attempt: number;
}
/** What is left of a store: enough to erase its secret. */
export interface DeletedStore {
  storeState: 'Deleted';
  secretId: string;
}
export type CustomKeyStore = NoStore | ExistingStore | DeletedStore;

export const initialStore: CustomKeyStore = { storeState: 'None' };

function existing(store: CustomKeyStore, event: CustomKeyStoreEvent): ExistingStore {
  if (store.storeState !== 'Existing') throw new EvolveError(`${event.type} on a store that is ${store.storeState}`);
  return store;
}

/** The store, whose connection is in one of these states. */
function within(store: CustomKeyStore, event: CustomKeyStoreEvent, ...states: ConnectionState[]): ExistingStore {
  const current = existing(store, event);
  if (!states.includes(current.connection)) throw new EvolveError(`${event.type} on a ${current.connection} store`);
  return current;
}

function moved({ errorCode: _code, ...store }: ExistingStore, connection: ConnectionState): ExistingStore {
  return { ...store, connection };
}

/** THE table of custom key store events. */
const evolvers: Evolvers<CustomKeyStore, CustomKeyStoreEvent> = {
  CustomKeyStoreCreated: (store, { name, backing, secretId }, time) => {
    if (store.storeState !== 'None') throw new EvolveError('CustomKeyStoreCreated on a store that there is, or was');
    return {
      storeState: 'Existing',
      ...{ name, backing, secretId, createdAt: time },
      ...{ connection: 'DISCONNECTED', attempt: 0 },
    };
  },
  CustomKeyStoreUpdated: (store, event) => {
    const { name, backing, secretId, ...rest } = existing(store, event);
    return {
      ...rest,
      name: event.name ?? name,
      backing: event.backing ?? backing,
      secretId: event.secretId ?? secretId,
    };
  },
  CustomKeyStoreConnectionBegun: (store, event) => ({
    ...moved(within(store, event, 'DISCONNECTED'), 'CONNECTING'),
    attempt: event.attempt,
  }),
  CustomKeyStoreConnected: (store, event) => moved(within(store, event, 'CONNECTING'), 'CONNECTED'),
  CustomKeyStoreConnectionFailed: (store, event) => ({
    ...moved(within(store, event, 'CONNECTING'), 'FAILED'),
    errorCode: event.code,
  }),
  CustomKeyStoreDisconnectionBegun: (store, event) =>
    moved(within(store, event, 'CONNECTED', 'CONNECTING', 'FAILED'), 'DISCONNECTING'),
  CustomKeyStoreDisconnected: (store, event) => moved(within(store, event, 'DISCONNECTING'), 'DISCONNECTED'),
  CustomKeyStoreDeleted: (store, event) => {
    const { secretId } = within(store, event, 'DISCONNECTED');
    return { storeState: 'Deleted', secretId };
  },
};

export const isStoreEvent = (type: string): type is CustomKeyStoreEvent['type'] => isEventOf(evolvers, type);

/** `time` is that of the commit the event is in. */
export const evolveStore = (store: CustomKeyStore, event: CustomKeyStoreEvent, time: string): CustomKeyStore =>
  evolveBy('customKeyStore', evolvers, store, event, time);
