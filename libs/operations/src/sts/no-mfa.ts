import { KmsError } from '#domain/errors';
import type { Constraint } from '../wire/constraints';

export const SERIAL_NUMBER = {
  kind: 'string',
  min: 9,
  max: 256,
  pattern: /^[\w+=/:,.@-]*$/,
} as const satisfies Constraint;
export const TOKEN_CODE = {
  kind: 'string',
  min: 6,
  max: 6,
  pattern: /^\d*$/,
  sensitive: true,
} as const satisfies Constraint;

export const unsupported = (member: string): KmsError =>
  new KmsError('ValidationError', `${member} is not supported by this version of Keytrail.`);

/** There are no second factors here: taken in silence, a session would pass for one that had one. */
export function assertNoMfa({ SerialNumber, TokenCode }: { SerialNumber?: string; TokenCode?: string }): void {
  if (SerialNumber !== undefined) throw unsupported('SerialNumber');
  if (TokenCode !== undefined) throw unsupported('TokenCode');
}
