import type { KeySpec } from '#domain/key/key-kinds';

/**
 * THE table of request quotas: requests a second that an account may make in a region, as AWS sets them by default
 * (AWS KMS Developer Guide, "Request quotas"). A class is what shares a quota: cryptographic operations by the kind of
 * key, and each management operation for itself. Where AWS's figure depends on the region, see `awsRate`.
 */
const QUOTA_CLASSES = {
  symmetric: 10_000,
  rsa: 1_000,
  'ml-dsa': 1_000,
  /** AWS's page has none yet: as for ML-DSA. */
  'ml-kem': 1_000,
  ecc: 1_000,
  'custom-key-store': 1_800,
  'GenerateDataKeyPair-ecc': 100,
  'GenerateDataKeyPair-sm2': 25,
  'GenerateDataKeyPair-rsa-2048': 20,
  'GenerateDataKeyPair-rsa-3072': 4,
  'GenerateDataKeyPair-rsa-4096': 1,
  CancelKeyDeletion: 5,
  ConnectCustomKeyStore: 5,
  CreateAlias: 5,
  CreateCustomKeyStore: 5,
  CreateGrant: 50,
  CreateKey: 5,
  DeleteAlias: 15,
  DeleteCustomKeyStore: 5,
  DeleteImportedKeyMaterial: 15,
  DescribeCustomKeyStores: 5,
  DescribeKey: 2_000,
  DisableKey: 5,
  DisableKeyRotation: 5,
  DisconnectCustomKeyStore: 5,
  EnableKey: 5,
  EnableKeyRotation: 15,
  GetKeyLastUsage: 5,
  GetKeyPolicy: 1_000,
  GetKeyRotationStatus: 1_000,
  GetParametersForImport: 1,
  GetPublicKey: 2_000,
  ImportKeyMaterial: 15,
  ListAliases: 500,
  ListGrants: 100,
  ListKeyPolicies: 100,
  ListKeyRotations: 100,
  ListKeys: 500,
  ListResourceTags: 2_000,
  ListRetirableGrants: 100,
  PutKeyPolicy: 15,
  ReplicateKey: 5,
  RetireGrant: 50,
  RevokeGrant: 50,
  RotateKeyOnDemand: 5,
  ScheduleKeyDeletion: 15,
  TagResource: 10,
  UntagResource: 5,
  UpdateAlias: 5,
  UpdateCustomKeyStore: 5,
  UpdateKeyDescription: 5,
  UpdatePrimaryRegion: 5,
} as const satisfies Record<string, number>;

export type QuotaClass = keyof typeof QUOTA_CLASSES;

/** That of cryptographic operations with keys of a spec. */
export function quotaClassOfKey(keySpec: KeySpec): QuotaClass {
  if (keySpec.startsWith('RSA_')) return 'rsa';
  if (keySpec.startsWith('ECC_') || keySpec === 'SM2') return 'ecc';
  if (keySpec.startsWith('ML_DSA_')) return 'ml-dsa';
  if (keySpec.startsWith('ML_KEM_')) return 'ml-kem';
  return 'symmetric';
}

/** That of making a data key pair of a spec. */
export const quotaClassOfPair = (pairSpec: KeySpec): QuotaClass =>
  PAIR_CLASSES[pairSpec as keyof typeof PAIR_CLASSES] ?? 'GenerateDataKeyPair-ecc';

const PAIR_CLASSES = {
  RSA_2048: 'GenerateDataKeyPair-rsa-2048',
  RSA_3072: 'GenerateDataKeyPair-rsa-3072',
  RSA_4096: 'GenerateDataKeyPair-rsa-4096',
  SM2: 'GenerateDataKeyPair-sm2',
} as const;

export const isQuotaClass = (name: string): name is QuotaClass => Object.hasOwn(QUOTA_CLASSES, name);

const SYMMETRIC_BY_REGION: ReadonlyMap<string, number> = new Map([
  ...['us-east-1', 'us-west-2', 'eu-west-1'].map((region) => [region, 100_000] as const),
  ...['us-east-2', 'ap-southeast-1', 'ap-southeast-2', 'ap-northeast-1', 'eu-central-1', 'eu-west-2'].map(
    (region) => [region, 20_000] as const,
  ),
]);

/** AWS's default rate of a class in a region, in requests a second. */
export const awsRate = (quotaClass: QuotaClass, region: string): number =>
  (quotaClass === 'symmetric' && SYMMETRIC_BY_REGION.get(region)) || QUOTA_CLASSES[quotaClass];
