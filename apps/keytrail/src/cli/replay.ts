import { keyArn } from '#domain/arn';
import type { Commit } from '#domain/commit';
import { decodeCommit } from '#domain/commit-codec';
import { isLiving, type Key } from '#domain/key/state';
import { type AggregateRef, eventSubject } from '#domain/subjects';
import { timerOf } from '#views/due-times';
import type { Folded } from '#views/folded';
import { Projection } from '#views/projection';
import { readLog } from './log-reader';
import { CommandError, type Operator } from './operator';

export interface ReplayOptions {
  /** Key id or key ARN; all keys without it. */
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

interface KeyReplay {
  arn: string;
  history: HistoryEntry[];
  state: Key;
  aliases: string[];
  nextTimer?: { kind: string; deadline: string };
}

/** Rebuilds keys from the log alone, and prints who did what when, the state at that moment and the next timer. */
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
    if (commit.aggregate !== 'key' || (wanted !== undefined && commit.id !== wanted)) return;
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
  const replays = [...histories].map(([subject, history]) =>
    replayOf(projection, projection.keyBySubject(subject)!, history),
  );
  if (options.json)
    print(
      JSON.stringify(
        { ...(options.at === undefined ? {} : { at: options.at }), position: projection.position, keys: replays },
        null,
        2,
      ),
    );
  else for (const one of replays) printReplay(one, print);
}

function replayOf(projection: Projection, folded: Folded<Key>, history: HistoryEntry[]): KeyReplay {
  const timer = timerOf(projection, eventSubject(folded.ref));
  return {
    arn: arnOf(folded.ref),
    history,
    state: folded.state,
    aliases: [...projection.aliasNamesOf(folded.ref)].sort().map((name) => `alias/${name}`),
    ...(timer ? { nextTimer: { kind: timer.kind, deadline: timer.deadline } } : {}),
  };
}

const arnOf = (ref: AggregateRef): string => keyArn(ref.region, ref.account, ref.id);

function printReplay({ arn, history, state, aliases, nextTimer }: KeyReplay, print: (line: string) => void): void {
  print(arn);
  for (const { version, time, recordedAt, principal, operation, events } of history) {
    const late = recordedAt === undefined ? '' : ` (recorded ${recordedAt})`;
    print(`  ${String(version).padStart(3)}  ${time}${late}  ${operation}  by ${principal}`);
    for (const event of events) print(`       ${describe(event)}`);
  }
  print(`  state: ${state.keyState}`);
  if (isLiving(state)) {
    for (const { version, materialId, since, cause } of state.versions) {
      print(`  version ${version}: material ${materialId}, since ${since} (${cause})`);
    }
    for (const alias of aliases) print(`  alias: ${alias}`);
  } else if (state.keyState === 'Deleted') {
    print(
      `  deleted ${state.deletedAt}; ${state.materialIds.length === 0 ? 'all material erased' : `${state.materialIds.length} materials still to be erased`}`,
    );
  }
  print(nextTimer ? `  next timer: ${nextTimer.kind} at ${nextTimer.deadline}` : '  next timer: none');
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
