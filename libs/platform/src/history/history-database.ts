import { chmodSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { CompiledQuery, type DatabaseConnection, PostgresDialect } from 'kysely';
import { Pool } from 'pg';
import type { Logger } from 'pino';
import { type PGliteOptions, PGlitePool } from './pglite-pool';
import { SqlHistory } from './sql-history';

/** Where the read model is kept, and how it is got rid of when it is damaged. */
export interface HistoryDatabase {
  /** Rejects where it cannot be opened; what is damaged is thrown away first, where it can be. */
  open(): Promise<SqlHistory>;
  /** Has the next `open` begin with nothing; a database of its own is emptied only. */
  discard(history: SqlHistory): Promise<void>;
}

export const historyFolder = (dataDir: string): string => join(dataDir, 'history');

/** PGlite in the data folder; with `reading`, its thread takes messages in by itself. */
export function embeddedDatabase(folder: string, log: Logger, options: PGliteOptions = {}): HistoryDatabase {
  const opened = async (): Promise<SqlHistory> => {
    mkdirSync(folder, { recursive: true });
    // PGlite lets everybody read and write its files, which hold records in clear.
    chmodSync(folder, 0o700);
    const pool = await PGlitePool.open(folder, options);
    return SqlHistory.open(new PostgresDialect({ pool }), options.reading && ((fold) => pool.fold(fold)));
  };
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  return {
    async open() {
      if (!existsSync(folder)) return opened();
      try {
        return await opened();
      } catch (error) {
        log.warn(
          { err: error, folder },
          'the database of the event history is damaged: it is made anew from the log, which has all that was in it',
        );
        remove();
        return opened();
      }
    },
    async discard(history) {
      await history.close().catch(() => {});
      remove();
    },
  };
}

const CONNECT_TIMEOUT_MS = 5_000;
const CONNECTIONS = 8;

/** It would gather and sort all that it finds where it takes that for little, as it does without statistics. */
const walkIndexes = async (connection: DatabaseConnection): Promise<void> => {
  await connection.executeQuery(CompiledQuery.raw('set enable_bitmapscan = off'));
};

/** A PostgreSQL server. */
export function postgresDatabase(url: string, log: Logger): HistoryDatabase {
  return {
    async open() {
      const pool = new Pool({
        connectionString: url,
        max: CONNECTIONS,
        connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
        application_name: 'keytrail',
      });
      // One that breaks while nobody uses it; whoever uses it is told by the query.
      pool.on('error', (error) => log.warn({ err: error }, 'a connection to the database of the event history broke'));
      return SqlHistory.open(new PostgresDialect({ pool, onCreateConnection: walkIndexes }));
    },
    async discard(history) {
      await history.clear();
      await history.close();
    },
  };
}
