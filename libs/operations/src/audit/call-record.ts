import { type AdditionalEventData, type AuditRecord, EVENT_VERSION, type UserIdentity } from '#audit-log/record';
import type { CallerClaim } from '../caller';
import { isReadOnly, type Operation } from '../operation';
import type { OperationReply } from '../run-operation';
import { decisionInputOf } from './decision-input';
import { requestParametersOf, responseElementsOf } from './recorded-members';
import type { Trail } from './trail';
import { claimedIdentity, userIdentityOf } from './user-identity';

/** A call as it came out, seen by whoever answers it. */
export interface AnsweredCall {
  operation: Pick<Operation, 'name' | 'service' | 'plane'>;
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
  const failed = reply.error !== undefined;
  const readOnly = isReadOnly(operation as Operation);
  return {
    eventVersion: EVENT_VERSION,
    userIdentity,
    eventTime: `${now.slice(0, 19)}Z`,
    eventSource: `${operation.service}.amazonaws.com`,
    eventName: operation.name,
    awsRegion: claim.region,
    ...(failed && { errorCode: reply.error, errorMessage: messageOf(reply) }),
    ...additional(trail),
    requestID: requestId,
    eventID: eventId,
    readOnly,
    ...(trail && trail.resources.length > 0 && { resources: trail.resources }),
    eventType: 'AwsApiCall',
    managementEvent: true,
    recipientAccountId: claim.account,
    eventCategory: 'Management',
    sourceIPAddress: claim.sourceIp ?? FROM_NATS,
    ...(claim.userAgent !== undefined && { userAgent: claim.userAgent.slice(0, LONGEST_TEXT) }),
    requestParameters: requestParametersOf(trail?.request),
    responseElements: failed || readOnly ? null : responseElementsOf(bodyOf(reply)),
    ...decisionInputOf(trail),
  };
}

function additional(trail: Trail | undefined): { additionalEventData?: AdditionalEventData } {
  if (!trail) return {};
  const { decidedBy, keyMaterialId, sourceKeyMaterialId } = trail;
  if (!decidedBy && !keyMaterialId) return {};
  return {
    additionalEventData: {
      ...(keyMaterialId && { keyMaterialId }),
      ...(sourceKeyMaterialId && { sourceKeyMaterialId }),
      ...(decidedBy && { decidedBy }),
    },
  };
}

const messageOf = (reply: OperationReply): string | undefined =>
  (bodyOf(reply) as { message?: string }).message?.slice(0, LONGEST_TEXT);

const bodyOf = ({ body }: OperationReply): unknown =>
  JSON.parse(typeof body === 'string' ? body : Buffer.from(body).toString('utf8'));
