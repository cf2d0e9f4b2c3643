import type { KeySpec } from '../key/events';

/** `GrantOperation` of the AWS KMS API model, in its order. */
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
] as const;
export type GrantOperation = (typeof GRANT_OPERATIONS)[number];

const ON_ANY_KEY = ['CreateGrant', 'RetireGrant', 'DescribeKey'] as const;

/** What can be granted on a key, as the AWS KMS developer guide's "Grant operations" has it. */
const ON_KEYS: Record<KeySpec, ReadonlySet<GrantOperation>> = {
  SYMMETRIC_DEFAULT: new Set([
    ...ON_ANY_KEY,
    'Decrypt',
    'Encrypt',
    'GenerateDataKey',
    'GenerateDataKeyWithoutPlaintext',
    'ReEncryptFrom',
    'ReEncryptTo',
    'GenerateDataKeyPair',
    'GenerateDataKeyPairWithoutPlaintext',
  ]),
};

export const canBeGranted = (operation: GrantOperation, keySpec: KeySpec): boolean => ON_KEYS[keySpec].has(operation);

/** Only symmetric encryption takes an encryption context, which the constraints are about. */
export const takesConstraints = (keySpec: KeySpec): boolean => keySpec === 'SYMMETRIC_DEFAULT';

/** Each once, in the order of the API's list: two requests that differ in this alone ask for the same grant. */
export const inOrder = (operations: readonly GrantOperation[]): GrantOperation[] =>
  GRANT_OPERATIONS.filter((operation) => operations.includes(operation));
