import { aliasArn, keyArn } from '#domain/arn';
import type { Commit } from '#domain/commit';
import { isoDate } from '#domain/dates';
import type { AggregateRef } from '#domain/subjects';
import type { KeyCall } from '#platform/history/key-calls';
import type { DecidedBy } from '#policy/decision';
import { recordedTime } from '#views/moment';
import { describeEvent, historyEntry, when } from './commit-lines';
import { shownDecision } from './explain';
import { callsOnKey, type Window } from './key-calls';
import { partAt } from './log-reader';
import { CommandError, type Operator } from './operator';
import { findKeyRef, type Surroundings, subjectsOfKey, unknownKey } from './question';
import { type Change, inOneOrder, type TimelineEntry } from './timeline-order';

export interface TimelineOptions {
  /** Key id, key ARN, alias name or alias ARN. */
  key: string;
  /** What only used the key, or was refused, is left out. */
  changesOnly?: boolean;
  /** ISO 8601. */
  since?: string;
  until?: string;
  limit?: string;
  json?: boolean;
}

const DEFAULT_LIMIT = 1_000;
const MAX_LIMIT = 100_000;

/** Prints what happened to a key, its aliases and its grants, and which calls used it or were refused, in one order. */
export async function timeline(
  operator: Operator,
  options: TimelineOptions,
  around: Surroundings & { now: string; warn(line: string): void },
  print: (line: string) => void,
): Promise<void> {
  const { since = isoDate(0), until = '9999-12-31T23:59:59.999Z', changesOnly = false } = options;
  const limit = limitOf(options.limit);
  if (since > until)
    throw new CommandError(`--since ${since} is after --until ${until}: give the earlier one as --since`);
  const key = await findKeyRef(operator, options.key, undefined, around);
  if (!key) throw unknownKey(options.key, undefined);
  const { changes, position } = await changesOf(operator, key, { since, until });
  // One more than is shown tells that there is more.
  const calls = changesOnly ? [] : await callsOnKey(operator, key, { since, until, limit: limit + 1 }, around.warn);
  const all = inOneOrder(changes, calls);
  const entries = all.slice(-limit);
  const arn = keyArn(key.region, key.account, key.id);
  const more = all.length > entries.length;
  if (options.json) {
    print(JSON.stringify({ key: arn, position, more, entries }, null, 2));
    return;
  }
  print(arn);
  if (more) print(`  ... more before the newest ${limit}: see --limit and --until`);
  for (const entry of entries) printEntry(entry, arn, print);
}

function limitOf(text = String(DEFAULT_LIMIT)): number {
  const limit = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (limit < 1 || limit > MAX_LIMIT) {
    throw new CommandError(`--limit ${text}: expected a number from 1 to ${MAX_LIMIT}`);
  }
  return limit;
}

async function changesOf(operator: Operator, key: AggregateRef<'key'>, { since, until }: Omit<Window, 'limit'>) {
  const changes: Change[] = [];
  const concerns = concerning(key);
  const { projection } = await partAt(operator, subjectsOfKey(key), undefined, (commit, { seq }) => {
    const recorded = recordedTime(commit);
    if (!concerns(commit) || recorded < since || recorded > until) return;
    changes.push({ kind: 'change', position: seq, of: nameOf(commit), ...historyEntry(commit) });
  });
  return { changes, position: projection.position };
}

function printEntry(entry: TimelineEntry, arn: string, print: (line: string) => void): void {
  if (entry.kind === 'call') {
    printCall(entry, print);
    return;
  }
  const of = entry.of === arn ? '' : `  ${entry.of}`;
  print(`  ${when(entry)}  ${entry.operation}${of}  by ${entry.principal}  request ${entry.requestId}`);
  for (const event of entry.events) print(`      ${describeEvent(event)}`);
}

function printCall(call: TimelineEntry & { kind: 'call' }, print: (line: string) => void): void {
  const refused = call.errorCode === undefined ? '' : `  refused: ${call.errorCode}`;
  const request = call.requestID === undefined ? '' : `  request ${call.requestID}`;
  print(`  ${call.eventTime}  ${call.eventName}  by ${callerOf(call)}${request}${refused}`);
  const decidedBy = call.additionalEventData?.decidedBy as DecidedBy | undefined;
  // Of another refusal, such as for the key's state, it says by what the call was allowed.
  if (call.errorCode === 'AccessDeniedException' && decidedBy) print(`      decided by ${shownDecision(decidedBy)}`);
}

const callerOf = ({ userIdentity: { arn, type, principalId, accountId } }: KeyCall): string =>
  arn ?? [type, accountId, principalId].filter((part) => part !== undefined).join(' ');

/** Whether a commit, told in the order of the log, is about the key: an alias also when it leaves it for another. */
function concerning(key: AggregateRef<'key'>): (commit: Commit) => boolean {
  const aliases = new Set<string>();
  const grants = new Set<string>();
  return ({ aggregate, id, events }) => {
    if (aggregate === 'key') return id === key.id;
    if (aggregate === 'customKeyStore') return false;
    if (aggregate === 'grant') {
      if (events.some((event) => event.type === 'GrantCreated' && event.keyId === key.id)) grants.add(id);
      return grants.has(id);
    }
    let about = aliases.has(id);
    for (const event of events) {
      const points = 'targetKeyId' in event && event.targetKeyId === key.id;
      if (points) aliases.add(id);
      else aliases.delete(id);
      about ||= points;
    }
    return about;
  };
}

const nameOf = ({ region, account, aggregate, id }: Commit): string => {
  if (aggregate === 'key') return keyArn(region, account, id);
  return aggregate === 'alias' ? aliasArn(region, account, `alias/${id}`) : `grant ${id}`;
};
