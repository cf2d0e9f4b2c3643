import { AGGREGATE_TYPES, type AggregateType } from '#domain/aggregates';
import type { Commit } from '#domain/commit';
import { decodeCommit } from '#domain/commit-codec';
import { eventSubject } from '#domain/subjects';
import { Projection } from '#views/projection';
import { type AggregateReport, PLURAL, reportOf } from './aggregate-report';
import { readLog } from './log-reader';
import { CommandError, type Operator } from './operator';

export interface ReplayOptions {
  /** Key id or key ARN; every key, alias, principal and grant without it. */
  key?: string;
  /** ISO 8601; the end of the log without it. */
  at?: string;
  json?: boolean;
}

interface HistoryEntry {
  version: number;
  time: string;
  recordedAt?: string;
  principal: string;
  operation: string;
  requestId: string;
  events: Commit['events'];
}

interface Replay {
  report: AggregateReport;
  history: HistoryEntry[];
  state: unknown;
}

/** Rebuilds everything from the log alone, and prints who did what when, the state at that moment and the next timer. */
export async function replay(operator: Operator, options: ReplayOptions, print: (line: string) => void): Promise<void> {
  const wanted = options.key?.slice(options.key.lastIndexOf('/') + 1);
  const projection = new Projection();
  const histories = new Map<string, HistoryEntry[]>();
  const ended = new Set<string>();
  await readLog(operator, (stored) => {
    // An aggregate's times never run backwards, so what is left out is always the end of its history.
    if (
      options.at !== undefined &&
      (ended.has(stored.subject) || decodeCommit(stored.subject, stored.bytes).time > options.at)
    ) {
      ended.add(stored.subject);
      projection.skip(stored);
      return;
    }
    const commit = projection.apply(stored);
    if (wanted !== undefined && (commit.aggregate !== 'key' || commit.id !== wanted)) return;
    const history = histories.get(stored.subject) ?? [];
    histories.set(stored.subject, history);
    const { version, time, recordedAt, principal, operation, requestId, events } = commit;
    history.push({
      version,
      time,
      ...(recordedAt === undefined ? {} : { recordedAt }),
      principal,
      operation,
      requestId,
      events,
    });
  });
  if (wanted !== undefined && histories.size === 0) {
    throw new CommandError(
      `the log has no key ${options.key}${options.at === undefined ? '' : ` at ${options.at}`}; list keys with: ./keytrail replay`,
    );
  }
  const types = wanted === undefined ? AGGREGATE_TYPES : (['key'] as const);
  const replays = types.map((type) => [type, replaysOf(type, projection, histories)] as const);
  if (options.json) {
    const lists = Object.fromEntries(replays.map(([type, found]) => [PLURAL[type], found.map(asJson)]));
    const at = options.at === undefined ? {} : { at: options.at };
    print(JSON.stringify({ ...at, position: projection.position, ...lists }, null, 2));
  } else {
    for (const [, found] of replays) for (const one of found) printReplay(one, print);
  }
}

function replaysOf(type: AggregateType, projection: Projection, histories: Map<string, HistoryEntry[]>): Replay[] {
  return Array.from(projection.all(type)).flatMap((folded) => {
    const history = histories.get(eventSubject(folded.ref));
    return history ? [{ report: reportOf(folded, projection), history, state: folded.state }] : [];
  });
}

const asJson = ({ report, history, state }: Replay): object => ({
  ...report.identity,
  history,
  state,
  ...report.more,
});

function printReplay({ report, history }: Replay, print: (line: string) => void): void {
  print(report.heading);
  for (const { version, time, recordedAt, principal, operation, events } of history) {
    const late = recordedAt === undefined ? '' : ` (recorded ${recordedAt})`;
    print(`  ${String(version).padStart(3)}  ${time}${late}  ${operation}  by ${principal}`);
    for (const event of events) print(`       ${describe(event)}`);
  }
  for (const line of report.lines) print(`  ${line}`);
  print('');
}

function describe(event: Commit['events'][number]): string {
  const { type, v: _v, ...members } = event;
  const shown = Object.entries(members).map(([name, value]) => `${name}=${short(value)}`);
  return [type, ...shown].join(' ');
}

function short(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  const line = text.replace(/\s+/g, ' ');
  return line.length > 80 ? `${line.slice(0, 77)}...` : line;
}
