import { isAsymmetric, isSymmetricEncryption, type KeySpec, type KeyUsage } from '../key/key-kinds';

/** `GrantOperation` of the AWS KMS API model, in its order; last those of ML-KEM, which only the newest clients have. */
export const GRANT_OPERATIONS = [
  'Decrypt',
  'Encrypt',
  'GenerateDataKey',
  'GenerateDataKeyWithoutPlaintext',
  'ReEncryptFrom',
  'ReEncryptTo',
  'Sign',
  'Verify',
  'GetPublicKey',
  'CreateGrant',
  'RetireGrant',
  'DescribeKey',
  'GenerateDataKeyPair',
  'GenerateDataKeyPairWithoutPlaintext',
  'GenerateMac',
  'VerifyMac',
  'DeriveSharedSecret',
  'Encapsulate',
  'Decapsulate',
] as const;
export type GrantOperation = (typeof GRANT_OPERATIONS)[number];

const ON_ANY_KEY = ['CreateGrant', 'RetireGrant', 'DescribeKey'] as const;
const ENCRYPTION = ['Encrypt', 'Decrypt', 'ReEncryptFrom', 'ReEncryptTo'] as const;
const DATA_KEYS = [
  'GenerateDataKey',
  'GenerateDataKeyWithoutPlaintext',
  'GenerateDataKeyPair',
  'GenerateDataKeyPairWithoutPlaintext',
] as const;

/** What can be granted on a key, as the AWS KMS developer guide's "Grant operations" has it. */
const BY_USAGE: Record<KeyUsage, ReadonlySet<GrantOperation>> = {
  ENCRYPT_DECRYPT: new Set([...ON_ANY_KEY, ...ENCRYPTION]),
  SIGN_VERIFY: new Set([...ON_ANY_KEY, 'Sign', 'Verify']),
  GENERATE_VERIFY_MAC: new Set([...ON_ANY_KEY, 'GenerateMac', 'VerifyMac']),
  KEY_AGREEMENT: new Set([...ON_ANY_KEY, 'DeriveSharedSecret']),
  ENCAPSULATE_DECAPSULATE: new Set([...ON_ANY_KEY, 'Encapsulate', 'Decapsulate']),
};
const ON_SYMMETRIC_KEYS: ReadonlySet<GrantOperation> = new Set(DATA_KEYS);

export const canBeGranted = (operation: GrantOperation, keySpec: KeySpec, keyUsage: KeyUsage): boolean =>
  BY_USAGE[keyUsage].has(operation) ||
  (operation === 'GetPublicKey' && isAsymmetric(keySpec)) ||
  (isSymmetricEncryption(keySpec) && ON_SYMMETRIC_KEYS.has(operation));

/** Only symmetric encryption takes an encryption context, which the constraints are about. */
export const takesConstraints = (keySpec: KeySpec): boolean => isSymmetricEncryption(keySpec);

/** Each once, in the order of the API's list: two requests that differ in this alone ask for the same grant. */
export const inOrder = (operations: readonly GrantOperation[]): GrantOperation[] =>
  GRANT_OPERATIONS.filter((operation) => operations.includes(operation));
