import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { PostgresPool, PostgresPoolClient, PostgresQueryResult } from 'kysely';

/** Without `sql`: close the database, and end. */
export interface ThreadQuestion {
  id: number;
  sql?: string;
  parameters: readonly unknown[];
}

/** Number 0 tells that the database is open, or why it is not. */
export type ThreadAnswer =
  | { id: number; rows: unknown[]; affected: number }
  | { id: number; error: string; code: string | undefined };

/** What the database says is wrong; `code` is PostgreSQL's, absent where the database itself has died. */
export class PGliteError extends Error {
  override readonly name = 'PGliteError';

  constructor(
    message: string,
    readonly code: string | undefined,
  ) {
    super(message);
  }
}

interface Waiting {
  resolve(answer: { rows: unknown[]; affected: number }): void;
  reject(error: Error): void;
}

const THREAD = join(__dirname, 'pglite-thread.js');

/**
 * PGlite in a thread of its own, as Kysely's PostgreSQL dialect takes a pool: of one connection, which is lent to one at a
 * time.
 */
export class PGlitePool implements PostgresPool {
  private readonly waiting = new Map<number, Waiting>();
  private readonly worker: Worker;
  private readonly ended: Promise<void>;
  private failure: PGliteError | undefined;
  private asked = 0;
  private lent: Promise<void> = Promise.resolve();

  private constructor(folder: string, thread: string) {
    this.worker = new Worker(thread, { workerData: { folder } });
    this.worker.on('message', (answer: ThreadAnswer) => this.take(answer));
    this.worker.on('error', (error) => this.fail(error.message));
    this.ended = new Promise((resolve) => {
      this.worker.once('exit', () => {
        this.fail('it has ended');
        resolve();
      });
    });
  }

  /** Opens the database in that folder, which is made where there is none. Rejects with PGliteError. */
  static async open(folder: string, thread = THREAD): Promise<PGlitePool> {
    const isNew = !existsSync(join(folder, 'PG_VERSION'));
    const pool = await PGlitePool.opened(folder, thread);
    if (!isNew) return pool;
    // Making it takes several hundred MB that the thread would keep.
    await pool.end();
    return PGlitePool.opened(folder, thread);
  }

  private static async opened(folder: string, thread: string): Promise<PGlitePool> {
    const pool = new PGlitePool(folder, thread);
    try {
      await new Promise<unknown>((resolve, reject) => pool.waiting.set(0, { resolve, reject }));
      return pool;
    } catch (error) {
      await pool.worker.terminate();
      throw error;
    }
  }

  async connect(): Promise<PostgresPoolClient> {
    const before = this.lent;
    let release = (): void => {};
    this.lent = new Promise((resolve) => {
      release = resolve;
    });
    await before;
    return {
      query: async <R>(sql: unknown, parameters: readonly unknown[] = []): Promise<PostgresQueryResult<R>> => {
        if (typeof sql !== 'string') throw new PGliteError('there are no cursors', undefined);
        const { rows, affected } = await this.ask(sql, parameters);
        return { command: commandOf(sql), rowCount: affected, rows: rows as R[] };
      },
      release: () => release(),
    } as PostgresPoolClient;
  }

  async end(): Promise<void> {
    this.worker.postMessage({ id: ++this.asked, parameters: [] } satisfies ThreadQuestion);
    await this.ended;
  }

  private ask(sql: string, parameters: readonly unknown[]): Promise<{ rows: unknown[]; affected: number }> {
    if (this.failure) return Promise.reject(this.failure);
    const id = ++this.asked;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ id, sql, parameters } satisfies ThreadQuestion);
    });
  }

  private take(answer: ThreadAnswer): void {
    const waiting = this.waiting.get(answer.id);
    this.waiting.delete(answer.id);
    if ('error' in answer) waiting?.reject(new PGliteError(answer.error, answer.code));
    else waiting?.resolve(answer);
  }

  private fail(message: string): void {
    this.failure ??= new PGliteError(`the embedded database: ${message}`, undefined);
    for (const { reject } of this.waiting.values()) reject(this.failure);
    this.waiting.clear();
  }
}

type Command = PostgresQueryResult<unknown>['command'];
const commandOf = (sql: string): Command => (/^\s*(\w+)/.exec(sql)?.[1]?.toUpperCase() ?? 'SELECT') as Command;
