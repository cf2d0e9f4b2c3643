import { resolve } from 'node:path';
import type { TokenPlace } from '#hsm/pkcs11/token-calls';
import type { ReadInteger, ReadText } from './settings-reader';

/** Where the root key is, in an HSM. */
export interface Pkcs11Settings extends TokenPlace {
  /** A file that holds the PIN of the token's user, and that none but its owner may read. */
  pinFile: string;
  sessions: number;
}

const any = (value: string): boolean => value.length > 0;
/** CK_TOKEN_INFO has 32 bytes for it. */
export const isTokenLabel = (value: string): boolean => Buffer.byteLength(value) <= 32;

/** Undefined for a root key in software, which is what is not asked for otherwise. */
export function parsePkcs11(
  text: ReadText,
  integer: ReadInteger,
  problem: (text: string) => void,
): Pkcs11Settings | undefined {
  const root = text('KEYTRAIL_ROOT', (value) => value === 'software' || value === 'pkcs11', 'software or pkcs11');
  const read = {
    KEYTRAIL_PKCS11_MODULE: text('KEYTRAIL_PKCS11_MODULE', any, "the path of the vendor's PKCS#11 module"),
    KEYTRAIL_PKCS11_TOKEN: text('KEYTRAIL_PKCS11_TOKEN', isTokenLabel, 'the label of a token, at most 32 bytes'),
    KEYTRAIL_PKCS11_PIN_FILE: text('KEYTRAIL_PKCS11_PIN_FILE', any, 'the path of a file that holds the PIN'),
  };
  const sessions = integer('KEYTRAIL_PKCS11_SESSIONS', 1, 64, 4);
  if (root !== 'pkcs11') {
    for (const [name, value] of Object.entries(read)) {
      if (value !== undefined) problem(`${name}: expected with KEYTRAIL_ROOT=pkcs11 only`);
    }
    return undefined;
  }
  for (const [name, value] of Object.entries(read)) {
    if (value === undefined) problem(`${name}: expected with KEYTRAIL_ROOT=pkcs11`);
  }
  return {
    module: resolve(read.KEYTRAIL_PKCS11_MODULE ?? ''),
    label: read.KEYTRAIL_PKCS11_TOKEN ?? '',
    pinFile: resolve(read.KEYTRAIL_PKCS11_PIN_FILE ?? ''),
    sessions,
  };
}
