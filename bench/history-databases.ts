import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { embeddedDatabase, type HistoryDatabase, postgresDatabase } from '#platform/history/history-database';
import type { ThreadReading } from '#platform/history/pglite-pool';
import { startPostgres } from './postgres';
import { cpuMs, type Processes } from './processes';

/** A new read model, and what it costs. */
export interface BenchDatabase {
  database: HistoryDatabase;
  /** CPU of this process and of the database's so far, in ms. */
  cpuMs(): number;
}

export const DATABASES = ['PGlite', 'PostgreSQL'] as const;
export type DatabaseName = (typeof DATABASES)[number];

/** Undefined where it is not on this machine. With `reading`, PGlite takes in messages by itself. */
export async function openDatabase(
  name: DatabaseName,
  processes: Processes,
  reading?: ThreadReading,
): Promise<BenchDatabase | undefined> {
  const log = pino({ level: 'silent' });
  if (name === 'PGlite') {
    const database = embeddedDatabase(join(processes.folder(), 'history'), log, { reading });
    return { database, cpuMs: () => cpuMs([process.pid]) };
  }
  const server = await startPostgres(processes);
  if (!server) return undefined;
  return {
    database: postgresDatabase(server.url, log),
    cpuMs: () => cpuMs([process.pid, server.pid, ...childrenOf(server.pid)].filter(isThere)),
  };
}

/** proc(5), children. */
const childrenOf = (pid: number): number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number);

const isThere = (pid: number): boolean => existsSync(`/proc/${pid}`);
