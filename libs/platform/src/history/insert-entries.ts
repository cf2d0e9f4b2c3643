import { type Kysely, sql } from 'kysely';
import type { HistoryEntry } from './history-entry';
import type { HistoryTables } from './schema';

/**
 * Takes the entries in that are not there yet: of two records of one call the first counts.
 *
 * All of them go in one text, a line each, the fields between tabs, of which JSON has none: PostgreSQL takes that apart
 * in a third of the time that it takes over JSON or arrays.
 */
export async function insertEntries(db: Kysely<HistoryTables>, entries: readonly HistoryEntry[]): Promise<void> {
  const lines = firstOfEach(entries).map(lineOf);
  if (lines.length === 0) return;
  await sql`
    with entry as materialized (
      select
        split_part(line, E'\t', 1)::bigint as place,
        split_part(line, E'\t', 2)::bigint as "time",
        split_part(line, E'\t', 3)::uuid as event_id,
        split_part(line, E'\t', 4) as terms,
        split_part(line, E'\t', 5) as record
      from string_to_table(${lines.join('\n')}, E'\n') as line
    ), taken as (
      insert into history_records (place, "time", event_id, record)
      select place, "time", event_id, record
      from entry
      where not exists (select from history_records as known where known.event_id = entry.event_id)
      returning place
    )
    insert into history_terms (term, "time", place)
    select string_to_table(terms, ' ')::uuid, "time", place
    from entry
    join taken using (place)`.execute(db);
}

const lineOf = ({ place, time, eventId, terms, record }: HistoryEntry): string =>
  `${place}\t${time}\t${eventId}\t${terms.join(' ')}\t${record}`;

function firstOfEach(entries: readonly HistoryEntry[]): HistoryEntry[] {
  const told = new Set<string>();
  return entries.filter(({ eventId }) => {
    if (told.has(eventId)) return false;
    told.add(eventId);
    return true;
  });
}

/** The kinds of a few terms, so as many rows as there are. Harmless to repeat. */
export async function insertKinds(
  db: Kysely<HistoryTables>,
  kinds: ReadonlyMap<string, readonly string[]>,
): Promise<void> {
  const rows = [...kinds].flatMap(([kind, isOf]) => isOf.map((term) => ({ term, kind })));
  if (rows.length === 0) return;
  await db
    .insertInto('history_kinds')
    .values(rows)
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}
