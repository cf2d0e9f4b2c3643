import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

export interface GoldenCommit {
  seq: number;
  subject: string;
  bytes: Buffer;
}

interface Golden {
  commits: { subject: string; commit: string }[];
  /** What the log folds to, by subject. */
  folded: Record<string, { version: number; hash: string; time: string; state: unknown }>;
}

const FILES = [
  ...['commits-v1', 'principals-v1', 'grants-v1', 'named-ids-v1', 'trails-v1', 'key-kinds-v1', 'imports-v1'],
  ...['multi-region-v1', 'multi-region-imports-v1', 'clusters-v1', 'custom-key-stores-v1', 'root-v1'],
  'released-copies-v1',
];
const golden = FILES.map(
  (name) => JSON.parse(readFileSync(resolve(__dirname, `../../libs/domain/src/golden/${name}.json`), 'utf8')) as Golden,
);

/**
 * One log, as version 1 of the events wrote it, a file for each release that brought new ones. A file is never
 * changed: it must replay for ever.
 */
export const GOLDEN_COMMITS: readonly GoldenCommit[] = golden
  .flatMap(({ commits }) => commits)
  .map(({ subject, commit }, index) => ({ seq: index + 1, subject, bytes: Buffer.from(commit, 'utf8') }));

export const GOLDEN_FOLDED: Golden['folded'] = Object.assign({}, ...golden.map(({ folded }) => folded));
