import { type Dialect, Kysely, sql } from 'kysely';
import type { UsedKind } from '#audit-log/uses';
import type { FoundEvent, HistoryAttribute, HistoryQuery } from '#operations/audit/event-history';
import type { KnownUse } from '#operations/usage/last-uses';
import type { HistoryEntry, HistoryStream } from './history-entry';
import { foldOldest, foldUses, readUse } from './last-uses';
import { type HistoryTables, migrate } from './schema';

/** How far a stream is folded in: its newest message there, and the hex SHA-256 of that one's bytes. */
export interface FoldedTo {
  position: number;
  hash: string;
}

const COLUMNS = {
  EventId: 'event_id',
  EventName: 'event_name',
  Username: 'user_name',
  EventSource: 'event_source',
  AccessKeyId: 'access_key_id',
} as const satisfies Partial<Record<HistoryAttribute, keyof HistoryTables['history_records']>>;
const RESOURCE_KINDS = { ResourceName: 'name', ResourceType: 'type' } as const;

const isIn = <T extends object>(table: T, key: PropertyKey): key is keyof T => Object.hasOwn(table, key);

const BEGUN = 'begun';

/** Another process has emptied the model. */
class BegunAnewError extends Error {
  override readonly name = 'BegunAnewError';
}

/** The read model in a database. It holds nothing that the streams do not, so it may be thrown away. */
export class SqlHistory {
  private begun: number | undefined;

  private constructor(private readonly db: Kysely<HistoryTables>) {}

  /** Opens it with the newest schema. */
  static async open(dialect: Dialect): Promise<SqlHistory> {
    const db = new Kysely<HistoryTables>({ dialect });
    try {
      await migrate(db);
      return new SqlHistory(db);
    } catch (error) {
      await db.destroy();
      throw error;
    }
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
   * Takes in what the stream says up to there, in one transaction with the position: all of it or none. Of two records of
   * one call the first counts. Harmless to repeat.
   */
  async fold(stream: HistoryStream, entries: readonly HistoryEntry[], { position, hash }: FoldedTo): Promise<void> {
    const firsts = firstOfEach(entries);
    await this.db.transaction().execute(async (transaction) => {
      if ((await begunIn(transaction)) !== this.begun) throw new BegunAnewError('the model was begun anew by another');
      if (firsts.length > 0) {
        const records = JSON.stringify(firsts.flatMap((entry) => entry.records));
        const resources = JSON.stringify(firsts.flatMap((entry) => entry.resources));
        await sql`
          with told as (
            insert into history_records
            select r.* from json_to_recordset(${records}::json) as r(
              event_id text, account text, region text, "time" bigint, place bigint, event_name text,
              event_source text, user_name text, access_key_id text, read_only boolean, record text)
            where not exists (
              select from history_records as h where h.event_id = r.event_id and h.place <> r.place)
            on conflict do nothing
            returning event_id, account
          )
          insert into history_resources
          select r.account, r.region, r.kind, r.value, r."time", r.place
          from json_to_recordset(${resources}::json) as r(
            event_id text, account text, region text, kind text, value text, "time" bigint, place bigint)
          join told on told.event_id = r.event_id and told.account = r.account
          on conflict do nothing`.execute(transaction);
        await foldUses(transaction, entries);
        if (stream === 'records') await foldOldest(transaction, firsts[0]!.records[0]!.time);
      }
      await transaction
        .insertInto('history_folded')
        .values({ stream, position, hash })
        .onConflict((conflict) =>
          conflict
            .column('stream')
            .doUpdateSet((excluded) => ({
              position: excluded.ref('excluded.position'),
              hash: excluded.ref('excluded.hash'),
            }))
            .whereRef('history_folded.position', '<', 'excluded.position'),
        )
        .execute();
    });
  }

  lastUse(kind: UsedKind, id: string): Promise<KnownUse> {
    return readUse(this.db, kind, id);
  }

  /** Newest first. */
  async find(query: HistoryQuery): Promise<FoundEvent[]> {
    const { attribute, limit } = query;
    const resource = attribute && isIn(RESOURCE_KINDS, attribute.key) && RESOURCE_KINDS[attribute.key];
    const rows = await (resource ? this.ofResource(query, resource, attribute.value) : this.ofRecords(query))
      .select([
        'r.event_id as eventId',
        'r.event_name as eventName',
        'r.event_source as eventSource',
        'r.user_name as userName',
        'r.access_key_id as accessKeyId',
        'r.read_only as readOnly',
        'r.record',
        'r.time',
        'r.place',
      ])
      .orderBy('r.time', 'desc')
      .orderBy('r.place', 'desc')
      .limit(limit)
      .execute();
    return rows.map((row) => ({ ...row, time: Number(row.time), place: Number(row.place) }));
  }

  /** Of the record of an event, whoever may see it; undefined where there is none. */
  async placeOf(eventId: string): Promise<number | undefined> {
    const row = await this.db
      .selectFrom('history_records')
      .select('place')
      .where('event_id', '=', eventId)
      .limit(1)
      .executeTakeFirst();
    return row && Number(row.place);
  }

  private ofRecords({ account, region, attribute, from, to, after }: HistoryQuery) {
    let found = this.db
      .selectFrom('history_records as r')
      .where('r.account', '=', account)
      .where('r.region', '=', region);
    if (attribute?.key === 'ReadOnly') {
      found = found.where('r.read_only', '=', sql.lit(attribute.value === 'true'));
    } else if (attribute && isIn(COLUMNS, attribute.key)) {
      found = found.where(`r.${COLUMNS[attribute.key]}`, '=', attribute.value);
    }
    if (from !== undefined) found = found.where('r.time', '>=', from);
    if (to !== undefined) found = found.where('r.time', '<=', to);
    if (after) found = found.where(sql<boolean>`(r."time", r.place) < (${after.time}, ${after.place})`);
    return found;
  }

  private ofResource({ account, region, from, to, after, limit }: HistoryQuery, kind: 'name' | 'type', value: string) {
    let places = this.db
      .selectFrom('history_resources')
      .select(['time', 'place'])
      .where('account', '=', account)
      .where('region', '=', region)
      .where('kind', '=', kind)
      .where('value', '=', value);
    if (from !== undefined) places = places.where('time', '>=', from);
    if (to !== undefined) places = places.where('time', '<=', to);
    if (after) places = places.where(sql<boolean>`("time", place) < (${after.time}, ${after.place})`);
    const page = places.orderBy('time', 'desc').orderBy('place', 'desc').limit(limit).as('s');
    return this.db
      .selectFrom(page)
      .innerJoin('history_records as r', (join) => join.onRef('r.time', '=', 's.time').onRef('r.place', '=', 's.place'))
      .where('r.account', '=', account)
      .where('r.region', '=', region);
  }

  /** Forgets the records of before `time`, epoch seconds. */
  async forgetBefore(time: number): Promise<void> {
    await this.db.deleteFrom('history_resources').where('time', '<', time).execute();
    await this.db.deleteFrom('history_records').where('time', '<', time).execute();
  }

  /** Forgets everything. */
  async clear(): Promise<void> {
    await sql`truncate history_records, history_resources, history_folded, history_last_uses, history_tracked_since`.execute(
      this.db,
    );
  }

  async close(): Promise<void> {
    await this.db.destroy();
  }
}

async function begunIn(db: Kysely<HistoryTables>): Promise<number | undefined> {
  const row = await db.selectFrom('history_folded').select('position').where('stream', '=', BEGUN).executeTakeFirst();
  return row && Number(row.position);
}

function firstOfEach(entries: readonly HistoryEntry[]): HistoryEntry[] {
  const told = new Set<string>();
  return entries.filter(({ records: [record] }) => {
    if (!record || told.has(record.event_id)) return false;
    told.add(record.event_id);
    return true;
  });
}
