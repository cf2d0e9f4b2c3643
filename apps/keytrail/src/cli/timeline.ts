import { aliasArn, keyArn } from '#domain/arn';
import type { Commit } from '#domain/commit';
import type { AggregateRef } from '#domain/subjects';
import { describeEvent, type HistoryEntry, historyEntry, when } from './commit-lines';
import { partAt } from './log-reader';
import type { Operator } from './operator';
import { findKeyRef, type Surroundings, subjectsOfKey, unknownKey } from './question';

export interface TimelineOptions {
  /** Key id, key ARN, alias name or alias ARN. */
  key: string;
  json?: boolean;
}

interface TimelineEntry extends HistoryEntry {
  /** In the log. */
  position: number;
  /** ARN of the key or alias, or the id of the grant that it happened to. */
  of: string;
}

/** Prints everything that happened to a key, its aliases and its grants, in the order of the log. */
export async function timeline(
  operator: Operator,
  options: TimelineOptions,
  around: Surroundings,
  print: (line: string) => void,
): Promise<void> {
  const key = await findKeyRef(operator, options.key, undefined, around);
  if (!key) throw unknownKey(options.key, undefined);
  const entries: TimelineEntry[] = [];
  const concerns = concerning(key);
  const { projection } = await partAt(operator, subjectsOfKey(key), undefined, (commit, { seq }) => {
    if (concerns(commit)) entries.push({ position: seq, of: nameOf(commit), ...historyEntry(commit) });
  });
  const arn = keyArn(key.region, key.account, key.id);
  if (options.json) {
    print(JSON.stringify({ key: arn, position: projection.position, entries }, null, 2));
    return;
  }
  print(arn);
  for (const entry of entries) {
    const of = entry.of === arn ? '' : `  ${entry.of}`;
    print(`  ${when(entry)}  ${entry.operation}${of}  by ${entry.principal}  request ${entry.requestId}`);
    for (const event of entry.events) print(`      ${describeEvent(event)}`);
  }
}

/** Whether a commit, told in the order of the log, is about the key: an alias also when it leaves it for another. */
function concerning(key: AggregateRef<'key'>): (commit: Commit) => boolean {
  const aliases = new Set<string>();
  const grants = new Set<string>();
  return ({ aggregate, id, events }) => {
    if (aggregate === 'key') return id === key.id;
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
