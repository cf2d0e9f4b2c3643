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

const FILE = resolve(__dirname, '../../libs/domain/src/golden/commits-v1.json');
const golden = JSON.parse(readFileSync(FILE, 'utf8')) as Golden;

/** A log as version 1 of the events wrote it. The file is never changed: it must replay for ever. */
export const GOLDEN_COMMITS: readonly GoldenCommit[] = golden.commits.map(({ subject, commit }, index) => ({
  seq: index + 1,
  subject,
  bytes: Buffer.from(commit, 'utf8'),
}));

export const GOLDEN_FOLDED: Golden['folded'] = golden.folded;
