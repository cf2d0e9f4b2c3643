import type { FoundEvent, HistoryPlace } from '#operations/audit/event-history';
import { type ReadRecord, userNameOf } from './history-entry';
import type { Scope } from './terms';

/** A record as the account sees it that asked; undefined where that does not see it. */
export function foundEvent(stored: string, { time, place }: HistoryPlace, scope: Scope): FoundEvent | undefined {
  const record = JSON.parse(stored) as ReadRecord;
  const { account, region } = scope;
  if (record.awsRegion !== region) return undefined;
  if (record.recipientAccountId === account) return eventOf(record, stored, { time, place });
  if (!record.resources?.some(({ accountId }) => accountId === account)) return undefined;
  const seen = asTheOwnerSees(record, account);
  return eventOf(seen, JSON.stringify(seen), { time, place });
}

const eventOf = (of: ReadRecord, record: string, { time, place }: HistoryPlace): FoundEvent => ({
  ...{ time, place, record },
  eventId: of.eventID,
  eventName: of.eventName,
  eventSource: of.eventSource,
  userName: userNameOf(of) ?? null,
  accessKeyId: of.userIdentity.accessKeyId ?? null,
  readOnly: of.readOnly,
});

/** As AWS shows it to the owner of a key: who the caller is by its account and id alone. */
function asTheOwnerSees(record: ReadRecord, owner: string): ReadRecord {
  const { principalId, accountId } = record.userIdentity;
  return {
    ...record,
    userIdentity: { type: 'AWSAccount', ...(principalId && { principalId }), ...(accountId && { accountId }) },
    recipientAccountId: owner,
  };
}
