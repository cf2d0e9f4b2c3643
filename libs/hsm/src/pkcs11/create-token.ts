import { randomBytes } from 'node:crypto';
import * as pkcs11 from 'pkcs11js';
import { makeMaskingKey } from './masking';
import type { OpenToken } from './token-calls';
import { TokenCallError } from './token-errors';

const LABEL_LENGTH = 32;

/**
 * Makes a token in a slot that has none yet, with its user's PIN and masking key. The PIN of its security officer, who could
 * give the user another one, is told to nobody. A crash leaves behind a token that nobody can log in to, or one without a masking
 * key: whoever makes it does so in a folder of its own first, and keeps it once all is done.
 */
export function createToken(module: pkcs11.PKCS11, { label, pin }: OpenToken): void {
  module.C_Initialize({ flags: pkcs11.CKF_OS_LOCKING_OK });
  const slots = module.C_GetSlotList(true);
  if (slots.some((slot) => module.C_GetTokenInfo(slot).label.trim() === label)) {
    throw new TokenCallError('refused', `there is a token with the label ${label} already`, 'TOKEN_EXISTS');
  }
  const slot = slots.find((each) => (module.C_GetTokenInfo(each).flags & pkcs11.CKF_TOKEN_INITIALIZED) === 0);
  if (!slot) throw new TokenCallError('refused', 'no slot for another token');
  const officer = randomBytes(24).toString('base64url');
  // Always as long, and not ended by anything.
  module.C_InitToken(slot, officer, label.padEnd(LABEL_LENGTH));
  const session = module.C_OpenSession(slot, pkcs11.CKF_SERIAL_SESSION | pkcs11.CKF_RW_SESSION);
  module.C_Login(session, pkcs11.CKU_SO, officer);
  module.C_InitPIN(session, pin);
  module.C_Logout(session);
  module.C_Login(session, pkcs11.CKU_USER, pin);
  makeMaskingKey(module, session);
  // What opens it now sees it as any other: SoftHSM gives a new token another slot number.
  module.C_Finalize();
}
