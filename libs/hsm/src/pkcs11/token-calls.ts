import type { CKR } from './token-errors';

/** What a crypto-worker and the process that drives one HSM say to each other. Bytes are copied, never shared. */

export interface TokenPlace {
  /** Path of the vendor's PKCS#11 module. */
  module: string;
  /** Label of the token, as the vendor's tool shows it. */
  label: string;
  /** What the vendor's library reads from its environment, beside what this process has. */
  environment?: Readonly<Record<string, string>>;
}

export interface OpenToken extends TokenPlace {
  pin: string;
  /** Sessions that are kept open; as many calls are under way at once. */
  sessions: number;
  /** Makes the token first, with its masking key; refused where there is one with this label. */
  create?: boolean;
}

export interface TokenInfo {
  label: string;
  serial: string;
  manufacturer: string;
  model: string;
}

/** An AES-256 key that the HSM made and never gives out. */
export interface TokenKey {
  label: string;
  /** CKA_ID, in hex. */
  id: string;
  extractable: boolean;
}

/** An AES key of anybody's making, found by its label. */
export interface LabelledKey {
  /** CKA_ID, in hex; may be empty, and is the same for two keys if somebody has made them so. */
  id: string;
  bytes: number;
  mayEncrypt: boolean;
  mayDecrypt: boolean;
}

/** Which key: the one with this CKA_ID, and this label where it is given. */
export interface KeyName {
  /** In hex. */
  id: string;
  label?: string | undefined;
}

export interface Enciphered {
  iv: Uint8Array;
  aad: Uint8Array;
  data: Uint8Array;
  /** Refused as `unchecked` unless the key was checked since the module was loaded. */
  checked?: boolean;
}

/** Each call with what it takes and gives. */
export interface TokenCalls {
  open: (asked: OpenToken) => TokenInfo;
  /** AES keys whose label begins so. `anew`: those too that another process has made since the module was loaded. */
  keys: (asked: { labelPrefix: string; anew?: boolean }) => TokenKey[];
  /** AES keys whose label is this one. `anew`: there is another one than those that were found before. */
  keysLabelled: (asked: { label: string; anew?: boolean }) => LabelledKey[];
  /** A new AES-256 key: in the token, private, sensitive, not extractable. `id`: hex. It may do both where nothing else is said. */
  generateKey: (asked: { label: string; id: string; mayEncrypt?: boolean; mayDecrypt?: boolean }) => TokenKey;
  destroyKey: (asked: { id: string }) => undefined;
  /** AES-256-GCM: ciphertext and tag. `iv`: 12 bytes. */
  encrypt: (asked: KeyName & Enciphered) => Uint8Array;
  /** The opposite; refused as `altered` where the tag does not fit. */
  decrypt: (asked: KeyName & Enciphered) => Uint8Array;
  random: (asked: { length: number }) => Uint8Array;
  /** A new AES-256 key that is in no token, wrapped under the masking key of this one. */
  makeMasked: (asked: Record<string, never>) => Uint8Array;
  /** Unwraps it as a key that is not extractable, labelled with its id (hex); makes no second one. */
  unmask: (asked: { id: string; masked: Uint8Array }) => undefined;
  /**
   * Sees to it that the key of this id is what is masked: where its bytes were changed in the token, it is replaced. Refused as `no-key`
   * where there is none, or what is masked cannot be opened here.
   */
  check: (asked: { id: string; masked: Uint8Array }) => undefined;
  /** From now on it opens with `pin`. */
  setPin: (asked: { pin: string }) => undefined;
}

export type TokenCallName = keyof TokenCalls;
export type AskedOf<C extends TokenCallName> = Parameters<TokenCalls[C]>[0];
export type GivenBy<C extends TokenCallName> = ReturnType<TokenCalls[C]>;

/**
 * Why a call failed. `unavailable`: the HSM, or the way to it; another one may be asked. `altered`: the HSM works, and the
 * tag does not fit. `no-key`: it has no such key. `refused`: the PIN, or its being locked out, where trying again could lock it; or there is
 * no such module. `unchecked`: whether the key is what it was is not known yet.
 */
export type TokenFailure = 'unavailable' | 'altered' | 'no-key' | 'refused' | 'unchecked';

/**
 * A CKR code by its name, where the module gave one that is known; `NO_TOKEN`: it has none with this label; `BUSY`: too many
 * calls wait for it already.
 */
export type TokenCode = keyof typeof CKR | 'NO_TOKEN' | 'TOKEN_EXISTS' | 'BUSY';

export interface TokenRequest {
  nth: number;
  name: TokenCallName;
  asked: unknown;
}

export type TokenReply =
  | { nth: number; given: unknown }
  /** `what` names call and CKR code, and nothing that was asked. */
  | { nth: number; failure: TokenFailure; what: string; code?: TokenCode | undefined };
