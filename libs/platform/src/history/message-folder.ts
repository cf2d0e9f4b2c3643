import type { PGlite } from '@electric-sql/pglite';
import { PostgresDialect, type PostgresPool, type PostgresPoolClient, type PostgresQueryResult } from 'kysely';
import type { HistoryEntry } from './history-entry';
import { PGliteError } from './pglite-pool';
import { RecordReader } from './read-records';
import { type KeysToUnseal, RememberedKeys } from './remembered-keys';
import { SqlHistory } from './sql-history';
import type { MessagesToFold, Unreadable } from './thread-messages';

/** Makes entries of messages of KMS_AUDIT and folds them in, in the thread of the database. One fold at a time. */
export class MessageFolder {
  private history: { of: SqlHistory; begun: number } | undefined;

  constructor(
    private readonly db: PGlite,
    private readonly keys: KeysToUnseal,
  ) {}

  /** What could not be read. Rejects as SqlHistory.fold and `keys`. */
  async fold({ messages, begun, to, after }: MessagesToFold): Promise<Unreadable[]> {
    const unreadable: Unreadable[] = [];
    // For these messages only: one that is shredded meanwhile is not given again.
    const reader = new RecordReader(new RememberedKeys(this.keys), (stream, position, { message: error }) =>
      unreadable.push({ stream, position, error }),
    );
    const entries: HistoryEntry[] = [];
    for (const message of messages) for (const entry of await reader.entriesOf(message)) entries.push(entry);
    await this.begunAt(begun).fold('records', entries, to, after);
    return unreadable;
  }

  private begunAt(begun: number): SqlHistory {
    if (this.history?.begun !== begun) {
      this.history = { begun, of: SqlHistory.begunAt(new PostgresDialect({ pool: poolOf(this.db) }), begun) };
    }
    return this.history.of;
  }
}

/** The database as Kysely takes a pool. Whoever asks the thread for something sees to it that nobody else does meanwhile. */
function poolOf(db: PGlite): PostgresPool {
  const client = {
    query: async <R>(sql: string, parameters: readonly unknown[] = []): Promise<PostgresQueryResult<R>> => {
      const { rows, affected } = await queried<R>(db, sql, parameters);
      return { command: 'SELECT', rowCount: affected, rows };
    },
    release: () => {},
  } as PostgresPoolClient;
  return { connect: async () => client, end: async () => {} };
}

/** Rejects with PGliteError, by which what is wrong with the database is told from all else. */
export async function queried<R>(
  db: PGlite,
  sql: string,
  parameters: readonly unknown[],
): Promise<{ rows: R[]; affected: number }> {
  try {
    const { rows, affectedRows } = await db.query<R>(sql, [...parameters]);
    return { rows, affected: affectedRows ?? 0 };
  } catch (error) {
    const { message, code } = error as Error & { code?: string };
    throw new PGliteError(message, code);
  }
}
