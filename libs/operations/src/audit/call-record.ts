import { eventUuid } from '#audit-log/event-uuid';
import { type AdditionalEventData, type AuditRecord, EVENT_VERSION, type UserIdentity } from '#audit-log/record';
import type { CallerClaim } from '../caller';
import { awsNameOf, isReadOnly, type Operation } from '../operation';
import type { OperationReply } from '../operation-reply';
import { decisionInputOf } from './decision-input';
import { recordedRecipient } from './recorded-attestation';
import { isAccessDenied, recordedCode } from './recorded-error';
import { requestParametersOf, responseElementsOf } from './recorded-members';
import type { Trail } from './trail';
import { claimedIdentity, userIdentityOf } from './user-identity';

/** A call as it came out, seen by whoever answers it. */
export interface AnsweredCall {
  operation: Pick<Operation, 'name' | 'service' | 'plane' | 'recordedDefaults' | 'recordsReply'>;
  requestId: string;
  /** A UUID, the same for every record of one call. */
  eventId: string;
  /** ISO 8601, from the clock. */
  now: string;
  /** As far as it was claimed; `account` is in whose trail the record goes. */
  claim: Pick<CallerClaim, 'account' | 'region'> & Partial<CallerClaim>;
  /** Absent of a call that reached no operation. */
  trail?: Trail;
  reply: OperationReply;
}

/** CloudTrail cuts long texts too. */
const LONGEST_TEXT = 1_024;
const FROM_NATS = 'nats';

/** Pure. The record of a call, whatever came of it. */
export function callRecord({ operation, requestId, eventId, now, claim, trail, reply }: AnsweredCall): AuditRecord {
  const { caller } = trail ?? {};
  const userIdentity: UserIdentity = caller ? userIdentityOf(caller) : claimedIdentity(claim);
  const errorCode = reply.error && recordedCode(operation.service, reply.error);
  const readOnly = isReadOnly(operation as Operation);
  return {
    eventVersion: EVENT_VERSION,
    userIdentity,
    eventTime: `${now.slice(0, 19)}Z`,
    eventSource: `${operation.service}.amazonaws.com`,
    eventName: awsNameOf(operation),
    awsRegion: claim.region,
    ...(errorCode !== undefined && { errorCode, errorMessage: messageOf(reply) }),
    ...additional(trail),
    requestID: requestId,
    eventID: eventId,
    readOnly,
    ...(trail && trail.resources.length > 0 && { resources: trail.resources }),
    eventType: 'AwsApiCall',
    managementEvent: true,
    recipientAccountId: claim.account,
    ...shared(claim.account, eventId, trail, errorCode),
    eventCategory: 'Management',
    sourceIPAddress: claim.sourceIp ?? FROM_NATS,
    ...(claim.userAgent !== undefined && { userAgent: claim.userAgent.slice(0, LONGEST_TEXT) }),
    requestParameters: requestParametersOf(trail?.request, operation.recordedDefaults),
    responseElements:
      errorCode !== undefined || (readOnly && !operation.recordsReply)
        ? null
        : responseElements(operation, reply, trail),
    ...decisionInputOf(trail),
    ...(claim.tls && { tlsDetails: claim.tls }),
  };
}

/** Whoever changes a key finds its ARN here, though AWS KMS does not answer with it: so it is in CloudTrail. */
function responseElements({ service }: { service: string }, reply: OperationReply, trail?: Trail): object | null {
  const shown = responseElementsOf(bodyOf(reply));
  const keyArn = service === 'kms' ? trail?.keyArn : undefined;
  const tellsKey = shown && ('keyMetadata' in shown || 'replicaKeyMetadata' in shown);
  return keyArn === undefined || tellsKey ? shown : { keyId: keyArn, ...shown };
}

/** A refusal for want of permissions is in the caller's trail alone. */
function shared(account: string, eventId: string, trail: Trail | undefined, errorCode: string | undefined) {
  const others = trail?.resources.some(({ accountId }) => accountId !== account);
  return others && !isAccessDenied(errorCode) ? { sharedEventID: eventUuid(`keytrail shared event ${eventId}`) } : {};
}

function additional(trail: Trail | undefined): { additionalEventData?: AdditionalEventData } {
  if (!trail) return {};
  const { decidedBy, keyMaterialId, sourceKeyMaterialId, destinationKeyMaterialId, retiredGrantId, attestation } =
    trail;
  const data = {
    ...(keyMaterialId && { keyMaterialId }),
    ...(sourceKeyMaterialId && { sourceKeyMaterialId }),
    ...(destinationKeyMaterialId && { destinationKeyMaterialId }),
    ...(retiredGrantId && { grantId: retiredGrantId }),
    ...(attestation && { recipient: recordedRecipient(attestation) }),
    ...(decidedBy && { decidedBy }),
  };
  return Object.keys(data).length === 0 ? {} : { additionalEventData: data };
}

const messageOf = (reply: OperationReply): string | undefined =>
  (bodyOf(reply) as { message?: string }).message?.slice(0, LONGEST_TEXT);

const bodyOf = ({ body }: OperationReply): unknown =>
  JSON.parse(typeof body === 'string' ? body : Buffer.from(body).toString('utf8'));
