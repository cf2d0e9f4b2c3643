import type { KeyMetadata } from '@aws-sdk/client-kms';
import { algorithmsOf, isSymmetricEncryption, type KeyUsage } from '#domain/key/key-kinds';
import { currentVersion, type KeyFacts } from '#domain/key/state';
import { storeOf } from '#views/key-store';
import type { Projection } from '#views/projection';
import type { FoundKey } from './key-lookup';
import { multiRegionConfiguration } from './multi-region/configuration';
import type { Call } from './operation';
import { epochSeconds, type Wire } from './wire/wire';

const ALGORITHMS_MEMBER = {
  ENCRYPT_DECRYPT: 'EncryptionAlgorithms',
  SIGN_VERIFY: 'SigningAlgorithms',
  GENERATE_VERIFY_MAC: 'MacAlgorithms',
  KEY_AGREEMENT: 'KeyAgreementAlgorithms',
  ENCAPSULATE_DECAPSULATE: 'EncapsulationAlgorithms',
} as const satisfies Record<KeyUsage, keyof KeyMetadata>;

/** The list of the key's algorithms, under the name that its usage has for it. */
export const algorithmsByUsage = ({
  keySpec,
  keyUsage,
}: Pick<KeyFacts, 'keySpec' | 'keyUsage'>): Partial<Wire<KeyMetadata>> => ({
  [ALGORITHMS_MEMBER[keyUsage]]: algorithmsOf(keySpec, keyUsage),
});

/** KeyMetadata as CreateKey, ReplicateKey and DescribeKey answer it. */
export function keyMetadata(found: FoundKey, call: Pick<Call, 'now'>, projection: Projection): Wire<KeyMetadata> {
  const { ref, arn, key } = found;
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
    ...(key.keyState === 'PendingReplicaDeletion' ? { PendingDeletionWindowInDays: key.pendingWindowInDays } : {}),
    Origin: key.origin,
    KeyManager: key.manager ?? 'CUSTOMER',
    CustomerMasterKeySpec: key.keySpec as NonNullable<KeyMetadata['CustomerMasterKeySpec']>,
    KeySpec: key.keySpec,
    ...algorithmsByUsage(key),
    MultiRegion: key.multiRegion,
    ...(key.family ? { MultiRegionConfiguration: multiRegionConfiguration(found, call, projection) } : {}),
    ...inCustomKeyStore(found, projection),
    // AWS tells it of the keys alone that can have several.
    ...(isSymmetricEncryption(key.keySpec) && key.versions.length > 0 && key.customKeyStoreId === undefined
      ? { CurrentKeyMaterialId: currentVersion(key).materialId }
      : {}),
    ...expiration(key),
  };
}

function inCustomKeyStore({ ref, key }: FoundKey, projection: Projection): Partial<Wire<KeyMetadata>> {
  if (key.customKeyStoreId === undefined) return {};
  const backing = storeOf(projection, ref, key)?.state.backing;
  return {
    CustomKeyStoreId: key.customKeyStoreId,
    ...(backing?.storeType === 'AWS_CLOUDHSM' ? { CloudHsmClusterId: backing.clusterId } : {}),
    ...(key.xksKeyId === undefined ? {} : { XksKeyConfiguration: { Id: key.xksKeyId } }),
  };
}

/** Of the copies that there are of the materials that are the key's for ever, the first that expires. */
function expiration({ versions }: KeyFacts): Pick<Wire<KeyMetadata>, 'ExpirationModel' | 'ValidTo'> {
  const copies = versions.flatMap(({ imported }) => (imported?.importState === 'IMPORTED' ? [imported] : []));
  if (copies.length === 0) return {};
  const [first] = copies.flatMap(({ validTo }) => validTo ?? []).sort();
  return first === undefined
    ? { ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' }
    : { ExpirationModel: 'KEY_MATERIAL_EXPIRES', ValidTo: epochSeconds(first) };
}
