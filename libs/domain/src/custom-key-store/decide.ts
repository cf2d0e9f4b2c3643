import type { DecidePlace } from '../aggregate';
import { KmsError } from '../errors';
import type { Backing, ClusterBacking, ConnectionErrorCode, CustomKeyStoreEvent, ExternalBacking } from './events';
import { storeNotFound, wrongConnection } from './refusals';
import type { CustomKeyStore, ExistingStore } from './state';

/** What is to change; of the backing only what its store type has. */
export interface StoreChanges {
  name?: string | undefined;
  clusterId?: string | undefined;
  uriEndpoint?: string | undefined;
  uriPath?: string | undefined;
  accessKeyId?: string | undefined;
  /** Of a secret that has been stored. */
  secretId?: string | undefined;
}

export type CustomKeyStoreCommand =
  | { type: 'CreateCustomKeyStore'; name: string; backing: Backing; secretId: string }
  | ({ type: 'UpdateCustomKeyStore' } & StoreChanges)
  | { type: 'ConnectCustomKeyStore' }
  | { type: 'DisconnectCustomKeyStore' }
  | { type: 'DeleteCustomKeyStore' }
  | StoreReport;

/** What a crypto-worker tells of its attempt. What is said of another attempt than the current one changes nothing. */
export type StoreReport =
  | { type: 'RecordConnected'; attempt: number }
  | { type: 'RecordConnectionFailed'; attempt: number; code: ConnectionErrorCode }
  | { type: 'RecordDisconnected'; attempt: number };

const REPORTS: ReadonlySet<string> = new Set<StoreReport['type']>([
  'RecordConnected',
  'RecordConnectionFailed',
  'RecordDisconnected',
]);

export const isReport = ({ type }: { type: string }): boolean => REPORTS.has(type);

/** The events that `command` causes; throws KmsError where AWS would refuse. Pure. */
export function decideStore(
  command: CustomKeyStoreCommand,
  store: CustomKeyStore,
  { id }: Pick<DecidePlace, 'id'>,
): CustomKeyStoreEvent[] {
  switch (command.type) {
    case 'CreateCustomKeyStore': {
      if (store.storeState !== 'None') throw new KmsError('AlreadyExistsException', `${id} already exists`);
      const { name, backing, secretId } = command;
      return [{ type: 'CustomKeyStoreCreated', v: 1, name, backing, secretId }];
    }
    case 'UpdateCustomKeyStore':
      return updated(command, existingStore(store, id), id);
    case 'ConnectCustomKeyStore': {
      const { connection, attempt } = existingStore(store, id);
      if (connection === 'FAILED' || connection === 'DISCONNECTING') {
        throw wrongConnection(id, connection, 'disconnect it first');
      }
      if (connection !== 'DISCONNECTED') return [];
      return [{ type: 'CustomKeyStoreConnectionBegun', v: 1, attempt: attempt + 1 }];
    }
    case 'DisconnectCustomKeyStore': {
      const { connection } = existingStore(store, id);
      if (connection === 'DISCONNECTED' || connection === 'DISCONNECTING') {
        throw wrongConnection(id, connection, 'there is nothing to disconnect');
      }
      return [{ type: 'CustomKeyStoreDisconnectionBegun', v: 1 }];
    }
    case 'DeleteCustomKeyStore': {
      const { connection } = existingStore(store, id);
      if (connection !== 'DISCONNECTED') throw wrongConnection(id, connection, 'disconnect it first');
      return [{ type: 'CustomKeyStoreDeleted', v: 1 }];
    }
    case 'RecordConnected':
      return isAt('CONNECTING', command, store) ? [{ type: 'CustomKeyStoreConnected', v: 1 }] : [];
    case 'RecordConnectionFailed':
      return isAt('CONNECTING', command, store)
        ? [{ type: 'CustomKeyStoreConnectionFailed', v: 1, code: command.code }]
        : [];
    case 'RecordDisconnected':
      return isAt('DISCONNECTING', command, store) ? [{ type: 'CustomKeyStoreDisconnected', v: 1 }] : [];
  }
}

export function existingStore(store: CustomKeyStore | undefined, id: string): ExistingStore {
  if (store?.storeState !== 'Existing') throw storeNotFound(id);
  return store;
}

const isAt = (connection: ExistingStore['connection'], { attempt }: StoreReport, store: CustomKeyStore): boolean =>
  store.storeState === 'Existing' && store.connection === connection && store.attempt === attempt;

/** What a connected store of each type may have changed as well. */
const WHILE_CONNECTED: Readonly<Record<Backing['storeType'], readonly (keyof StoreChanges)[]>> = {
  AWS_CLOUDHSM: ['name'],
  EXTERNAL_KEY_STORE: ['name', 'uriPath', 'accessKeyId', 'secretId'],
};

function updated(
  { type: _type, ...changes }: { type: string } & StoreChanges,
  store: ExistingStore,
  id: string,
): CustomKeyStoreEvent[] {
  const { connection, backing } = store;
  assertChangeable(changes, store, id);
  const whileConnected = WHILE_CONNECTED[backing.storeType];
  const needsMore = names(changes).some((name) => !whileConnected.includes(name));
  if (connection !== 'DISCONNECTED' && (connection !== 'CONNECTED' || needsMore)) {
    throw wrongConnection(id, connection, 'disconnect it before it is updated');
  }
  const { name, secretId } = changes;
  const becomes = changedBacking(backing, changes);
  const event: CustomKeyStoreEvent = {
    type: 'CustomKeyStoreUpdated',
    v: 1,
    ...(name === undefined || name === store.name ? {} : { name }),
    ...(becomes === backing ? {} : { backing: becomes }),
    ...(secretId === undefined || secretId === store.secretId ? {} : { secretId }),
  };
  return Object.keys(event).length > 2 ? [event] : [];
}

const names = (changes: StoreChanges): (keyof StoreChanges)[] =>
  (Object.keys(changes) as (keyof StoreChanges)[]).filter((name) => changes[name] !== undefined);

/** What stores of each type have. */
const MEMBERS: Readonly<Record<Backing['storeType'], readonly (keyof StoreChanges)[]>> = {
  AWS_CLOUDHSM: ['name', 'clusterId', 'secretId'],
  EXTERNAL_KEY_STORE: ['name', 'uriEndpoint', 'uriPath', 'accessKeyId', 'secretId'],
};

function assertChangeable(changes: StoreChanges, { backing: { storeType } }: ExistingStore, id: string): void {
  const foreign = names(changes).find((name) => !MEMBERS[storeType].includes(name));
  if (foreign === undefined) return;
  throw new KmsError(
    'ValidationException',
    `${foreign} is not valid for ${id}, whose CustomKeyStoreType is ${storeType}.`,
  );
}

function changedBacking(backing: Backing, changes: StoreChanges): Backing {
  if (backing.storeType === 'AWS_CLOUDHSM') {
    const { clusterId = backing.clusterId } = changes;
    return clusterId === backing.clusterId ? backing : ({ ...backing, clusterId } satisfies ClusterBacking);
  }
  const { uriEndpoint = backing.uriEndpoint, uriPath = backing.uriPath, accessKeyId = backing.accessKeyId } = changes;
  const same =
    uriEndpoint === backing.uriEndpoint && uriPath === backing.uriPath && accessKeyId === backing.accessKeyId;
  return same ? backing : ({ ...backing, uriEndpoint, uriPath, accessKeyId } satisfies ExternalBacking);
}
