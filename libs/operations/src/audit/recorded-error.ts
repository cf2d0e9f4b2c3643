import { cloudHsmCodeOf } from '#domain/cloudhsm-errors';
import type { ErrorCode } from '#domain/errors';
import { queryCodeOf } from '#domain/query-errors';
import type { ServiceName } from '../operation';

/** Exceptions of the API models of IAM and STS whose code on the wire lacks the end that the name of their shape has. */
const SHAPES: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ConcurrentModification',
  'DeleteConflict',
  'EntityAlreadyExists',
  'InvalidInput',
  'LimitExceeded',
  'MalformedPolicyDocument',
  'NoSuchEntity',
  'PackedPolicyTooLarge',
  'ServiceFailure',
  'UnmodifiableEntity',
]);

/**
 * What CloudTrail calls an error, whichever way the call came: in IAM and STS `AccessDenied` and `NoSuchEntityException`, as
 * AWS's SDKs name what they throw.
 */
export function recordedCode(service: ServiceName, code: ErrorCode): string {
  if (service === 'cloudhsm') return cloudHsmCodeOf(code);
  if (service !== 'iam' && service !== 'sts') return code;
  const told = queryCodeOf(code);
  return SHAPES.has(told) ? `${told}Exception` : told;
}

/** Of a call that was refused to its caller; the owner of what it asked for is not told. */
export const isAccessDenied = (recorded: string | undefined): boolean =>
  /^(?:CloudHsm)?AccessDenied/.test(recorded ?? '');
