import { existsSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { dayFolder } from '#audit-log/trail-names';

const FOLDERS = ['CloudTrail', 'CloudTrail-Digest'];
const NUMBER = /^\d+$/;

/**
 * Removes the folders of whole days (UTC) before that of `ms`: log files and digests of a day together, oldest first, so that
 * what is left is a chain to its end. A crash leaves a day half removed: the next time removes the rest.
 */
export function removeDaysBefore(folder: string, ms: number): void {
  const first = dayFolder(ms);
  for (const account of foldersIn(join(folder, 'AWSLogs'))) {
    for (const kind of FOLDERS) {
      const regions = join(folder, 'AWSLogs', account, kind);
      for (const region of foldersIn(regions)) removeDays(join(regions, region), first);
    }
  }
}

function removeDays(region: string, first: string): void {
  for (const year of numbersIn(region)) {
    if (year > first.slice(0, 4)) break;
    for (const month of numbersIn(join(region, year))) {
      for (const day of numbersIn(join(region, year, month))) {
        if (`${year}/${month}/${day}` < first) rmSync(join(region, year, month, day), { recursive: true, force: true });
      }
      removeEmpty(join(region, year, month));
    }
    removeEmpty(join(region, year));
  }
}

function removeEmpty(path: string): void {
  if (readdirSync(path).length === 0) rmdirSync(path);
}

const numbersIn = (path: string): string[] => foldersIn(path).filter((name) => NUMBER.test(name));

function foldersIn(path: string): string[] {
  if (!existsSync(path)) return [];
  const entries = readdirSync(path, { withFileTypes: true });
  return entries.flatMap((entry) => (entry.isDirectory() ? [entry.name] : [])).sort();
}
