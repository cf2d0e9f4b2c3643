import type { KeyCall } from '#platform/history/key-calls';
import { recordedTime } from '#views/moment';
import type { HistoryEntry } from './commit-lines';

/** A commit. */
export interface Change extends HistoryEntry {
  kind: 'change';
  /** In the log. */
  position: number;
  /** ARN of the key or alias, or the id of the grant that it happened to. */
  of: string;
  /** Of the record of the call that made it. */
  eventID?: string;
}

/** A call that changed nothing: a use, a question, a refusal. */
export type TimelineEntry = Change | (KeyCall & { kind: 'call' });

/**
 * Changes, in the order of the log, and calls, in that of the records, oldest first, in one order by time. A call that made a change
 * is told as that change. Records have whole seconds: of one second, the calls lie around the changes as their records do.
 */
export function inOneOrder(changes: readonly Change[], calls: readonly KeyCall[]): TimelineEntry[] {
  const made = new Map<string, number>();
  for (const [index, { requestId, operation }] of changes.entries()) made.set(`${operation} ${requestId}`, index);
  const told = changes.map((change) => ({ ...change }));
  const entries: TimelineEntry[] = [];
  let next = 0;
  for (const call of calls) {
    while (next < told.length && secondOf(told[next]!) < call.eventTime.slice(0, SECOND)) entries.push(told[next++]!);
    const own = call.errorCode === undefined ? made.get(`${call.eventName} ${call.requestID}`) : undefined;
    const change = own === undefined ? undefined : told[own]!;
    // A client over NATS chooses its request ids: one that it used before makes no second call the same.
    if (own === undefined || !change || change.eventID !== undefined) {
      entries.push({ kind: 'call', ...call });
      continue;
    }
    change.eventID = call.eventID;
    while (next <= own) entries.push(told[next++]!);
  }
  return [...entries, ...told.slice(next)];
}

const SECOND = '2026-01-01T00:00:00'.length;
const secondOf = (change: Change): string => recordedTime(change).slice(0, SECOND);
