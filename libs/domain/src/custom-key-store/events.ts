/** What can happen to a custom key store. Its secret is never here: only where it lies, sealed. */

/** An AWS CloudHSM cluster. */
export interface ClusterBacking {
  storeType: 'AWS_CLOUDHSM';
  clusterId: string;
  /** PEM, as it was given. */
  trustAnchorCertificate: string;
}

/** An external key manager behind an XKS proxy. */
export interface ExternalBacking {
  storeType: 'EXTERNAL_KEY_STORE';
  /** `https://proxy.example.com` */
  uriEndpoint: string;
  /** `/prefix/kms/xks/v1` */
  uriPath: string;
  /** Names the secret access key that requests to the proxy are signed with. */
  accessKeyId: string;
}

export type Backing = ClusterBacking | ExternalBacking;
export type StoreType = Backing['storeType'];

/** Why a store could not be connected. The list, and AWS's words for each, are those of ConnectionErrorCodeType. */
export const CONNECTION_ERROR_CODES = [
  'INVALID_CREDENTIALS',
  'CLUSTER_NOT_FOUND',
  'NETWORK_ERRORS',
  'INTERNAL_ERROR',
  'INSUFFICIENT_CLOUDHSM_HSMS',
  'USER_LOCKED_OUT',
  'USER_NOT_FOUND',
  'USER_LOGGED_IN',
  'SUBNET_NOT_FOUND',
  'INSUFFICIENT_FREE_ADDRESSES_IN_SUBNET',
  'XKS_PROXY_ACCESS_DENIED',
  'XKS_PROXY_NOT_REACHABLE',
  'XKS_VPC_ENDPOINT_SERVICE_NOT_FOUND',
  'XKS_PROXY_INVALID_RESPONSE',
  'XKS_PROXY_INVALID_CONFIGURATION',
  'XKS_VPC_ENDPOINT_SERVICE_INVALID_CONFIGURATION',
  'XKS_PROXY_TIMED_OUT',
  'XKS_PROXY_INVALID_TLS_CONFIGURATION',
] as const;
export type ConnectionErrorCode = (typeof CONNECTION_ERROR_CODES)[number];

export const isConnectionErrorCode = (code: unknown): code is ConnectionErrorCode =>
  (CONNECTION_ERROR_CODES as readonly unknown[]).includes(code);

export interface CustomKeyStoreCreated {
  type: 'CustomKeyStoreCreated';
  v: 1;
  name: string;
  backing: Backing;
  /** Where the password of `kmsuser`, or the secret access key, lies; stored before this event is appended. */
  secretId: string;
}

/** What changed alone. */
export interface CustomKeyStoreUpdated {
  type: 'CustomKeyStoreUpdated';
  v: 1;
  name?: string;
  backing?: Backing;
  secretId?: string;
}

/** Every crypto-worker tries from here on. `attempt`: from 1, one more each time. */
export interface CustomKeyStoreConnectionBegun {
  type: 'CustomKeyStoreConnectionBegun';
  v: 1;
  attempt: number;
}

export interface CustomKeyStoreConnected {
  type: 'CustomKeyStoreConnected';
  v: 1;
}

export interface CustomKeyStoreConnectionFailed {
  type: 'CustomKeyStoreConnectionFailed';
  v: 1;
  code: ConnectionErrorCode;
}

/** Nobody uses the store from here on. */
export interface CustomKeyStoreDisconnectionBegun {
  type: 'CustomKeyStoreDisconnectionBegun';
  v: 1;
}

/** Nobody can use it any more on the state before. */
export interface CustomKeyStoreDisconnected {
  type: 'CustomKeyStoreDisconnected';
  v: 1;
}

export interface CustomKeyStoreDeleted {
  type: 'CustomKeyStoreDeleted';
  v: 1;
}

export type CustomKeyStoreEvent =
  | CustomKeyStoreCreated
  | CustomKeyStoreUpdated
  | CustomKeyStoreConnectionBegun
  | CustomKeyStoreConnected
  | CustomKeyStoreConnectionFailed
  | CustomKeyStoreDisconnectionBegun
  | CustomKeyStoreDisconnected
  | CustomKeyStoreDeleted;
