import { parentPort, workerData } from 'node:worker_threads';
import { PGlite } from '@electric-sql/pglite';
import { MessageFolder, queried } from './message-folder';
import { PGliteError } from './pglite-pool';
import { ThreadKeys } from './thread-keys';
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

const answer = (message: ThreadAnswer): void => parentPort!.postMessage(message);

const failure = (id: number, error: Error): ThreadFailure => ({
  id,
  error: error.message,
  ...(error instanceof PGliteError ? { code: error.code } : { code: undefined, refused: true }),
});

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
      return { id, ...(await queried(db, question.sql, question.parameters)) };
    }
    return db.close().finally(() => process.exit(0)) as Promise<never>;
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
