import { KmsError } from '#domain/errors';
import type { Constraint } from '../wire/constraints';

export const BOUNDARY = { kind: 'string', min: 20, max: 2048 } as const satisfies Constraint;

/** Taken in silence it would make a principal that may do more than was asked for. */
export function assertNoBoundary(boundary: string | undefined): void {
  if (boundary === undefined) return;
  throw new KmsError('InvalidInput', 'PermissionsBoundary is not supported by this version of Keytrail.');
}
