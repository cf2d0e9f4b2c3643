import type { ProxyErrorName } from '#xks/proxy-error';
import { ConnectError, StoreError, type StoreFailure } from '../key-store/store-connection';

/** Beside StoreFailure: a proxy that is reached, and with which there is no TLS. */
type Kind = StoreFailure | 'tls';

/** A failure of an external key store that also knows what ConnectCustomKeyStore would say of it. */
export class XksFailure extends StoreError {
  /** Of AWS's ConnectionErrorCodeType. */
  readonly connectionErrorCode: string;

  constructor(kind: Kind, message: string, options?: ErrorOptions) {
    super(kind === 'tls' ? 'unreachable' : kind, message, options);
    this.connectionErrorCode = CONNECTION_ERROR_CODES[kind];
  }

  asConnectError(): ConnectError {
    return new ConnectError(this.connectionErrorCode, this.message, { cause: this });
  }
}

const CONNECTION_ERROR_CODES: Record<Kind, string> = {
  unreachable: 'XKS_PROXY_NOT_REACHABLE',
  tls: 'XKS_PROXY_INVALID_TLS_CONFIGURATION',
  timeout: 'XKS_PROXY_TIMED_OUT',
  'invalid-response': 'XKS_PROXY_INVALID_RESPONSE',
  'invalid-configuration': 'XKS_PROXY_INVALID_CONFIGURATION',
  authentication: 'INVALID_CREDENTIALS',
  'access-denied': 'XKS_PROXY_ACCESS_DENIED',
  throttled: 'XKS_PROXY_NOT_REACHABLE',
  internal: 'XKS_PROXY_NOT_REACHABLE',
  'key-state': 'XKS_PROXY_NOT_REACHABLE',
  unsupported: 'XKS_PROXY_INVALID_RESPONSE',
  // What GetHealthStatus, which has no key, cannot mean.
  'key-not-found': 'XKS_PROXY_INVALID_RESPONSE',
  'key-usage': 'XKS_PROXY_INVALID_RESPONSE',
  'invalid-ciphertext': 'XKS_PROXY_INVALID_RESPONSE',
  'insufficient-hsms': 'INTERNAL_ERROR',
};

/** What each error of a proxy means to KMS. */
const MEANINGS: Record<ProxyErrorName, [StoreFailure, string]> = {
  ValidationException: ['invalid-response', 'it could not read a request'],
  InvalidStateException: ['key-state', 'the external key, or its key manager, is not enabled'],
  InvalidCiphertextException: ['invalid-ciphertext', 'the ciphertext or what it was bound to is not what it was'],
  InvalidKeyUsageException: ['key-usage', 'the external key does not support the operation'],
  AuthenticationFailedException: ['authentication', 'it does not know the credential, or the secret is another'],
  AccessDeniedException: ['access-denied', 'it denies the operation'],
  KeyNotFoundException: ['key-not-found', 'it has no such external key'],
  InvalidUriPathException: ['invalid-configuration', 'it does not serve this URI path'],
  ThrottlingException: ['throttled', 'it is asked too often'],
  InternalException: ['internal', 'it failed'],
  UnsupportedOperationException: ['unsupported', 'it does not do that'],
  DependencyTimeoutException: ['timeout', 'its key manager did not answer in time'],
};

/** What the proxy itself says of it is the cause: for whoever runs KMS, not for its callers. */
export function failureOf(errorName: ProxyErrorName, errorMessage: string): XksFailure {
  const [failure, meaning] = MEANINGS[errorName];
  const said = errorMessage === '' ? undefined : { cause: new Error(`the proxy says: ${errorMessage}`) };
  return new XksFailure(failure, `the external key store proxy answered ${errorName}: ${meaning}`, said);
}

const TLS_CODE =
  /^(ERR_(TLS|SSL)_|CERT_|UNABLE_TO_|DEPTH_ZERO_SELF_SIGNED|SELF_SIGNED_CERT|INVALID_CA|INVALID_PURPOSE|HOSTNAME_MISMATCH|EPROTO$)/;

/** How far a request had come when its connection failed. */
export interface Progress {
  connected: boolean;
  /** Through the TLS handshake, where there is one. */
  secured: boolean;
  answered: boolean;
}

export function failureOfConnection(error: NodeJS.ErrnoException, { connected, secured, answered }: Progress): Error {
  if (error instanceof StoreError) return error;
  const code = error.code ?? error.name;
  const cause = { cause: error };
  if (answered || code.startsWith('HPE_')) {
    return new XksFailure('invalid-response', `the external key store proxy did not end its reply (${code})`, cause);
  }
  if (TLS_CODE.test(code) || (connected && !secured)) {
    return new XksFailure('tls', `there is no TLS with the external key store proxy (${code})`, cause);
  }
  return new XksFailure('unreachable', `the external key store proxy cannot be reached (${code})`, cause);
}
