import type { MultiRegionConfiguration, MultiRegionKey } from '@aws-sdk/client-kms';
import { keyArn } from '#domain/arn';
import { livingKeyAt } from '#domain/key/living';
import type { LivingKey } from '#domain/key/state';
import type { Projection } from '#views/projection';
import type { FoundKey } from '../key-lookup';
import type { Call } from '../operation';
import type { Wire } from '../wire/wire';

/**
 * Which keys are related, as the view has them. While the primary is being changed there may be none: then it is the one that
 * is to be, and all are replicas (AWS KMS API Reference, UpdatePrimaryRegion).
 */
export function multiRegionConfiguration(
  { ref, key }: FoundKey,
  call: Pick<Call, 'now'>,
  projection: Projection,
): Wire<MultiRegionConfiguration> {
  const living = Array.from(projection.relatedKeys(ref), (related) => ({
    region: related.ref.region,
    family: livingKeyAt(related.state, call.now)?.family,
  })).filter(({ family }) => family !== undefined);
  const primary = living.find(({ family }) => family?.keyType === 'PRIMARY')?.region;
  const next = living.find(({ family }) => family?.handedTo !== undefined)?.family?.handedTo;
  const shown = (region: string): Wire<MultiRegionKey> => ({
    Arn: keyArn(region, ref.account, ref.id),
    Region: region,
  });
  return {
    MultiRegionKeyType: keyTypeOf(key),
    PrimaryKey: shown(primary ?? next ?? ref.region),
    ReplicaKeys: living
      .filter(({ family }) => family?.keyType === 'REPLICA')
      .map(({ region }) => region)
      .sort()
      .map(shown),
  };
}

const keyTypeOf = ({ family }: LivingKey): 'PRIMARY' | 'REPLICA' => family?.keyType ?? 'PRIMARY';
