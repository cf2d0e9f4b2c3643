import { AGGREGATES, isAggregateType } from './aggregates';
import { COMMIT_SCHEMA, type Commit, CommitFormatError } from './commit';
import { type AggregateRef, eventSubject, parseEventSubject } from './subjects';

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
  if (!isOn(subject, commit)) refuseFor(subject, commit);
  if (!Number.isSafeInteger(commit.version) || typeof commit.prevHash !== 'string' || typeof commit.time !== 'string') {
    throw new CommitFormatError(`${subject}: version, prevHash or time is missing`);
  }
  if (!Array.isArray(commit.events) || commit.events.length === 0) {
    throw new CommitFormatError(`${subject}: version ${commit.version} has no events`);
  }
  const { isEvent } = AGGREGATES[commit.aggregate];
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

/** Whether the commit says the same place as its subject: by putting together, which takes less than taking apart. */
function isOn(subject: string, commit: Commit): boolean {
  const { region, account, aggregate, id } = commit;
  return isAggregateType(aggregate) && eventSubject(commit) === subject && [region, account, id].every(isToken);
}

const isToken = (text: unknown): boolean => typeof text === 'string' && text !== '' && !text.includes('.');

/** Throws what is wrong with the place. */
function refuseFor(subject: string, commit: Commit): never {
  const ref = refOf(subject);
  for (const field of ['region', 'account', 'aggregate', 'id'] as const) {
    if (commit[field] !== ref[field]) throw new CommitFormatError(`${subject}: commit says ${field} ${commit[field]}`);
  }
  throw new CommitFormatError(`${subject}: not the place that the commit says`);
}

function refOf(subject: string): AggregateRef {
  try {
    return parseEventSubject(subject);
  } catch (cause) {
    throw new CommitFormatError((cause as Error).message, { cause });
  }
}
