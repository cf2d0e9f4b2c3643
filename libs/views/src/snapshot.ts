import { createHash, type Hash } from 'node:crypto';
import { AGGREGATE_TYPES, type AggregateType } from '#domain/aggregates';
import type { FoldedOf } from './folded';
import type { Projection } from './projection';

/**
 * To be raised whenever the same log folds to another state than before, and whenever the form below changes: snapshots
 * of another format are not read.
 */
export const SNAPSHOT_FORMAT = 2;

/** What a snapshot says of itself. */
export interface SnapshotHead {
  format: number;
  /** The fold is of the log up to here. */
  position: number;
  /** Hex SHA-256 of the commit at that position. */
  commitHash: string;
  /** The latest recorded time in it: good for every moment from then on. */
  until: string;
}

export interface Snapshot extends SnapshotHead {
  folded: FoldedOf<AggregateType>[];
}

/** A snapshot that is of another format, cut short or altered. */
export class SnapshotUnfitError extends Error {
  override readonly name = 'SnapshotUnfitError';
}

const NEWLINE = 0x0a;

/** Lines of JSON: the head, one an aggregate, and last the SHA-256 of the bytes before. In pieces, as it may be large. */
export function* encodeSnapshot(head: Omit<SnapshotHead, 'format'>, projection: Projection): Iterable<string> {
  const hash = createHash('sha256');
  const line = (value: object): string => hashed(hash, `${JSON.stringify(value)}\n`);
  yield line({ format: SNAPSHOT_FORMAT, ...head });
  for (const type of AGGREGATE_TYPES) for (const folded of projection.all(type)) yield line(folded);
  yield `${JSON.stringify({ sha256: hash.digest('hex') })}\n`;
}

const hashed = (hash: Hash, text: string): string => {
  hash.update(text);
  return text;
};

/** Throws SnapshotUnfitError. That it fits the log is for the caller to find out, by `commitHash`. */
export function decodeSnapshot(bytes: Buffer): Snapshot {
  const end = bytes.lastIndexOf(NEWLINE, bytes.length - 2) + 1;
  const { sha256 } = parsed<{ sha256?: string }>(bytes.subarray(end));
  if (sha256 !== createHash('sha256').update(bytes.subarray(0, end)).digest('hex')) {
    throw new SnapshotUnfitError('its checksum does not fit');
  }
  const [head, ...folded] = linesOf(bytes.subarray(0, end)) as [SnapshotHead, ...FoldedOf<AggregateType>[]];
  if (head.format !== SNAPSHOT_FORMAT) throw new SnapshotUnfitError(`it has format ${head.format}`);
  return { ...head, folded };
}

function linesOf(bytes: Buffer): unknown[] {
  const lines: unknown[] = [];
  for (let from = 0; from < bytes.length; ) {
    const end = bytes.indexOf(NEWLINE, from);
    if (end < 0) throw new SnapshotUnfitError('it is cut short');
    lines.push(parsed(bytes.subarray(from, end)));
    from = end + 1;
  }
  return lines;
}

function parsed<T>(line: Buffer): T {
  try {
    return JSON.parse(line.toString('utf8')) as T;
  } catch {
    throw new SnapshotUnfitError('it is not a snapshot, or was cut short');
  }
}
