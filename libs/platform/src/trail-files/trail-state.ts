import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PreviousDigest, TrailLogFile } from '#audit-log/trail-digest';
import { type TrailPair, trailTime } from '#audit-log/trail-names';
import type { HistoryStream } from '../history/history-entry';
import { replaceDurably } from '../tree-heads/durable-file';

/** The folder cannot be gone on with: whatever was written now could repeat records, or leave some out. */
export class TrailFilesError extends Error {
  override readonly name = 'TrailFilesError';
}

/** How far the folder has come. It alone says so: docs/trail-files.md. */
export interface TrailState {
  v: typeof TRAIL_VERSION;
  /** The newest message of each stream that was delivered. */
  delivered: Delivered;
  /** Where the period of the next digests begins: whole seconds, `2026-11-25T04:00:00Z`. */
  periodStart: string;
  chains: readonly TrailChain[];
  /** Of which records files are written; of all where it is absent. */
  only?: TimeRange;
  /** What was begun, and is to be done, to its end, before anything else. */
  begun?: Begun;
}

export type Delivered = Readonly<Record<HistoryStream, DeliveredTo>>;

export interface DeliveredTo {
  /** 0 for nothing. */
  position: number;
  /** Hex SHA-256 of the message there; empty for nothing. */
  hash: string;
}

/** The digests of one account and region. */
export interface TrailChain extends TrailPair {
  previous: PreviousDigest | null;
  /** Those delivered since. */
  logFiles: readonly TrailLogFile[];
}

/** Times of events, ISO 8601: `since` belongs to it, `until` does not. */
export interface TimeRange {
  since?: string;
  until?: string;
}

export interface Place {
  bucket: string;
  /** The trail's own region. */
  home: string;
}

/** With all that names and contents of files follow from, beside the state and the streams. */
export type Begun =
  | ({ kind: 'delivery'; at: string; to: Readonly<Record<HistoryStream, number>> } & Place)
  | ({ kind: 'digest'; end: string } & Place);

export const TRAIL_VERSION = 1;

export const stateFile = (folder: string): string => join(folder, 'keytrail-trail.json');

/** Of a folder that holds nothing yet, one that begins now, with digests of `first`. Throws TrailFilesError. */
export function readTrailState(folder: string, now: number, first: TrailPair, only?: TimeRange): TrailState {
  const path = stateFile(folder);
  if (!existsSync(path)) {
    if (existsSync(join(folder, 'AWSLogs'))) {
      throw new TrailFilesError(
        `${folder} has log files, but ${path} is missing: restore it, or set an empty folder, into which all records are written again`,
      );
    }
    const nothing = { position: 0, hash: '' };
    return {
      v: TRAIL_VERSION,
      delivered: { records: nothing, changes: nothing },
      periodStart: trailTime(now),
      chains: [{ ...first, previous: null, logFiles: [] }],
      ...(only && { only }),
    };
  }
  const state = stateIn(path);
  if (only && JSON.stringify(only) !== JSON.stringify(state.only)) {
    throw new TrailFilesError(
      `${folder} has records of another time: it can only go on with the same, or with none given`,
    );
  }
  return state;
}

function stateIn(path: string): TrailState {
  try {
    const state = JSON.parse(readFileSync(path, 'utf8')) as TrailState;
    const { v, delivered, periodStart, chains } = state;
    if (v === TRAIL_VERSION && delivered.records && delivered.changes && Date.parse(periodStart) && chains)
      return state;
  } catch {
    // Told below.
  }
  throw new TrailFilesError(`${path} is not what this release writes: restore it from a backup of the folder`);
}

export const writeTrailState = (folder: string, state: TrailState): void =>
  replaceDurably(stateFile(folder), Buffer.from(`${JSON.stringify(state, null, 1)}\n`, 'utf8'));
