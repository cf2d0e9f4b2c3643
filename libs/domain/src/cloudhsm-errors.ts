import type { ErrorCode } from './errors';

/** What AWS CloudHSM calls an error that has another name in AWS KMS. What is not here has one name. */
const CLOUDHSM_CODES: Partial<Record<ErrorCode, ErrorCode>> = {
  AccessDeniedException: 'CloudHsmAccessDeniedException',
  DependencyTimeoutException: 'CloudHsmInternalFailureException',
  InvalidMarkerException: 'CloudHsmInvalidRequestException',
  KMSInternalException: 'CloudHsmInternalFailureException',
  LimitExceededException: 'CloudHsmResourceLimitExceededException',
  ValidationException: 'CloudHsmInvalidRequestException',
};

export const cloudHsmCodeOf = (code: ErrorCode): ErrorCode => CLOUDHSM_CODES[code] ?? code;
