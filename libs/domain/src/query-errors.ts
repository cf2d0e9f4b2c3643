import type { ErrorCode } from './errors';

/** What the query services (IAM, STS) call an error that has another name in AWS JSON. What is not here has one name. */
const QUERY_CODES: Partial<Record<ErrorCode, ErrorCode>> = {
  AccessDeniedException: 'AccessDenied',
  DependencyTimeoutException: 'ServiceUnavailable',
  ExpiredTokenException: 'ExpiredToken',
  IncompleteSignatureException: 'IncompleteSignature',
  InvalidMarkerException: 'ValidationError',
  InvalidSignatureException: 'SignatureDoesNotMatch',
  KMSInternalException: 'InternalFailure',
  LimitExceededException: 'LimitExceeded',
  MalformedPolicyDocumentException: 'MalformedPolicyDocument',
  MissingAuthenticationTokenException: 'MissingAuthenticationToken',
  SerializationException: 'MalformedInput',
  ServiceUnavailableException: 'ServiceUnavailable',
  ThrottlingException: 'Throttling',
  UnknownOperationException: 'InvalidAction',
  UnrecognizedClientException: 'InvalidClientTokenId',
  ValidationException: 'ValidationError',
};

export const queryCodeOf = (code: ErrorCode): ErrorCode => QUERY_CODES[code] ?? code;
