import { type Kysely, type Migration, type MigrationProvider, Migrator, sql } from 'kysely';
import type { UsedKind } from '#audit-log/uses';

/** The read model of the event history, in PostgreSQL: embedded as PGlite or a server of its own. */
export interface HistoryTables {
  history_records: RecordRow;
  history_resources: ResourceRow;
  history_folded: { stream: string; position: number; hash: string };
  history_last_uses: UseRow;
  /** One row: the oldest record that was folded in. */
  history_tracked_since: { one: true; time: number };
}

/** One record as one account sees it: the caller's, or an owner of what the call was about. */
export interface RecordRow {
  event_id: string;
  account: string;
  region: string;
  /** Epoch seconds. */
  time: number;
  /** Of the record in its stream: no two records have the same. */
  place: number;
  event_name: string;
  event_source: string;
  user_name: string | null;
  access_key_id: string | null;
  read_only: boolean;
  /** JSON. */
  record: string;
}

/** Under what a record is found besides its own columns: what its resources are called, and of which types they are. */
export interface ResourceRow {
  account: string;
  region: string;
  kind: 'name' | 'type';
  value: string;
  time: number;
  place: number;
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

/** Each index ends in the order of a lookup, newest first read backwards: a page is one walk along it. */
const first: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .createTable('history_records')
      .addColumn('event_id', 'text', (column) => column.notNull())
      .addColumn('account', 'text', (column) => column.notNull())
      .addColumn('region', 'text', (column) => column.notNull())
      .addColumn('time', 'bigint', (column) => column.notNull())
      .addColumn('place', 'bigint', (column) => column.notNull())
      .addColumn('event_name', 'text', (column) => column.notNull())
      .addColumn('event_source', 'text', (column) => column.notNull())
      .addColumn('user_name', 'text')
      .addColumn('access_key_id', 'text')
      .addColumn('read_only', 'boolean', (column) => column.notNull())
      .addColumn('record', 'text', (column) => column.notNull())
      .addPrimaryKeyConstraint('history_records_key', ['event_id', 'account'])
      .addUniqueConstraint('history_records_order', ['account', 'region', 'time', 'place'])
      .execute();
    for (const column of ['event_name', 'event_source', 'user_name', 'access_key_id']) {
      await db.schema
        .createIndex(`history_records_${column}`)
        .on('history_records')
        .columns(['account', 'region', column, 'time', 'place'])
        .where(sql.ref(column), 'is not', null)
        .execute();
    }
    await db.schema
      .createIndex('history_records_changes')
      .on('history_records')
      .columns(['account', 'region', 'time', 'place'])
      .where(sql.ref('read_only'), '=', sql.lit(false))
      .execute();
    await db.schema
      .createTable('history_resources')
      .addColumn('account', 'text', (column) => column.notNull())
      .addColumn('region', 'text', (column) => column.notNull())
      .addColumn('kind', 'text', (column) => column.notNull())
      .addColumn('value', 'text', (column) => column.notNull())
      .addColumn('time', 'bigint', (column) => column.notNull())
      .addColumn('place', 'bigint', (column) => column.notNull())
      .addPrimaryKeyConstraint('history_resources_key', ['account', 'region', 'kind', 'value', 'time', 'place'])
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
    // What was folded in before this table was there is folded in once more.
    await sql`truncate history_records, history_resources, history_folded`.execute(db);
  },
};

/** Since then a model knows when it was begun; it is made anew, as one can at any time. */
const begun: Migration = {
  async up(db: Kysely<unknown>) {
    await sql`truncate history_records, history_resources, history_folded`.execute(db);
  },
};

/** In the order of their names; one that has been released never changes. */
const MIGRATIONS: MigrationProvider = {
  getMigrations: async () => ({ '0001-history': first, '0002-last-uses': lastUses, '0003-begun': begun }),
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
