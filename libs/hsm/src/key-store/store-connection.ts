/** Who asked KMS for what: an external key manager is told, and may log it or decide by it. A cluster is not. */
export interface StoreCall {
  /** Of the principal, or `AWS Internal`. */
  principalArn: string;
  /** Of the KMS key. */
  keyArn: string;
  /** Of KMS, such as GenerateDataKey. */
  operation: string;
  /** Of KMS. */
  requestId: string;
}

/**
 * A custom key store as a crypto-worker uses it once it is connected: the keys stay inside, and only bytes go in and out.
 * All calls are asynchronous, bounded in time, and may be made at once; they reject with StoreError.
 */
export interface StoreConnection {
  /** Encrypts inside the store, binding `aad`; gives store-defined bytes that `decrypt` takes. */
  encrypt(key: string, plaintext: Uint8Array, aad: Uint8Array, call?: StoreCall): Promise<Buffer>;
  /** Rejects with `invalid-ciphertext` if anything was altered, `aad` differs, or another key encrypted it. */
  decrypt(key: string, sealed: Uint8Array, aad: Uint8Array, call?: StoreCall): Promise<Buffer>;
  /** Releases sessions and forgets credentials. */
  close(): Promise<void>;
}

/** An AWS CloudHSM cluster, logged in as `kmsuser`. A key is named by its material id (64 hex digits). */
export interface ClusterConnection extends StoreConnection {
  /**
   * Makes an AES-256 key that no HSM gives out, in every member that can be reached (at least two, else `insufficient-hsms`).
   * Gives it back as only this cluster's HSMs can open it: the copy that members which come back, or join, are caught up from.
   * Repeated with the same id, it makes no other key.
   */
  makeKey(key: string): Promise<Buffer>;
  /** In every member, and for those that cannot be reached once they come back. Harmless to repeat. */
  destroyKey(key: string): Promise<void>;
  /** `length` bytes (1..1024) of an HSM's generator. */
  random(length: number): Promise<Buffer>;
}

/** An external key manager behind an XKS proxy. A key is named by its XksKeyId. */
export interface XksConnection extends StoreConnection {
  /** What GetKeyMetadata answers. Rejects with StoreError where there is no such key. */
  keyMetadata(
    key: string,
    call?: StoreCall,
  ): Promise<{ keySpec: string; keyUsage: readonly string[]; keyStatus: string }>;
}

/** What went wrong in a store; `libs/operations` says it in AWS's words, by operation. */
export type StoreFailure =
  | 'unreachable'
  | 'timeout'
  | 'invalid-response'
  | 'invalid-configuration'
  | 'authentication'
  | 'access-denied'
  | 'key-not-found'
  | 'key-state'
  | 'key-usage'
  | 'invalid-ciphertext'
  | 'insufficient-hsms'
  | 'throttled'
  | 'unsupported'
  | 'internal';

/** `message` names no secret and no plaintext. */
export class StoreError extends Error {
  override readonly name = 'StoreError';

  constructor(
    readonly failure: StoreFailure,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** Why a store could not be connected: `code` is AWS's ConnectionErrorCodeType, such as `INVALID_CREDENTIALS`. */
export class ConnectError extends Error {
  override readonly name = 'ConnectError';

  constructor(
    readonly code: string,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
