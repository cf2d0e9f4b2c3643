import type { NatsConnection } from 'nats';
import type { AdditionalEventData, AuditRecord, UserIdentity } from '#audit-log/record';
import { keyArn } from '#domain/arn';
import { KmsError } from '#domain/errors';
import { type AggregateRef, INTERNAL, QUEUE } from '#domain/subjects';
import type { EventHistory, FoundEvent, HistoryPlace } from '#operations/audit/event-history';
import { membersOf, positionOf, refOf } from '../internal-questions';
import { answer, ask } from '../internal-requests';
import type { ServedRequests } from '../served-requests';

/** A call that was about a key, allowed or refused: what the open part of its record says. */
export interface KeyCall {
  /** Whole seconds. */
  eventTime: string;
  eventID: string;
  eventName: string;
  requestID?: string;
  errorCode?: string;
  userIdentity: UserIdentity;
  additionalEventData?: AdditionalEventData;
}

/** Which of the calls on a key, newest first. */
export interface KeyCallsQuestion {
  ref: AggregateRef<'key'>;
  /** Whole epoch seconds, both inclusive. */
  from: number;
  to: number;
  /** At most MAX_CALLS of them, of those before this one. */
  limit: number;
  after?: HistoryPlace;
}

export interface KeyCallsPage {
  calls: KeyCall[];
  /** Where the next page goes on; none after the last one. */
  after?: HistoryPlace;
}

/** Of one page: what they say may be long. */
export const MAX_CALLS = 200;

/** Has this audit-projector tell the operator of the calls on a key, from its read model. */
export function serveKeyCalls(served: ServedRequests, history: EventHistory, onError: (error: unknown) => void): void {
  answer<unknown, KeyCallsPage>(served, INTERNAL.keyCalls, QUEUE.audit, (asked) => pageOf(history, asked), onError);
}

/** Rejects with DependencyTimeoutException where no audit-projector answers, ServiceUnavailableException while it cannot. */
export const askForKeyCalls = (nats: NatsConnection, question: KeyCallsQuestion): Promise<KeyCallsPage> =>
  ask(nats, INTERNAL.keyCalls, question, { timeoutMs: 40_000 });

async function pageOf(history: EventHistory, asked: unknown): Promise<KeyCallsPage> {
  const { ref, limit, ...range } = questionOf(asked);
  const { account, region } = ref;
  const attribute = { key: 'ResourceName', value: keyArn(region, account, ref.id) } as const;
  const found = await history.lookUp({ account, region, attribute, limit, ...range });
  const calls: KeyCall[] = [];
  for (const event of found) {
    const record = await asTheCallerSees(history, event);
    // What a service did by itself is told by its commit.
    if (record.eventType === 'AwsApiCall') calls.push(keyCallOf(record));
  }
  const last = found.length < limit ? undefined : found.at(-1);
  return { calls, ...(last && { after: { time: last.time, place: last.place } }) };
}

/** The owner of a key is not told who a caller of another account is; the operator is. */
async function asTheCallerSees(history: EventHistory, { eventId, record }: FoundEvent): Promise<AuditRecord> {
  const seen = JSON.parse(record) as AuditRecord;
  const { type, accountId } = seen.userIdentity;
  if (type !== 'AWSAccount' || accountId === undefined || accountId === seen.recipientAccountId) return seen;
  const attribute = { key: 'EventId', value: eventId } as const;
  const [own] = await history.lookUp({ account: accountId, region: seen.awsRegion, attribute, limit: 1 });
  return own ? (JSON.parse(own.record) as AuditRecord) : seen;
}

/** Those members of a record. */
export function keyCallOf({
  eventTime,
  eventID,
  eventName,
  requestID,
  errorCode,
  userIdentity,
  additionalEventData,
}: KeyCall): KeyCall {
  return {
    ...{ eventTime, eventID, eventName, userIdentity },
    ...(requestID !== undefined && { requestID }),
    ...(errorCode !== undefined && { errorCode }),
    ...(additionalEventData && { additionalEventData }),
  };
}

/** Throws ValidationException naming the member that is not as it must be. */
function questionOf(asked: unknown): KeyCallsQuestion {
  const members = membersOf(asked);
  const limit = positionOf(members, 'limit');
  if (limit < 1 || limit > MAX_CALLS) {
    throw new KmsError('ValidationException', `limit: expected a number from 1 to ${MAX_CALLS}`);
  }
  const after = members['after'] === undefined ? undefined : membersOf(members['after'], 'after');
  return {
    ref: refOf(members['ref'], 'key'),
    from: positionOf(members, 'from'),
    to: positionOf(members, 'to'),
    limit,
    ...(after && { after: { time: positionOf(after, 'time'), place: positionOf(after, 'place') } }),
  };
}
