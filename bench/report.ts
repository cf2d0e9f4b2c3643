import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import type { Case } from './case';
import type { Measured } from './measured';
import { ROOT } from './processes';

/** A measured case. */
export interface Row extends Case, Measured {
  /** Its rate, as a share of its floor's. */
  ofFloor?: number;
}

/** Adds a case to the rows, held against the newest row of its floor. */
export function addRow(rows: Row[], one: Case, measured: Measured): void {
  const floor = rows.findLast(({ name, connections }) => name === one.floor && connections === one.connections);
  rows.push({ ...one, ...measured, ...(floor && { ofFloor: measured.perSecond / floor.perSecond }) });
}

export const machine = (): string =>
  `${cpus()[0]?.model.trim()}, ${cpus().length} cores, node ${process.version}; client on the same machine`;

/** The rows as a Markdown table. */
export function renderTable(rows: readonly Row[]): string {
  const lines = rows.map((row) => [
    row.name,
    String(row.connections),
    String(Math.round(row.perSecond)),
    row.p50Ms?.toFixed(2) ?? '',
    row.p99Ms?.toFixed(2) ?? '',
    row.cpuUs?.toFixed(0) ?? '',
    row.ofFloor?.toFixed(2) ?? '',
  ]);
  const head = ['case', 'connections', 'per second', 'p50 ms', 'p99 ms', 'CPU us', 'of the floor'];
  return [head, head.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |\n`).join('');
}

/** Writes `.bench/<name>.json` and gives its path. */
export function writeResults(name: string, results: object): string {
  const folder = join(ROOT, '.bench');
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${name}.json`);
  writeFileSync(file, `${JSON.stringify({ machine: machine(), ...results }, null, 2)}\n`);
  return file;
}

/** The commit that a folder has checked out, with `+` where files differ from it; 'unknown' for what is no checkout. */
export function commitOf(folder: string): string {
  const git = (...args: string[]): string =>
    execFileSync('git', ['-C', folder, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  try {
    return git('rev-parse', '--short=10', 'HEAD') + (git('status', '--porcelain') === '' ? '' : '+');
  } catch {
    return 'unknown';
  }
}
