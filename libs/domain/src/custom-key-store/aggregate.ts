import type { Aggregate } from '../aggregate';
import { type CustomKeyStoreCommand, decideStore } from './decide';
import type { CustomKeyStoreEvent } from './events';
import { type CustomKeyStore, evolveStore, initialStore, isStoreEvent } from './state';

export const customKeyStoreAggregate: Aggregate<CustomKeyStore, CustomKeyStoreEvent, CustomKeyStoreCommand> = {
  initial: initialStore,
  isEvent: isStoreEvent,
  evolve: evolveStore,
  decide: decideStore,
  revokes: {
    CustomKeyStoreCreated: false,
    // A credential that was replaced may have been given away.
    CustomKeyStoreUpdated: true,
    CustomKeyStoreConnectionBegun: false,
    CustomKeyStoreConnected: false,
    CustomKeyStoreConnectionFailed: false,
    CustomKeyStoreDisconnectionBegun: true,
    CustomKeyStoreDisconnected: false,
    CustomKeyStoreDeleted: false,
  },
};
