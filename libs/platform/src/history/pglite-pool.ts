import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { PostgresPool, PostgresPoolClient, PostgresQueryResult } from 'kysely';
import type { UnreadableObserver } from './read-records';
import type { KeysToUnseal } from './remembered-keys';
import type { KeyAnswer, KeyQuestion, MessagesToFold, ThreadAnswer, ThreadQuestion } from './thread-messages';

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

type Answered = Exclude<ThreadAnswer, { error: string }>;

interface Waiting {
  resolve(answer: Answered): void;
  reject(error: Error): void;
}

/** What the thread needs to fold messages in. */
export interface ThreadReading {
  keys: KeysToUnseal;
  unreadable: UnreadableObserver;
}

export interface PGliteOptions {
  /** The file that runs the database. */
  thread?: string;
  reading?: ThreadReading;
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
  /** Why a key for the fold under way could not be had. */
  private keyFailure: Error | undefined;
  private asked = 0;
  private lent: Promise<void> = Promise.resolve();

  private constructor(
    folder: string,
    private readonly options: PGliteOptions,
  ) {
    this.worker = new Worker(options.thread ?? THREAD, { workerData: { folder } });
    this.worker.on('message', (message: ThreadAnswer | KeyQuestion) => {
      if ('asked' in message) void this.giveKey(message);
      else this.take(message);
    });
    this.worker.on('error', (error) => this.fail(error.message));
    this.ended = new Promise((resolve) => {
      this.worker.once('exit', () => {
        this.fail('it has ended');
        resolve();
      });
    });
  }

  /** Opens the database in that folder, which is made where there is none. Rejects with PGliteError. */
  static async open(folder: string, options: PGliteOptions = {}): Promise<PGlitePool> {
    const isNew = !existsSync(join(folder, 'PG_VERSION'));
    const pool = await PGlitePool.opened(folder, options);
    if (!isNew) return pool;
    // Making it takes several hundred MB that the thread would keep.
    await pool.end();
    return PGlitePool.opened(folder, options);
  }

  private static async opened(folder: string, options: PGliteOptions): Promise<PGlitePool> {
    const pool = new PGlitePool(folder, options);
    try {
      await new Promise<unknown>((resolve, reject) => pool.waiting.set(0, { resolve, reject }));
      return pool;
    } catch (error) {
      await pool.worker.terminate();
      throw error;
    }
  }

  async connect(): Promise<PostgresPoolClient> {
    const release = await this.borrowed();
    return {
      query: async <R>(sql: unknown, parameters: readonly unknown[] = []): Promise<PostgresQueryResult<R>> => {
        if (typeof sql !== 'string') throw new PGliteError('there are no cursors', undefined);
        const { rows, affected } = await this.ask((id) => ({ id, sql, parameters }));
        return { command: commandOf(sql), rowCount: affected, rows: rows as R[] };
      },
      release,
    } as PostgresPoolClient;
  }

  /** Has the thread make entries of the messages, and fold them in. Rejects as SqlHistory.fold, and where a key cannot be asked for. */
  async fold(fold: MessagesToFold): Promise<void> {
    const release = await this.borrowed();
    // A message may be a view on much more, all of which would be copied.
    const messages = fold.messages.map(({ bytes, ...rest }) => ({ ...rest, bytes: new Uint8Array(bytes) }));
    this.keyFailure = undefined;
    try {
      const { unreadable = [] } = await this.ask(
        (id) => ({ id, fold: { ...fold, messages } }),
        messages.map(({ bytes }) => bytes.buffer),
      );
      for (const { stream, position, error } of unreadable) {
        this.options.reading?.unreadable(stream, position, new Error(error));
      }
    } catch (error) {
      throw this.keyFailure ?? error;
    } finally {
      release();
    }
  }

  async end(): Promise<void> {
    this.worker.postMessage({ id: ++this.asked } satisfies ThreadQuestion);
    await this.ended;
  }

  /** Nobody else has the connection until what this resolves to is called. */
  private async borrowed(): Promise<() => void> {
    const before = this.lent;
    let release = (): void => {};
    this.lent = new Promise((resolve) => {
      release = resolve;
    });
    await before;
    return () => release();
  }

  private ask(question: (id: number) => ThreadQuestion, transferred: readonly ArrayBuffer[] = []): Promise<Answered> {
    if (this.failure) return Promise.reject(this.failure);
    const id = ++this.asked;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage(question(id), transferred);
    });
  }

  private async giveKey({ asked, scope }: KeyQuestion): Promise<void> {
    let answer: KeyAnswer;
    try {
      const key = await this.options.reading?.keys.toUnseal(scope);
      answer = { asked, ...(key && { key }) };
    } catch (error) {
      this.keyFailure = error as Error;
      answer = { asked, failed: true };
    }
    this.worker.postMessage(answer);
  }

  private take(answer: ThreadAnswer): void {
    const waiting = this.waiting.get(answer.id);
    this.waiting.delete(answer.id);
    if ('error' in answer) {
      const { error, code, refused } = answer;
      waiting?.reject(refused ? new Error(error) : new PGliteError(error, code));
    } else waiting?.resolve(answer);
  }

  private fail(message: string): void {
    this.failure ??= new PGliteError(`the embedded database: ${message}`, undefined);
    for (const { reject } of this.waiting.values()) reject(this.failure);
    this.waiting.clear();
  }
}

type Command = PostgresQueryResult<unknown>['command'];
const commandOf = (sql: string): Command => (/^\s*(\w+)/.exec(sql)?.[1]?.toUpperCase() ?? 'SELECT') as Command;
