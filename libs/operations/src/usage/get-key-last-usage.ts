import type { GetKeyLastUsageRequest, GetKeyLastUsageResponse } from '@aws-sdk/client-kms';
import type { TrackedOperation } from '#audit-log/uses';
import { authorizeKey } from '../authorization';
import { findKey } from '../key-lookup';
import { audit } from '../operation';
import { KEY_ID, Required } from '../wire/fields';
import { epochSeconds, type Wire } from '../wire/wire';
import { trackingStart } from './trailing-days';

class GetKeyLastUsage implements GetKeyLastUsageRequest {
  @Required(KEY_ID) KeyId!: string;
}

export const getKeyLastUsage = audit<GetKeyLastUsage, Wire<GetKeyLastUsageResponse>>({
  service: 'kms',
  name: 'GetKeyLastUsage',
  request: GetKeyLastUsage,
  async lookUp(request, call, { projection, lastUses }) {
    const found = findKey(request.KeyId, 'key', call, projection);
    authorizeKey(call, projection, found);
    const { createdAt } = found.key;
    const known = await lastUses.lastUse('key', found.arn);
    const { last } = known;
    return {
      KeyId: found.keyId,
      KeyCreationDate: epochSeconds(createdAt),
      TrackingStartDate: trackingStart(known, createdAt, call.now) / 1000,
      // Empty, not absent, for a key that was not used.
      KeyLastUsage: last
        ? {
            Operation: last.eventName as TrackedOperation,
            Timestamp: last.time,
            CloudTrailEventId: last.eventId,
            ...(last.requestId !== null && { KmsRequestId: last.requestId }),
          }
        : {},
    };
  },
});
