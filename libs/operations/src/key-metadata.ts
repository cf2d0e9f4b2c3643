import type { KeyMetadata } from '@aws-sdk/client-kms';
import { currentVersion } from '#domain/key/state';
import type { FoundKey } from './key-lookup';
import { epochSeconds, type Wire } from './wire/wire';

/** KeyMetadata as CreateKey and DescribeKey answer it. */
export function keyMetadata({ ref, arn, key }: FoundKey): Wire<KeyMetadata> {
  return {
    AWSAccountId: ref.account,
    KeyId: ref.id,
    Arn: arn,
    CreationDate: epochSeconds(key.createdAt),
    Enabled: key.keyState === 'Enabled',
    Description: key.description,
    KeyUsage: key.keyUsage,
    KeyState: key.keyState,
    ...(key.keyState === 'PendingDeletion' ? { DeletionDate: epochSeconds(key.deletionDate) } : {}),
    Origin: key.origin,
    KeyManager: 'CUSTOMER',
    CustomerMasterKeySpec: key.keySpec,
    KeySpec: key.keySpec,
    EncryptionAlgorithms: ['SYMMETRIC_DEFAULT'],
    MultiRegion: key.multiRegion,
    CurrentKeyMaterialId: currentVersion(key).materialId,
  };
}
