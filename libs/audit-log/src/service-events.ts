import { keyArn } from '#domain/arn';
import type { Commit, DomainEvent } from '#domain/commit';
import { eventSubject } from '#domain/subjects';
import { eventUuid } from './event-uuid';
import { type AuditRecord, EVENT_VERSION } from './record';

/** As AWS calls its own services in the records of what they did. */
const AWS_INTERNAL = 'AWS Internal';
const OF_A_SERVICE = 'keytrail:';

/**
 * Pure. The records of what a service did by itself, made from its commit: no call stands behind it. A commit that was
 * asked for has none. Source: AWS KMS Developer Guide, "Logging AWS KMS API calls", entries of RotateKey, DeleteKey,
 * DeleteExpiredKeyMaterial, ReplicateKey, UpdatePrimaryRegion and SynchronizeMultiRegionKey.
 */
export function serviceEventsOf(commit: Commit): AuditRecord[] {
  const { account, region, id, time } = commit;
  if (!commit.principal.startsWith(OF_A_SERVICE) || commit.aggregate !== 'key') return [];
  return commit.events.flatMap((event, index) => {
    const done = doneBy(event);
    if (!done) return [];
    const { eventName, details } = done;
    const about = done.region ?? region;
    const arn = keyArn(about, account, id);
    return {
      eventVersion: EVENT_VERSION,
      userIdentity: { type: 'AWSService', accountId: account, invokedBy: AWS_INTERNAL },
      eventTime: `${time.slice(0, 19)}Z`,
      eventSource: 'kms.amazonaws.com',
      eventName,
      awsRegion: about,
      eventID: eventUuid(`keytrail service event ${eventSubject(commit)} ${commit.version} ${index}`),
      readOnly: false,
      resources: [{ accountId: account, type: 'AWS::KMS::Key', ARN: arn }],
      eventType: details ? 'AwsServiceEvent' : 'AwsApiCall',
      managementEvent: true,
      recipientAccountId: account,
      eventCategory: 'Management',
      ...(details ? { serviceEventDetails: { keyId: id, ...details } } : { requestID: commit.requestId }),
      sourceIPAddress: AWS_INTERNAL,
      userAgent: AWS_INTERNAL,
      requestParameters: null,
      responseElements: details ? null : { keyId: arn },
    } satisfies AuditRecord;
  });
}

interface Done {
  eventName: string;
  /** Absent of what AWS records as a call that a service made of itself. */
  details?: Record<string, string>;
  /** That of the key which the record is about, where it is a related one. */
  region?: string;
}

/**
 * Erasing what is left of a deleted key is the end of its DeleteKey. ReplicateKey and UpdatePrimaryRegion have two records:
 * that of the call, in the region where it was made, and one in the other region.
 */
function doneBy(event: DomainEvent): Done | undefined {
  switch (event.type) {
    case 'KeyRotated':
      return {
        eventName: 'RotateKey',
        details: { rotationType: event.rotationType, keyOrigin: 'AWS_KMS', currentKeyMaterialId: event.materialId },
      };
    case 'KeyMaterialExpired':
      return { eventName: 'DeleteExpiredKeyMaterial', details: { keyMaterialId: event.materialId } };
    case 'KeyCreated':
      return { eventName: 'CreateKey', details: {} };
    case 'KeyDeleted':
      return { eventName: 'DeleteKey', details: {} };
    case 'KeyReplicated':
      return { eventName: 'CreateKey' };
    case 'KeyMadePrimary':
      return { eventName: 'UpdatePrimaryRegion' };
    case 'KeySynchronized':
      return { eventName: 'SynchronizeMultiRegionKey', region: event.primaryRegion };
    default:
      return undefined;
  }
}
