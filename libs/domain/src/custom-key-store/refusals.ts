import { KmsError } from '../errors';
import type { ConnectionState } from './state';

export const CUSTOM_KEY_STORES_PER_REGION = 10;

export const storeNotFound = (storeId: string): KmsError =>
  new KmsError('CustomKeyStoreNotFoundException', `Custom key store ${storeId} does not exist.`);

/** `needed`: what the operation is valid for. */
export const wrongConnection = (storeId: string, connection: ConnectionState, needed: string): KmsError =>
  new KmsError(
    'CustomKeyStoreInvalidStateException',
    `The ConnectionState of custom key store ${storeId} is ${connection}: ${needed}.`,
  );

export const nameInUse = (name: string): KmsError =>
  new KmsError('CustomKeyStoreNameInUseException', `A custom key store with the name ${name} already exists.`);
