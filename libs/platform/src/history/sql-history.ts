import { type Dialect, Kysely, type RawBuilder, type SqlBool, sql, type Transaction } from 'kysely';
import { LRUCache } from 'lru-cache';
import type { UsedKind } from '#audit-log/uses';
import type { StoredCommit } from '#event-store/event-store';
import type { FoundEvent, HistoryQuery } from '#operations/audit/event-history';
import type { KnownUse } from '#operations/usage/last-uses';
import { foundEvent } from './found-event';
import { eventIdKey, type HistoryEntry, type HistoryStream, partsOfPlace } from './history-entry';
import { insertEntries, insertKinds } from './insert-entries';
import { foldOldest, foldUses, readUse } from './last-uses';
import { type HistoryTables, migrate } from './schema';
import { type SoughtTerms, soughtTerms } from './terms';
import type { MessagesToFold } from './thread-messages';

/** How far a stream is folded in: its newest message there, and the hex SHA-256 of that one's bytes. */
export interface FoldedTo {
  position: number;
  hash: string;
}

/** Somebody else has emptied the read model meanwhile, so what was to be folded in does not follow on it any more. */
export class EmptiedError extends Error {
  override readonly name = 'EmptiedError';
}

const BEGUN = 'begun';
const KINDS_KNOWN = 20_000;

type FoldMessages = (fold: MessagesToFold) => Promise<void>;

/** Another process has emptied the model. */
class BegunAnewError extends Error {
  override readonly name = 'BegunAnewError';
}

/** The read model in a database. It holds nothing that the streams do not, so it may be thrown away. */
export class SqlHistory {
  private begun: number | undefined;
  /** Terms of kinds that are in the database: not all of them, since whoever calls may name any region. */
  private readonly knownKinds = new LRUCache<string, true>({ max: KINDS_KNOWN });

  private constructor(
    private readonly db: Kysely<HistoryTables>,
    private readonly foldElsewhere?: FoldMessages,
  ) {}

  /** Opens it with the newest schema. */
  static async open(dialect: Dialect, foldElsewhere?: FoldMessages): Promise<SqlHistory> {
    const db = new Kysely<HistoryTables>({ dialect });
    try {
      await migrate(db);
      return new SqlHistory(db, foldElsewhere);
    } catch (error) {
      await db.destroy();
      throw error;
    }
  }

  /** One that has the newest schema, and was begun at that position. */
  static begunAt(dialect: Dialect, begun: number): SqlHistory {
    const history = new SqlHistory(new Kysely<HistoryTables>({ dialect }));
    history.begun = begun;
    return history;
  }

  /**
   * The position of the event log that was known when the model was begun, which is `position` where nothing has been
   * folded in yet. Folds are refused from then on once somebody has begun it anew.
   */
  async begin(position: number): Promise<number> {
    await this.db
      .insertInto('history_folded')
      .values({ stream: BEGUN, position, hash: '' })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    this.begun = await begunIn(this.db);
    return this.begun!;
  }

  async foldedTo(stream: HistoryStream): Promise<FoldedTo | undefined> {
    const row = await this.db.selectFrom('history_folded').selectAll().where('stream', '=', stream).executeTakeFirst();
    return row && { position: Number(row.position), hash: row.hash };
  }

  /**
   * Takes in what the stream says behind the position `after` up to `to`, in one transaction with the position: all of it
   * or none. Several processes may do so at once; what one has taken in the next passes over. Rejects with EmptiedError.
   */
  async fold(stream: HistoryStream, entries: readonly HistoryEntry[], to: FoldedTo, after = 0): Promise<void> {
    const kinds = this.newKinds(entries);
    await this.db.transaction().execute(async (transaction) => {
      if ((await begunIn(transaction)) !== this.begun) throw new BegunAnewError('the model was begun anew by another');
      const folded = await lockedPosition(transaction, stream);
      if (folded < after) throw new EmptiedError(`the event history ends at ${folded} of ${stream}, not at ${after}`);
      if (to.position <= folded) return;
      await insertKinds(transaction, kinds);
      await insertEntries(
        transaction,
        folded === after ? entries : entries.filter(({ place }) => partsOfPlace(place).position > folded),
      );
      await foldUses(transaction, entries);
      if (stream === 'records' && entries[0]) await foldOldest(transaction, entries[0].time);
      await transaction.updateTable('history_folded').set(to).where('stream', '=', stream).execute();
    });
    for (const kind of kinds.keys()) this.knownKinds.set(kind, true);
  }

  /** Whether foldMessages does anything. */
  get takesMessages(): boolean {
    return this.foldElsewhere !== undefined;
  }

  /** As `fold` of records, whose entries are made where the database is. */
  async foldMessages(messages: readonly StoredCommit[], to: FoldedTo, after = 0): Promise<void> {
    await this.foldElsewhere?.({ messages, to, after, begun: this.begun ?? 0 });
  }

  private newKinds(entries: readonly HistoryEntry[]): Map<string, readonly string[]> {
    const kinds = new Map<string, readonly string[]>();
    for (const entry of entries) {
      for (const { term, isOf } of entry.kinds) if (!this.knownKinds.has(term)) kinds.set(term, isOf);
    }
    return kinds;
  }

  lastUse(kind: UsedKind, id: string): Promise<KnownUse> {
    return readUse(this.db, kind, id);
  }

  /** Newest first. */
  async find(query: HistoryQuery): Promise<FoundEvent[]> {
    const rows = await this.sought(query).execute();
    return rows.flatMap(({ time, place, record }) => {
      const found = foundEvent(record, { time: Number(time), place: Number(place) }, query);
      return found ?? [];
    });
  }

  /** Of the record of an event, whoever may see it; undefined where there is none. */
  async placeOf(eventId: string): Promise<number | undefined> {
    const row = await this.db
      .selectFrom('history_records')
      .select('place')
      .where('event_id', '=', eventIdKey(eventId))
      .executeTakeFirst();
    return row && Number(row.place);
  }

  /** How the database finds it: PostgreSQL's EXPLAIN. */
  async explain(query: HistoryQuery): Promise<string> {
    const lines = await this.sought(query).explain<{ 'QUERY PLAN': string }>();
    return lines.map((line) => line['QUERY PLAN']).join('\n');
  }

  private sought(query: HistoryQuery) {
    const { attribute } = query;
    return attribute?.key === 'EventId'
      ? this.ofId(query, attribute.value)
      : this.ofTerms(query, soughtTerms(query, attribute));
  }

  private ofId({ from, to, after }: HistoryQuery, eventId: string) {
    return this.db
      .selectFrom('history_records as r')
      .select(['r.time', 'r.place', 'r.record'])
      .where('r.event_id', '=', eventIdKey(eventId))
      .where(within({ from, to, after }));
  }

  /** One walk along the index for each term, none longer than the page, and the page out of these. */
  private ofTerms({ from, to, after, limit }: HistoryQuery, sought: SoughtTerms) {
    const terms =
      'kindsOf' in sought
        ? this.db.selectFrom('history_kinds').select('kind as term').where('term', '=', sought.kindsOf).as('sought')
        : sql<{ term: string }>`unnest(${`{${sought.terms}}`}::uuid[])`.as<'sought'>(sql`sought(term)`);
    const page = this.db
      .selectFrom(terms)
      .crossJoinLateral((eb) =>
        eb
          .selectFrom('history_terms as r')
          .select(['r.time', 'r.place'])
          .whereRef('r.term', '=', 'sought.term')
          .where(within({ from, to, after }))
          .orderBy('r.time', 'desc')
          .orderBy('r.place', 'desc')
          .limit(limit)
          .as('walk'),
      )
      .select(['walk.time', 'walk.place'])
      .distinct()
      .orderBy('walk.time', 'desc')
      .orderBy('walk.place', 'desc')
      .limit(limit)
      .as('page');
    return this.db
      .selectFrom(page)
      .innerJoin('history_records as r', 'r.place', 'page.place')
      .select(['r.time', 'r.place', 'r.record'])
      .orderBy('r.time', 'desc')
      .orderBy('r.place', 'desc');
  }

  /** Forgets the records of before `time`, epoch seconds. */
  async forgetBefore(time: number): Promise<void> {
    await this.db.deleteFrom('history_terms').where('time', '<', time).execute();
    await this.db.deleteFrom('history_records').where('time', '<', time).execute();
  }

  /** Forgets everything. */
  async clear(): Promise<void> {
    await sql`truncate history_records, history_terms, history_kinds, history_folded, history_last_uses, history_tracked_since`.execute(
      this.db,
    );
    this.knownKinds.clear();
  }

  async close(): Promise<void> {
    await this.db.destroy();
  }
}

async function begunIn(db: Kysely<HistoryTables>): Promise<number | undefined> {
  const row = await db.selectFrom('history_folded').select('position').where('stream', '=', BEGUN).executeTakeFirst();
  return row && Number(row.position);
}

const within = ({ from, to, after }: Pick<HistoryQuery, 'from' | 'to' | 'after'>): RawBuilder<SqlBool> =>
  sql.join(
    [
      sql`true`,
      ...(from === undefined ? [] : [sql`r."time" >= ${from}`]),
      ...(to === undefined ? [] : [sql`r."time" <= ${to}`]),
      ...(after === undefined ? [] : [sql`(r."time", r.place) < (${after.time}, ${after.place})`]),
    ],
    sql` and `,
  );

/** Nobody else folds this stream in before the transaction ends. */
async function lockedPosition(db: Transaction<HistoryTables>, stream: HistoryStream): Promise<number> {
  // What a crash of the server takes back is folded in again: waiting for its disk wins nothing.
  await sql`set local synchronous_commit = off`.execute(db);
  const own = db.selectFrom('history_folded').select('position').where('stream', '=', stream).forUpdate();
  const row = await own.executeTakeFirst();
  if (row) return Number(row.position);
  await db
    .insertInto('history_folded')
    .values({ stream, position: 0, hash: '' })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  return Number((await own.executeTakeFirstOrThrow()).position);
}
