import { LIMITS } from './limits';

/** Every error of the XKS proxy API v1, with its HTTP status. */
export const PROXY_ERRORS = {
  ValidationException: 400,
  InvalidStateException: 400,
  InvalidCiphertextException: 400,
  InvalidKeyUsageException: 400,
  AuthenticationFailedException: 401,
  AccessDeniedException: 403,
  KeyNotFoundException: 404,
  InvalidUriPathException: 404,
  ThrottlingException: 429,
  InternalException: 500,
  UnsupportedOperationException: 501,
  DependencyTimeoutException: 503,
} as const;

export type ProxyErrorName = keyof typeof PROXY_ERRORS;

export const isProxyErrorName = (text: unknown): text is ProxyErrorName =>
  typeof text === 'string' && Object.hasOwn(PROXY_ERRORS, text);

/** What a proxy answers. The message goes over the wire; it names no secret and nothing of a plaintext. */
export class ProxyError extends Error {
  override readonly name = 'ProxyError';

  constructor(
    readonly errorName: ProxyErrorName,
    message: string,
    /** Why, for the log alone. */
    options?: ErrorOptions,
  ) {
    super(printable(message), options);
  }

  get status(): number {
    return PROXY_ERRORS[this.errorName];
  }
}

/** As the API wants messages: printable ASCII, less than 512 characters. */
export const printable = (text: string): string => text.replace(/[^ -~]/g, '?').slice(0, LIMITS.errorMessage - 1);
