import type { TokenCode, TokenFailure } from './token-calls';

/** Of PKCS#11 v2.40, section 6 (CKR_...), those that are told apart. */
export const CKR = {
  GENERAL_ERROR: 0x05,
  FUNCTION_FAILED: 0x06,
  DATA_INVALID: 0x20,
  DATA_LEN_RANGE: 0x21,
  DEVICE_ERROR: 0x30,
  DEVICE_REMOVED: 0x32,
  ENCRYPTED_DATA_INVALID: 0x40,
  ENCRYPTED_DATA_LEN_RANGE: 0x41,
  KEY_HANDLE_INVALID: 0x60,
  KEY_FUNCTION_NOT_PERMITTED: 0x68,
  OBJECT_HANDLE_INVALID: 0x82,
  PIN_INCORRECT: 0xa0,
  PIN_INVALID: 0xa1,
  PIN_LEN_RANGE: 0xa2,
  PIN_EXPIRED: 0xa3,
  PIN_LOCKED: 0xa4,
  SESSION_CLOSED: 0xb0,
  SESSION_HANDLE_INVALID: 0xb3,
  TOKEN_NOT_PRESENT: 0xe0,
  USER_ALREADY_LOGGED_IN: 0x100,
  USER_NOT_LOGGED_IN: 0x101,
  USER_PIN_NOT_INITIALIZED: 0x102,
  WRAPPED_KEY_INVALID: 0x110,
  WRAPPED_KEY_LEN_RANGE: 0x112,
  AEAD_DECRYPT_FAILED: 0x1e9,
} as const;

/** A failure that the other side is told of. The message has no cause: a vendor's text may quote what it was given. */
export class TokenCallError extends Error {
  override readonly name = 'TokenCallError';

  constructor(
    readonly failure: TokenFailure,
    message: string,
    readonly code?: TokenCode,
  ) {
    super(message);
  }
}

/** The CKR code that a module answered with; undefined for any other error. */
export function ckrOf(error: unknown): number | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'number' ? code : undefined;
}

const REFUSALS: number[] = [
  CKR.PIN_INCORRECT,
  CKR.PIN_INVALID,
  CKR.PIN_LEN_RANGE,
  CKR.PIN_EXPIRED,
  CKR.PIN_LOCKED,
  CKR.USER_PIN_NOT_INITIALIZED,
];

/** The sessions are gone, or know no login any more: new ones may do. */
const LOST_SESSION: number[] = [CKR.SESSION_CLOSED, CKR.SESSION_HANDLE_INVALID, CKR.USER_NOT_LOGGED_IN];
export const isLostSession = (error: unknown): boolean => LOST_SESSION.includes(ckrOf(error) ?? -1);

/** The object may have been destroyed by another process, or has another handle since the sessions were opened. */
export const isLostHandle = (error: unknown): boolean =>
  ckrOf(error) === CKR.KEY_HANDLE_INVALID || ckrOf(error) === CKR.OBJECT_HANDLE_INVALID;

/**
 * What modules answer where a GCM tag does not fit. Most of it is also said of a broken device, SoftHSM's CKR_GENERAL_ERROR
 * for one: only a call that must succeed tells which it was.
 */
const MAYBE_ALTERED: number[] = [
  CKR.GENERAL_ERROR,
  CKR.FUNCTION_FAILED,
  CKR.DATA_INVALID,
  CKR.DATA_LEN_RANGE,
  CKR.ENCRYPTED_DATA_INVALID,
  CKR.ENCRYPTED_DATA_LEN_RANGE,
  CKR.AEAD_DECRYPT_FAILED,
  CKR.WRAPPED_KEY_INVALID,
  CKR.WRAPPED_KEY_LEN_RANGE,
];
export const mayBeAltered = (error: unknown): boolean => MAYBE_ALTERED.includes(ckrOf(error) ?? -1);

/** What the other side is told: the call, and the code's name. */
export function inWords(call: string, error: unknown): TokenCallError {
  if (error instanceof TokenCallError) return error;
  const code = ckrOf(error);
  const known = Object.entries(CKR).find(([, value]) => value === code)?.[0] as TokenCode | undefined;
  const said =
    code === undefined ? 'the module could not be used' : known ? `CKR_${known}` : `CKR 0x${code.toString(16)}`;
  return new TokenCallError(REFUSALS.includes(code ?? -1) ? 'refused' : 'unavailable', `${call}: ${said}`, known);
}
