import { parentPort, workerData } from 'node:worker_threads';
import { PGlite } from '@electric-sql/pglite';
import { MessageFolder } from './message-folder';
import { BegunAnewError, EmptiedError } from './sql-history';
import { KeysOutOfReachError, ThreadKeys } from './thread-keys';
import type { KeyAnswer, ThreadAnswer, ThreadFailure, ThreadQuestion } from './thread-messages';

/** A thread that has one PGlite to itself: a query there runs to its end before anything else does. */

const SETTINGS = [
  // PGlite's 128 MB would all be touched in time; the system's cache is behind these.
  'shared_buffers=16MB',
  'max_wal_size=64MB',
  // Against what a power cut tears, which takes an fsync to be worth anything.
  'full_page_writes=off',
  // Nobody replicates it.
  'wal_level=minimal',
  'max_wal_senders=0',
  // As in postgresDatabase.
  'enable_bitmapscan=off',
];

/** What it says is about the log or its keys, and not about the database. */
const REFUSALS = [EmptiedError, BegunAnewError, KeysOutOfReachError];

const answer = (message: ThreadAnswer): void => parentPort!.postMessage(message);

function failure(id: number, error: Error & { code?: string }): ThreadFailure {
  const refused = REFUSALS.some((refusal) => error instanceof refusal);
  return { id, error: error.message, code: error.code, ...(refused && { refused }) };
}

async function serve(folder: string): Promise<void> {
  const db = await PGlite.create({ dataDir: folder, postgresqlconf: SETTINGS });
  const keys = new ThreadKeys((question) => parentPort!.postMessage(question));
  const messages = new MessageFolder(db, keys);
  const answered = async (question: ThreadQuestion): Promise<ThreadAnswer> => {
    const { id } = question;
    if ('fold' in question) {
      return { id, rows: [], affected: 0, unreadable: await messages.fold(question.fold) };
    }
    if ('sql' in question) {
      const { rows, affectedRows } = await db.query(question.sql, [...question.parameters]);
      return { id, rows, affected: affectedRows ?? 0 };
    }
    await db.close();
    process.exit(0);
  };
  parentPort!.on('message', (message: ThreadQuestion | KeyAnswer) => {
    if ('asked' in message) return keys.take(message);
    answered(message).then(answer, (error) => answer(failure(message.id, error)));
  });
  answer({ id: 0, rows: [], affected: 0 });
}

serve((workerData as { folder: string }).folder).catch((error: unknown) => {
  answer({ id: 0, error: error instanceof Error ? error.message : String(error), code: undefined });
  process.exit(1);
});
