import { type ColumnType, type Kysely, type Migration, type MigrationProvider, Migrator, sql } from 'kysely';
import type { UsedKind } from '#audit-log/uses';

/** The read model of the event history, in PostgreSQL: embedded as PGlite or a server of its own. */
export interface HistoryTables {
  history_records: RecordRow;
  history_terms: TermRow;
  history_kinds: KindRow;
  history_folded: { stream: string; position: Int8; hash: string };
  history_last_uses: UseRow;
  /** One row: the oldest record that was folded in. */
  history_tracked_since: { one: true; time: number };
}

/** Drivers give it as a number or a text. */
type Int8 = ColumnType<number | string, number, number>;

/** A record, once, whoever sees it. */
export interface RecordRow {
  /** Of the record in its stream: no two records have the same. */
  place: Int8;
  /** Epoch seconds. */
  time: Int8;
  /** A UUID. */
  event_id: string;
  /** JSON. */
  record: string;
}

/** That a record is found under a term. */
export interface TermRow {
  /** 128 bits, as a UUID. */
  term: string;
  time: Int8;
  place: Int8;
}

/** The newest use of one thing. Kept when its record expires. */
export interface UseRow {
  kind: UsedKind;
  id: string;
  time: number;
  place: number;
  event_name: string;
  event_source: string;
  /** Of the call. */
  region: string;
  event_id: string;
  request_id: string | null;
}

/** That all events of a kind, which is a term, are found under another term too. */
export interface KindRow {
  term: string;
  kind: string;
}

/**
 * The key of history_terms ends in the order of a lookup, newest first read backwards: a page is one walk along it for
 * each term that is asked for. Rows that are inserted together go to few places of it, but those of event ids.
 */
const terms: Migration = {
  async up(db: Kysely<unknown>) {
    await sql`drop table if exists history_records, history_resources, history_folded`.execute(db);
    await db.schema
      .createTable('history_records')
      .addColumn('place', 'bigint', (column) => column.primaryKey())
      .addColumn('time', 'bigint', (column) => column.notNull())
      .addColumn('event_id', 'uuid', (column) => column.notNull().unique())
      .addColumn('record', 'text', (column) => column.notNull())
      .execute();
    await db.schema
      .createTable('history_terms')
      .addColumn('term', 'uuid', (column) => column.notNull())
      .addColumn('time', 'bigint', (column) => column.notNull())
      .addColumn('place', 'bigint', (column) => column.notNull())
      .addPrimaryKeyConstraint('history_terms_key', ['term', 'time', 'place'])
      .execute();
    await db.schema
      .createTable('history_kinds')
      .addColumn('term', 'uuid', (column) => column.notNull())
      .addColumn('kind', 'uuid', (column) => column.notNull())
      .addPrimaryKeyConstraint('history_kinds_key', ['term', 'kind'])
      .execute();
    await db.schema
      .createTable('history_folded')
      .addColumn('stream', 'text', (column) => column.primaryKey())
      .addColumn('position', 'bigint', (column) => column.notNull())
      .addColumn('hash', 'text', (column) => column.notNull())
      .execute();
  },
};

/** Each fold updates the rows in place: with room on their pages, and no index over what changes, nothing has to be swept. */
const WITH_ROOM = sql`with (fillfactor = 50)`;

const lastUses: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .createTable('history_last_uses')
      .addColumn('kind', 'text', (column) => column.notNull())
      .addColumn('id', 'text', (column) => column.notNull())
      .addColumn('time', 'bigint', (column) => column.notNull())
      .addColumn('place', 'bigint', (column) => column.notNull())
      .addColumn('event_name', 'text', (column) => column.notNull())
      .addColumn('event_source', 'text', (column) => column.notNull())
      .addColumn('region', 'text', (column) => column.notNull())
      .addColumn('event_id', 'text', (column) => column.notNull())
      .addColumn('request_id', 'text')
      .addPrimaryKeyConstraint('history_last_uses_key', ['kind', 'id'])
      .modifyEnd(WITH_ROOM)
      .execute();
    await db.schema
      .createTable('history_tracked_since')
      .addColumn('one', 'boolean', (column) => column.primaryKey())
      .addColumn('time', 'bigint', (column) => column.notNull())
      .execute();
    // What was folded in before these tables were there is folded in once more.
    await sql`truncate history_records, history_terms, history_kinds, history_folded`.execute(db);
  },
};

/** The first had a row for each account and resource; what is folded in again from the log need not be moved. */
const replaced: Migration = { up: async () => {} };

/** In the order of their names; one that has been released never changes. */
const MIGRATIONS: MigrationProvider = {
  getMigrations: async () => ({ '0001-history': replaced, '0002-terms': terms, '0003-last-uses': lastUses }),
};

/** Brings the database to the newest schema; any number of processes may do so at once. */
export async function migrate(db: Kysely<HistoryTables>): Promise<void> {
  const migrator = new Migrator({
    db,
    provider: MIGRATIONS,
    migrationTableName: 'history_migrations',
    migrationLockTableName: 'history_migrations_lock',
  });
  const { error } = await migrator.migrateToLatest();
  if (error) throw error;
}
