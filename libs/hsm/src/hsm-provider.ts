/**
 * What roots the keys. The root key never leaves the provider: callers can only ask it to wrap and unwrap.
 * All calls but `use` are asynchronous and may fail with HsmUnavailableError, as a real HSM behind PKCS#11 does.
 */
export interface HsmProvider {
  /** `software`, `pkcs11`, ... for status and metrics. */
  readonly name: string;
  /** The epoch of the root key that `wrap` uses now. */
  currentEpoch(): Promise<number>;
  /** Encrypts `material` under the current root key, binding `aad`. */
  wrap(material: Uint8Array, aad: Uint8Array): Promise<Wrapped>;
  /** Must reject with WrappedMaterialError if anything was altered or `aad` differs; any other error means unavailable. */
  unwrap(wrapped: Wrapped, aad: Uint8Array): Promise<Buffer>;
  /** `length` bytes (1..1024) from the provider's random generator. */
  random(length: number): Promise<Buffer>;
  /** A real wrap and unwrap, so that a lost token is seen: with the current root key, or with the one given. */
  check(key?: RootKeyRef): Promise<void>;
  /**
   * Makes a root key of this epoch, durable before this resolves; where there is one, it is that. Nothing is wrapped under it until
   * `use`. Rejects with RootKeyError where another one cannot be kept.
   */
  makeEpoch(epoch: number): Promise<RootKeyRef>;
  /** `wrap` takes this root key from the next call on. One that is not there makes `wrap` fail, and nothing else. */
  use(key: RootKeyRef): void;
  /**
   * Destroys for good all root keys of this epoch and of those before it, wherever they are kept. Harmless to repeat. Rejects
   * with RangeError for the current epoch.
   */
  destroyEpoch(epoch: number): Promise<void>;
  /** Releases sessions and zeroises what is held in memory. */
  close(): Promise<void>;
}

/** One root key. */
export interface RootKeyRef {
  epoch: number;
  /** By which the provider tells keys of one epoch apart; empty for a software root key of before the first rotation. */
  id: string;
}

export interface Wrapped {
  epoch: number;
  /** Provider-defined bytes. */
  ciphertext: Uint8Array;
}

/** The wrapped material or its AAD was altered, or was wrapped under another root key. */
export class WrappedMaterialError extends Error {
  override readonly name = 'WrappedMaterialError';
}

export class HsmUnavailableError extends Error {
  override readonly name = 'HsmUnavailableError';
}
