import { decodeBatch } from '#audit-log/batch';
import type { AuditRecord } from '#audit-log/record';
import { keyArn } from '#domain/arn';
import type { AggregateRef } from '#domain/subjects';
import { askForKeyCalls, type KeyCall, type KeyCallsPage, keyCallOf, MAX_CALLS } from '#platform/history/key-calls';
import type { Operator } from './operator';
import { batchesSince } from './record-reader';

export interface Window {
  /** ISO 8601, both inclusive. Records have whole seconds: every call of either second counts. */
  since: string;
  until: string;
  /** How many at most: the newest. */
  limit: number;
}

/**
 * The calls on record that were about a key, oldest first: from the read model, or, where no audit-projector answers, from the
 * open parts of the records, which takes no sealing key.
 */
export async function callsOnKey(
  operator: Operator,
  ref: AggregateRef<'key'>,
  window: Window,
  warn: (line: string) => void,
): Promise<KeyCall[]> {
  if (operator.services) {
    try {
      return await fromReadModel(operator, ref, window);
    } catch (error) {
      warn(`the event history does not answer (${(error as Error).message}): all records are read instead`);
    }
  }
  return fromRecords(operator, ref, window);
}

const seconds = (iso: string): number => Math.max(0, Math.floor(Date.parse(iso) / 1_000));

async function fromReadModel(operator: Operator, ref: AggregateRef<'key'>, window: Window): Promise<KeyCall[]> {
  const calls: KeyCall[] = [];
  const range = { ref, from: seconds(window.since), to: seconds(window.until) };
  let after: KeyCallsPage['after'];
  do {
    const limit = Math.min(MAX_CALLS, window.limit - calls.length);
    const page = await askForKeyCalls(operator.nats, { ...range, limit, ...(after && { after }) });
    calls.push(...page.calls);
    after = page.after;
  } while (after && calls.length < window.limit);
  return calls.reverse();
}

/** What was tried twice is on record twice, and counts once. */
async function fromRecords(operator: Operator, ref: AggregateRef<'key'>, window: Window): Promise<KeyCall[]> {
  const arn = keyArn(ref.region, ref.account, ref.id);
  const [first, last] = [seconds(window.since), seconds(window.until)];
  const calls = new Map<string, KeyCall>();
  for await (const bytes of batchesSince(operator, window.since)) {
    for (const open of decodeBatch(bytes).open) {
      // Most records are of other keys: they need not be parsed.
      if (!open.includes(ref.id)) continue;
      const record = JSON.parse(open) as AuditRecord;
      const time = seconds(record.eventTime);
      if (time < first || time > last || !record.resources?.some(({ ARN }) => ARN === arn)) continue;
      if (!calls.has(record.eventID)) calls.set(record.eventID, keyCallOf(record));
      if (calls.size >= 2 * window.limit) forgetOldest(calls, window.limit);
    }
  }
  forgetOldest(calls, window.limit);
  return inOrder(calls);
}

const inOrder = (calls: ReadonlyMap<string, KeyCall>): KeyCall[] =>
  [...calls.values()].sort((a, b) => seconds(a.eventTime) - seconds(b.eventTime));

function forgetOldest(calls: Map<string, KeyCall>, limit: number): void {
  if (calls.size <= limit) return;
  for (const { eventID } of inOrder(calls).slice(0, calls.size - limit)) calls.delete(eventID);
}
