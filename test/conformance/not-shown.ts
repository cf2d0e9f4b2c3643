const ANY_STATE = 'the key may be in any state ("Key states of AWS KMS keys" in the developer guide)';
const NO_CUSTOM_KEY_STORES = 'custom key stores are not served yet';

/** Why no test shows an error that the model declares: by error, or by operation and error. Most cannot happen here. */
const NOT_SHOWN: Readonly<Record<string, string>> = {
  CloudHsmClusterInvalidConfigurationException: NO_CUSTOM_KEY_STORES,
  CustomKeyStoreInvalidStateException: NO_CUSTOM_KEY_STORES,
  KeyUnavailableException: 'what keeps key material out of reach is answered as DependencyTimeoutException',
  XksKeyAlreadyInUseException: NO_CUSTOM_KEY_STORES,
  XksKeyInvalidConfigurationException: NO_CUSTOM_KEY_STORES,
  XksKeyNotFoundException: NO_CUSTOM_KEY_STORES,
  'CreateAlias/InvalidAliasNameException': 'AWS too answers with ValidationException',
  'CreateKey/CustomKeyStoreNotFoundException': NO_CUSTOM_KEY_STORES,
  'CreateKey/InvalidArnException': 'no member of the request is an ARN',
  'DeleteAlias/KMSInvalidStateException': ANY_STATE,
  'DeleteImportedKeyMaterial/KMSInvalidStateException':
    'only Creating and Updating forbid it, which a multi-Region key is in between two commits',
  'EnableKey/LimitExceededException': 'any number of keys may be enabled',
  'GenerateDataKeyPair/UnsupportedOperationException': NO_CUSTOM_KEY_STORES,
  'GenerateDataKeyPairWithoutPlaintext/UnsupportedOperationException': NO_CUSTOM_KEY_STORES,
  'GenerateRandom/UnsupportedOperationException': NO_CUSTOM_KEY_STORES,
  'GetKeyPolicy/KMSInvalidStateException': ANY_STATE,
  'GetKeyRotationStatus/KMSInvalidStateException': ANY_STATE,
  'GetKeyRotationStatus/UnsupportedOperationException': 'of a key that has no rotation it is told that it is off',
  'GetPublicKey/InvalidKeyUsageException': 'a key without a public one is refused with UnsupportedOperationException',
  'ListGrants/KMSInvalidStateException': ANY_STATE,
  'ListKeyPolicies/KMSInvalidStateException': ANY_STATE,
  'ListKeyRotations/KMSInvalidStateException': ANY_STATE,
  'ListRetirableGrants/NotFoundException': 'the request names no key',
  'PutKeyPolicy/KMSInvalidStateException': ANY_STATE,
  'PutKeyPolicy/UnsupportedOperationException': 'every key may be given a policy',
  'RetireGrant/KMSInvalidStateException': ANY_STATE,
  'RevokeGrant/KMSInvalidStateException': ANY_STATE,
  'RotateKeyOnDemand/ConflictException': 'a rotation that is under way is waited for',
};

/** Why an operation is not served. */
export const whyNotServed = (operation: string): string =>
  operation.includes('CustomKeyStore') ? NO_CUSTOM_KEY_STORES : 'not served yet';

export const reasonFor = (operation: string, code: string): string | undefined =>
  NOT_SHOWN[`${operation}/${code}`] ?? NOT_SHOWN[code];
