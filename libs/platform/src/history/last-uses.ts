import { type Kysely, sql } from 'kysely';
import type { UsedKind } from '#audit-log/uses';
import type { KnownUse } from '#operations/usage/last-uses';
import type { HistoryEntry } from './history-entry';
import type { HistoryTables, UseRow } from './schema';

/** Pure. The newest use of each thing, in one order, so that two processes that fold the same never wait for each other crosswise. */
export function newestUses(entries: readonly HistoryEntry[]): UseRow[] {
  const newest = new Map<string, UseRow>();
  for (const use of entries.flatMap(({ uses }) => uses)) {
    const name = `${use.kind} ${use.id}`;
    const known = newest.get(name);
    if (!known || isBefore(known, use)) newest.set(name, use);
  }
  return [...newest].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, use]) => use);
}

const isBefore = (a: UseRow, b: UseRow): boolean => a.time < b.time || (a.time === b.time && a.place < b.place);

/** Harmless to repeat. */
export async function foldUses(db: Kysely<HistoryTables>, entries: readonly HistoryEntry[]): Promise<void> {
  const uses = newestUses(entries);
  if (uses.length === 0) return;
  await sql`
    insert into history_last_uses
    select u.* from json_to_recordset(${JSON.stringify(uses)}::json) as u(
      kind text, id text, "time" bigint, place bigint, event_name text, event_source text, region text, event_id text,
      request_id text)
    on conflict (kind, id) do update set
      "time" = excluded."time", place = excluded.place, event_name = excluded.event_name,
      event_source = excluded.event_source, region = excluded.region, event_id = excluded.event_id,
      request_id = excluded.request_id
    where (history_last_uses."time", history_last_uses.place) < (excluded."time", excluded.place)`.execute(db);
}

/** Of the stream of records, in its order: the first one that ever comes stays. */
export async function foldOldest(db: Kysely<HistoryTables>, time: number): Promise<void> {
  await db
    .insertInto('history_tracked_since')
    .values({ one: true, time })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

export async function readUse(db: Kysely<HistoryTables>, kind: UsedKind, id: string): Promise<KnownUse> {
  const use = await db
    .selectFrom('history_last_uses')
    .selectAll()
    .where('kind', '=', kind)
    .where('id', '=', id)
    .executeTakeFirst();
  const since = await db.selectFrom('history_tracked_since').select('time').executeTakeFirst();
  return {
    ...(since && { trackedSince: Number(since.time) }),
    ...(use && {
      last: {
        time: Number(use.time),
        eventName: use.event_name,
        eventSource: use.event_source,
        region: use.region,
        eventId: use.event_id,
        requestId: use.request_id,
      },
    }),
  };
}
