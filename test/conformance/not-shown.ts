const ANY_STATE = 'the key may be in any state ("Key states of AWS KMS keys" in the developer guide)';
const NO_VPC = 'there is no Amazon VPC, and so none of its endpoint services';

/** What is done in a cluster, which alone can be out of reach so. */
const IN_A_CLUSTER: readonly string[] = [
  ...['Encrypt', 'Decrypt', 'ReEncrypt', 'GenerateDataKey', 'GenerateDataKeyWithoutPlaintext'],
];

/** Why no test shows an error that the model declares: by error, or by operation and error. Most cannot happen here. */
const NOT_SHOWN: Readonly<Record<string, string>> = {
  XksProxyUriEndpointInUseException: 'stores behind public endpoints may share one, and there is no other kind',
  XksProxyVpcEndpointServiceInUseException: NO_VPC,
  XksProxyVpcEndpointServiceInvalidConfigurationException: NO_VPC,
  'CreateAlias/InvalidAliasNameException': 'AWS too answers with ValidationException',
  'CreateKey/InvalidArnException': 'no member of the request is an ARN',
  'DeleteAlias/KMSInvalidStateException': ANY_STATE,
  'DeleteImportedKeyMaterial/KMSInvalidStateException':
    'only Creating and Updating forbid it, which a multi-Region key is in between two commits',
  'EnableKey/LimitExceededException': 'any number of keys may be enabled',
  'GetKeyPolicy/KMSInvalidStateException': ANY_STATE,
  'GetKeyRotationStatus/KMSInvalidStateException': ANY_STATE,
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

const NOT_IN_A_CLUSTER = 'what keeps key material out of reach is answered as DependencyTimeoutException';

export const whyNotServed = (_operation: string): string => 'not served yet';

export const reasonFor = (operation: string, code: string): string | undefined =>
  code === 'KeyUnavailableException' && !IN_A_CLUSTER.includes(operation)
    ? NOT_IN_A_CLUSTER
    : (NOT_SHOWN[`${operation}/${code}`] ?? NOT_SHOWN[code]);
