import { AGGREGATES } from './aggregates';
import { COMMIT_SCHEMA, type Commit, CommitFormatError } from './commit';
import { type AggregateRef, parseEventSubject } from './subjects';

/** Event versions this release writes. */
const CURRENT_EVENT_VERSION = 1;

/**
 * Reads a commit from its stored bytes and checks that it belongs to the subject it was found on.
 * Throws CommitFormatError for anything that this release cannot read: nothing is ever skipped.
 */
export function decodeCommit(subject: string, bytes: Uint8Array): Commit {
  const commit = parse(subject, bytes);
  if (commit.schema !== COMMIT_SCHEMA)
    throw new CommitFormatError(`${subject}: unknown commit schema ${commit.schema}`);
  const ref = refOf(subject);
  for (const field of ['region', 'account', 'aggregate', 'id'] as const) {
    if (commit[field] !== ref[field]) throw new CommitFormatError(`${subject}: commit says ${field} ${commit[field]}`);
  }
  if (!Number.isSafeInteger(commit.version) || typeof commit.prevHash !== 'string' || typeof commit.time !== 'string') {
    throw new CommitFormatError(`${subject}: version, prevHash or time is missing`);
  }
  if (!Array.isArray(commit.events) || commit.events.length === 0) {
    throw new CommitFormatError(`${subject}: version ${commit.version} has no events`);
  }
  const { isEvent } = AGGREGATES[ref.aggregate];
  for (const event of commit.events) {
    if (!isEvent(event.type)) {
      throw new CommitFormatError(
        `${subject}: version ${commit.version} has an unknown event ${JSON.stringify(event.type)}`,
      );
    }
    if (event.v !== CURRENT_EVENT_VERSION) {
      throw new CommitFormatError(`${subject}: ${event.type} has version ${event.v}, which this release does not know`);
    }
  }
  return commit;
}

function parse(subject: string, bytes: Uint8Array): Commit {
  try {
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
    const commit = JSON.parse(text) as Commit | null;
    if (commit !== null && typeof commit === 'object') return commit;
  } catch (cause) {
    throw new CommitFormatError(`${subject}: not a commit`, { cause });
  }
  throw new CommitFormatError(`${subject}: not a commit`);
}

function refOf(subject: string): AggregateRef {
  try {
    return parseEventSubject(subject);
  } catch (cause) {
    throw new CommitFormatError((cause as Error).message, { cause });
  }
}
