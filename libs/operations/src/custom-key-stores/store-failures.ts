import { invalidCiphertext } from '#crypto/ciphertext-blob';
import { type ErrorCode, KmsError } from '#domain/errors';
import { StoreError, type StoreFailure } from '#hsm/key-store/store-connection';

/** What a store was asked for. */
export type StoreTask =
  /** Encryption or decryption with a key in it. */
  | 'cluster use'
  | 'external use'
  /** A new key in it. */
  | 'cluster key'
  | 'external key'
  /** GenerateRandom. */
  | 'random'
  /** Whether the proxy answers: CreateCustomKeyStore, UpdateCustomKeyStore. */
  | 'proxy';

type Answers = Readonly<Record<StoreFailure, readonly [ErrorCode, string]>>;

const DOES_NOT_HAPPEN = ['KMSInternalException', 'The custom key store failed.'] as const;
const NO_MEMBER = 'KMS cannot reach an HSM of the AWS CloudHSM cluster.';
const NO_PROXY = 'KMS cannot communicate with the external key store proxy.';
const SLOW_PROXY = 'The external key store proxy did not respond in time. Retry the request.';
const BUSY_PROXY = 'The external key store proxy rejected the request: there are too many. Reduce the rate of calls.';
const BAD_RESPONSE = 'KMS cannot interpret the response of the external key store proxy.';
const BAD_CREDENTIAL = 'The external key store proxy rejected the proxy authentication credential.';
const NO_ACCESS = 'The external key store proxy denied access to the external key.';
const BAD_PROXY = 'The external key store proxy is not configured correctly.';
const FEW_HSMS = 'The AWS CloudHSM cluster must have at least two active HSMs, each in a different Availability Zone.';
const NO_USER = 'KMS cannot log in to the AWS CloudHSM cluster as kmsuser.';
const NO_KEY = 'The key material was not found in the AWS CloudHSM cluster.';
const FAILED_PROXY = 'The external key manager failed. Retry the request.';

/** THE table of what a caller is told when a custom key store fails: AWS's error for each task. */
const ANSWERS: Readonly<Record<StoreTask, Answers>> = {
  'cluster use': {
    unreachable: ['KeyUnavailableException', NO_MEMBER],
    timeout: ['DependencyTimeoutException', 'The AWS CloudHSM cluster did not answer in time; try again.'],
    'invalid-response': DOES_NOT_HAPPEN,
    'invalid-configuration': ['KMSInvalidStateException', 'The AWS CloudHSM cluster is not configured correctly.'],
    authentication: ['KMSInvalidStateException', NO_USER],
    'access-denied': ['KMSInvalidStateException', 'kmsuser may not use the key material in the AWS CloudHSM cluster.'],
    'key-not-found': ['KMSInvalidStateException', NO_KEY],
    'key-state': ['KMSInvalidStateException', 'The key material cannot be used in its state.'],
    'key-usage': ['KMSInvalidStateException', 'The key material in the AWS CloudHSM cluster is not for this.'],
    'invalid-ciphertext': ['InvalidCiphertextException', ''],
    'insufficient-hsms': ['KMSInvalidStateException', 'The AWS CloudHSM cluster has no active HSM.'],
    throttled: ['ThrottlingException', 'Too many calls to the AWS CloudHSM cluster are waiting; try again.'],
    unsupported: ['KMSInvalidStateException', 'The AWS CloudHSM cluster does not support the operation.'],
    internal: DOES_NOT_HAPPEN,
  },
  'external use': {
    unreachable: ['KMSInvalidStateException', NO_PROXY],
    timeout: ['KMSInvalidStateException', SLOW_PROXY],
    'invalid-response': ['KMSInvalidStateException', BAD_RESPONSE],
    'invalid-configuration': ['KMSInvalidStateException', BAD_PROXY],
    authentication: ['KMSInvalidStateException', BAD_CREDENTIAL],
    'access-denied': ['KMSInvalidStateException', NO_ACCESS],
    'key-not-found': ['KMSInvalidStateException', 'The external key store proxy could not find the external key.'],
    'key-state': ['KMSInvalidStateException', 'The external key is not enabled in the external key manager.'],
    'key-usage': ['KMSInvalidStateException', 'The external key is not for this in the external key manager.'],
    'invalid-ciphertext': ['InvalidCiphertextException', ''],
    'insufficient-hsms': DOES_NOT_HAPPEN,
    throttled: ['KMSInvalidStateException', BUSY_PROXY],
    unsupported: ['KMSInvalidStateException', 'The external key store proxy does not support the operation.'],
    internal: ['KMSInvalidStateException', FAILED_PROXY],
  },
  'cluster key': {
    unreachable: ['CloudHsmClusterInvalidConfigurationException', FEW_HSMS],
    timeout: ['DependencyTimeoutException', 'The AWS CloudHSM cluster did not answer in time; try again.'],
    'invalid-response': DOES_NOT_HAPPEN,
    'invalid-configuration': ['CloudHsmClusterInvalidConfigurationException', FEW_HSMS],
    authentication: ['CustomKeyStoreInvalidStateException', NO_USER],
    'access-denied': ['CustomKeyStoreInvalidStateException', 'kmsuser may not make keys in the AWS CloudHSM cluster.'],
    'key-not-found': DOES_NOT_HAPPEN,
    'key-state': DOES_NOT_HAPPEN,
    'key-usage': DOES_NOT_HAPPEN,
    'invalid-ciphertext': DOES_NOT_HAPPEN,
    'insufficient-hsms': ['CloudHsmClusterInvalidConfigurationException', FEW_HSMS],
    throttled: ['ThrottlingException', 'Too many calls to the AWS CloudHSM cluster are waiting; try again.'],
    unsupported: ['CloudHsmClusterInvalidConfigurationException', 'The AWS CloudHSM cluster cannot make such keys.'],
    internal: DOES_NOT_HAPPEN,
  },
  'external key': {
    unreachable: ['CustomKeyStoreInvalidStateException', NO_PROXY],
    timeout: ['CustomKeyStoreInvalidStateException', SLOW_PROXY],
    'invalid-response': ['CustomKeyStoreInvalidStateException', BAD_RESPONSE],
    'invalid-configuration': ['CustomKeyStoreInvalidStateException', BAD_PROXY],
    authentication: ['CustomKeyStoreInvalidStateException', BAD_CREDENTIAL],
    'access-denied': ['XksKeyInvalidConfigurationException', NO_ACCESS],
    'key-not-found': ['XksKeyNotFoundException', 'The external key store proxy could not find the external key.'],
    'key-state': ['XksKeyInvalidConfigurationException', 'The external key is not enabled.'],
    'key-usage': ['XksKeyInvalidConfigurationException', 'The external key is not for encryption and decryption.'],
    'invalid-ciphertext': DOES_NOT_HAPPEN,
    'insufficient-hsms': DOES_NOT_HAPPEN,
    throttled: ['CustomKeyStoreInvalidStateException', BUSY_PROXY],
    unsupported: [
      'XksKeyInvalidConfigurationException',
      'The external key store proxy does not support the operation.',
    ],
    internal: ['CustomKeyStoreInvalidStateException', FAILED_PROXY],
  },
  random: {
    unreachable: ['DependencyTimeoutException', NO_MEMBER],
    timeout: ['DependencyTimeoutException', 'The AWS CloudHSM cluster did not answer in time; try again.'],
    'invalid-response': DOES_NOT_HAPPEN,
    'invalid-configuration': DOES_NOT_HAPPEN,
    authentication: ['CustomKeyStoreInvalidStateException', NO_USER],
    'access-denied': ['CustomKeyStoreInvalidStateException', 'kmsuser may not generate random bytes.'],
    'key-not-found': DOES_NOT_HAPPEN,
    'key-state': DOES_NOT_HAPPEN,
    'key-usage': DOES_NOT_HAPPEN,
    'invalid-ciphertext': DOES_NOT_HAPPEN,
    'insufficient-hsms': ['DependencyTimeoutException', NO_MEMBER],
    throttled: ['ThrottlingException', 'Too many calls to the AWS CloudHSM cluster are waiting; try again.'],
    unsupported: ['UnsupportedOperationException', 'The AWS CloudHSM cluster generates no random bytes.'],
    internal: DOES_NOT_HAPPEN,
  },
  proxy: {
    unreachable: ['XksProxyUriUnreachableException', NO_PROXY],
    timeout: ['XksProxyUriUnreachableException', SLOW_PROXY],
    'invalid-response': ['XksProxyInvalidResponseException', BAD_RESPONSE],
    'invalid-configuration': ['XksProxyInvalidConfigurationException', BAD_PROXY],
    authentication: ['XksProxyIncorrectAuthenticationCredentialException', BAD_CREDENTIAL],
    'access-denied': ['XksProxyIncorrectAuthenticationCredentialException', BAD_CREDENTIAL],
    'key-not-found': ['XksProxyInvalidResponseException', BAD_RESPONSE],
    'key-state': ['XksProxyInvalidResponseException', BAD_RESPONSE],
    'key-usage': ['XksProxyInvalidResponseException', BAD_RESPONSE],
    'invalid-ciphertext': ['XksProxyInvalidResponseException', BAD_RESPONSE],
    'insufficient-hsms': ['XksProxyUriUnreachableException', 'All external key managers are unavailable.'],
    throttled: ['XksProxyUriUnreachableException', BUSY_PROXY],
    unsupported: ['XksProxyInvalidConfigurationException', BAD_PROXY],
    internal: ['XksProxyUriUnreachableException', FAILED_PROXY],
  },
};

/** What to throw for what a store's connection rejected with; what is no StoreError stays as it is. */
export function saidOf(task: StoreTask, failure: unknown): unknown {
  if (!(failure instanceof StoreError)) return failure;
  if (failure.failure === 'invalid-ciphertext' && task.endsWith(' use')) return invalidCiphertext();
  const [code, message] = ANSWERS[task][failure.failure];
  // What is wrong with the settings that were given is told to who gave them.
  if (task === 'proxy' && failure.failure === 'invalid-configuration') {
    return new KmsError(code, `${message.replace(/\.$/, '')}: ${failure.message}.`, failure);
  }
  return new KmsError(code, message, failure);
}

/** The same of a call to a store. */
export async function asking<T>(task: StoreTask, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (failure) {
    throw saidOf(task, failure);
  }
}
