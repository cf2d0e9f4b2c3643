/**
 * THE errors table: every error code Keytrail can answer with, its HTTP status and whether the same request may succeed
 * later.
 * Codes are those of the AWS KMS, IAM, STS, CloudHSM and CloudTrail API models, plus the ones all services of a protocol share.
 */
export const ERRORS = {
  // Shared by all AWS JSON services.
  AccessDeniedException: { status: 400, retryable: false },
  ExpiredTokenException: { status: 400, retryable: false },
  IncompleteSignatureException: { status: 400, retryable: false },
  InternalFailure: { status: 500, retryable: true },
  InvalidSignatureException: { status: 400, retryable: false },
  MissingAuthenticationTokenException: { status: 400, retryable: false },
  RequestEntityTooLargeException: { status: 413, retryable: false },
  RequestTimeoutException: { status: 408, retryable: true },
  SerializationException: { status: 400, retryable: false },
  ServiceUnavailableException: { status: 503, retryable: true },
  ThrottlingException: { status: 400, retryable: true },
  UnknownOperationException: { status: 400, retryable: false },
  UnrecognizedClientException: { status: 400, retryable: false },
  ValidationException: { status: 400, retryable: false },
  // AWS KMS.
  AlreadyExistsException: { status: 400, retryable: false },
  ConflictException: { status: 400, retryable: false },
  CloudHsmClusterInUseException: { status: 400, retryable: false },
  CloudHsmClusterInvalidConfigurationException: { status: 400, retryable: false },
  CloudHsmClusterNotActiveException: { status: 400, retryable: false },
  CloudHsmClusterNotFoundException: { status: 400, retryable: false },
  CloudHsmClusterNotRelatedException: { status: 400, retryable: false },
  CustomKeyStoreHasCMKsException: { status: 400, retryable: false },
  CustomKeyStoreInvalidStateException: { status: 400, retryable: false },
  CustomKeyStoreNameInUseException: { status: 400, retryable: false },
  CustomKeyStoreNotFoundException: { status: 400, retryable: false },
  DependencyTimeoutException: { status: 503, retryable: true },
  DisabledException: { status: 400, retryable: false },
  DryRunOperationException: { status: 400, retryable: false },
  ExpiredImportTokenException: { status: 400, retryable: false },
  IncorrectKeyException: { status: 400, retryable: false },
  IncorrectKeyMaterialException: { status: 400, retryable: false },
  IncorrectTrustAnchorException: { status: 400, retryable: false },
  InvalidAliasNameException: { status: 400, retryable: false },
  InvalidArnException: { status: 400, retryable: false },
  InvalidCiphertextException: { status: 400, retryable: false },
  InvalidGrantIdException: { status: 400, retryable: false },
  InvalidGrantTokenException: { status: 400, retryable: false },
  InvalidImportTokenException: { status: 400, retryable: false },
  InvalidKeyUsageException: { status: 400, retryable: false },
  InvalidMarkerException: { status: 400, retryable: false },
  KeyUnavailableException: { status: 500, retryable: true },
  KMSInternalException: { status: 500, retryable: true },
  KMSInvalidMacException: { status: 400, retryable: false },
  KMSInvalidSignatureException: { status: 400, retryable: false },
  KMSInvalidStateException: { status: 400, retryable: false },
  LimitExceededException: { status: 400, retryable: false },
  MalformedPolicyDocumentException: { status: 400, retryable: false },
  NotAuthorizedException: { status: 400, retryable: false },
  NotFoundException: { status: 400, retryable: false },
  TagException: { status: 400, retryable: false },
  UnsupportedOperationException: { status: 400, retryable: false },
  XksKeyAlreadyInUseException: { status: 400, retryable: false },
  XksKeyInvalidConfigurationException: { status: 400, retryable: false },
  XksKeyNotFoundException: { status: 400, retryable: false },
  XksProxyIncorrectAuthenticationCredentialException: { status: 400, retryable: false },
  XksProxyInvalidConfigurationException: { status: 400, retryable: false },
  XksProxyInvalidResponseException: { status: 400, retryable: false },
  XksProxyUriInUseException: { status: 400, retryable: false },
  XksProxyUriUnreachableException: { status: 400, retryable: false },
  XksProxyVpcEndpointServiceNotFoundException: { status: 400, retryable: false },
  // AWS CloudHSM.
  CloudHsmAccessDeniedException: { status: 400, retryable: false },
  CloudHsmInternalFailureException: { status: 500, retryable: true },
  CloudHsmInvalidRequestException: { status: 400, retryable: false },
  CloudHsmResourceLimitExceededException: { status: 400, retryable: false },
  CloudHsmResourceNotFoundException: { status: 400, retryable: false },
  CloudHsmServiceException: { status: 400, retryable: false },
  CloudHsmTagException: { status: 400, retryable: false },
  // AWS CloudTrail.
  InvalidEventCategoryException: { status: 400, retryable: false },
  InvalidLookupAttributesException: { status: 400, retryable: false },
  InvalidMaxResultsException: { status: 400, retryable: false },
  InvalidNextTokenException: { status: 400, retryable: false },
  InvalidTimeRangeException: { status: 400, retryable: false },
  InvalidTokenException: { status: 400, retryable: false },
  // Shared by all AWS query services (IAM, STS).
  AccessDenied: { status: 403, retryable: false },
  ExpiredToken: { status: 403, retryable: false },
  IncompleteSignature: { status: 400, retryable: false },
  InvalidAction: { status: 400, retryable: false },
  InvalidClientTokenId: { status: 403, retryable: false },
  MalformedInput: { status: 400, retryable: false },
  MissingAuthenticationToken: { status: 403, retryable: false },
  ServiceUnavailable: { status: 503, retryable: true },
  SignatureDoesNotMatch: { status: 403, retryable: false },
  Throttling: { status: 400, retryable: true },
  ValidationError: { status: 400, retryable: false },
  // AWS IAM and STS.
  ConcurrentModification: { status: 409, retryable: true },
  DeleteConflict: { status: 409, retryable: false },
  EntityAlreadyExists: { status: 409, retryable: false },
  InvalidInput: { status: 400, retryable: false },
  LimitExceeded: { status: 409, retryable: false },
  MalformedPolicyDocument: { status: 400, retryable: false },
  NoSuchEntity: { status: 404, retryable: false },
  PackedPolicyTooLarge: { status: 400, retryable: false },
  ServiceFailure: { status: 500, retryable: true },
  UnmodifiableEntity: { status: 400, retryable: false },
} as const satisfies Record<string, { status: number; retryable: boolean }>;

export type ErrorCode = keyof typeof ERRORS;

/** An error that goes to the caller as `{"__type": code, "message": message}`. `cause` is logged, never sent. */
export class KmsError extends Error {
  override readonly name = 'KmsError';

  constructor(
    readonly code: ErrorCode,
    message: string,
    cause?: unknown,
  ) {
    super(message, cause === undefined ? undefined : { cause });
  }

  get status(): number {
    return ERRORS[this.code].status;
  }

  get retryable(): boolean {
    return ERRORS[this.code].retryable;
  }
}

/** That a request is wrong in itself: no state of anything makes it right, and so no newer one. */
export class RequestFault extends KmsError {
  constructor(message: string) {
    super('ValidationException', message);
  }
}

export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERRORS, code);
}
