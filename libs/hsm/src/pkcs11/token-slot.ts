import * as pkcs11 from 'pkcs11js';
import type { OpenToken, TokenInfo } from './token-calls';
import { TokenCallError } from './token-errors';

/** Throws the module's error, or TokenCallError where it has no such token. */
export function initialized(
  module: pkcs11.PKCS11,
  { module: path, label }: OpenToken,
): { slot: pkcs11.Handle; info: TokenInfo } {
  // Some modules take calls from several threads only if they may use the system's locks.
  module.C_Initialize({ flags: pkcs11.CKF_OS_LOCKING_OK });
  for (const slot of module.C_GetSlotList(true)) {
    const info = infoOf(module, slot);
    if (info?.label === label) return { slot, info };
  }
  throw new TokenCallError('unavailable', `${path}: no token with the label ${label}`, 'NO_TOKEN');
}

/** Undefined for a slot whose token cannot be read, which another one may make up for. */
function infoOf(module: pkcs11.PKCS11, slot: pkcs11.Handle): TokenInfo | undefined {
  try {
    const { label, serialNumber, manufacturerID, model } = module.C_GetTokenInfo(slot);
    const texts = { label, serial: serialNumber, manufacturer: manufacturerID, model };
    return Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, text.trim()])) as unknown as TokenInfo;
  } catch {
    return undefined;
  }
}
