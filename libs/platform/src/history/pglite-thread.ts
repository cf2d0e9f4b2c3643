import { parentPort, workerData } from 'node:worker_threads';
import { PGlite } from '@electric-sql/pglite';
import type { ThreadAnswer, ThreadQuestion } from './pglite-pool';

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

async function serve(folder: string): Promise<void> {
  const db = await PGlite.create({ dataDir: folder, postgresqlconf: SETTINGS });
  parentPort!.on('message', async ({ id, sql, parameters }: ThreadQuestion) => {
    if (sql === undefined) {
      await db.close();
      process.exit(0);
    }
    try {
      const { rows, affectedRows } = await db.query(sql, [...parameters]);
      answer({ id, rows, affected: affectedRows ?? 0 });
    } catch (error) {
      const { message, code } = error as Error & { code?: string };
      answer({ id, error: message, code });
    }
  });
  answer({ id: 0, rows: [], affected: 0 });
}

serve((workerData as { folder: string }).folder).catch((error: unknown) => {
  answer({ id: 0, error: error instanceof Error ? error.message : String(error), code: undefined });
  process.exit(1);
});
