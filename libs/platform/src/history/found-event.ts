import type { FoundEvent, HistoryPlace } from '#operations/audit/event-history';
import { type ReadRecord, userNameOf } from './history-entry';
import { accountsThatSee, seenBy } from './seen-record';
import type { Scope } from './terms';

/** A record as the account sees it that asked; undefined where that does not see it. */
export function foundEvent(stored: string, { time, place }: HistoryPlace, scope: Scope): FoundEvent | undefined {
  const record = JSON.parse(stored) as ReadRecord;
  const { account, region } = scope;
  if (record.awsRegion !== region) return undefined;
  if (!accountsThatSee(record).includes(account)) return undefined;
  const seen = seenBy(record, account);
  return eventOf(seen, seen === record ? stored : JSON.stringify(seen), { time, place });
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
