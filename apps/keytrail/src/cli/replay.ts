import { AGGREGATE_TYPES, type AggregateType } from '#domain/aggregates';
import { isLiving } from '#domain/key/state';
import { eventSubject } from '#domain/subjects';
import type { FoldedOf } from '#views/folded';
import { type AggregateReport, type Moment, momentOf, PLURAL, reportOf } from './aggregate-report';
import { describeEvent, type HistoryEntry, historyEntry, when } from './commit-lines';
import type { SnapshotPlace } from './log-reader';
import type { Operator } from './operator';
import { historyOf, isAbout, type Question, questionOf, type Surroundings, stateOf, unknownKey } from './question';

export interface ReplayOptions {
  /** Key id, key ARN, alias name or alias ARN; everything without it. */
  key?: string;
  /** Those of one account. */
  account?: string;
  /** ISO 8601; now without it. */
  at?: string;
  /** Who did what, beside what it led to; true without it. */
  history?: boolean;
  json?: boolean;
}

interface Replay {
  report: AggregateReport;
  history: HistoryEntry[] | undefined;
  state: unknown;
}

/** Rebuilds what there was at a moment from the log alone: who did what when, the state that it led to and the next timer. */
export async function replay(
  operator: Operator,
  options: ReplayOptions,
  around: Surroundings & SnapshotPlace & { now: string },
  print: (line: string) => void,
): Promise<void> {
  const { at, history: withHistory = true } = options;
  const question = await questionOf(operator, options, at, around);
  const histories = new Map<string, HistoryEntry[]>();
  const fold = withHistory
    ? await historyOf(operator, question, at, (commit, { subject }) => {
        const history = histories.get(subject);
        if (history) history.push(historyEntry(commit));
        else histories.set(subject, [historyEntry(commit)]);
      })
    : await stateOf(operator, question, at, around);
  if (question.key && !fold.projection.folded(question.key)) throw unknownKey(options.key!, at);
  printMoment(question, momentOf(fold, around.now), withHistory ? histories : undefined, options.json ?? false, print);
}

function printMoment(
  question: Question,
  moment: Moment,
  histories: ReadonlyMap<string, HistoryEntry[]> | undefined,
  json: boolean,
  print: (line: string) => void,
): void {
  const { projection } = moment;
  const replays = AGGREGATE_TYPES.map((type) => [type, replaysOf(type, question, moment, histories)] as const);
  if (json) {
    const lists = Object.fromEntries(replays.map(([type, found]) => [PLURAL[type], found.map(asJson)]));
    print(JSON.stringify({ at: moment.at, position: projection.position, ...lists }, null, 2));
    return;
  }
  if (replays.every(([, found]) => found.length === 0)) {
    const whose = question.account === undefined ? '' : ` of account ${question.account}`;
    print(`the log has nothing${whose} at ${moment.at}`);
  }
  for (const [type, found] of replays) {
    // Of one key, its aliases and grants are named in its own report.
    if (question.key && type !== 'key') continue;
    for (const one of found) printReplay(one, print);
  }
  const key = question.key && projection.folded(question.key)?.state;
  if (key && isLiving(key)) {
    print('policy:');
    for (const line of policyLines(key.policy)) print(`  ${line}`);
  }
}

function replaysOf(
  type: AggregateType,
  question: Question,
  moment: Moment,
  histories: ReadonlyMap<string, HistoryEntry[]> | undefined,
): Replay[] {
  const about = Array.from<FoldedOf<AggregateType>>(moment.projection.all(type)).filter((one) =>
    isAbout(question, one),
  );
  return about.map((folded) => ({
    report: reportOf(folded, moment),
    history: histories && (histories.get(eventSubject(folded.ref)) ?? []),
    state: folded.state,
  }));
}

const asJson = ({ report, history, state }: Replay): object => ({
  ...report.identity,
  exists: report.exists,
  ...(history && { history }),
  state,
  ...report.more,
});

function printReplay({ report, history = [] }: Replay, print: (line: string) => void): void {
  print(report.heading);
  for (const entry of history) {
    print(`  ${String(entry.version).padStart(3)}  ${when(entry)}  ${entry.operation}  by ${entry.principal}`);
    for (const event of entry.events) print(`       ${describeEvent(event)}`);
  }
  for (const line of report.lines) print(`  ${line}`);
  print('');
}

/** Laid out anew; as it is kept where it is no JSON. */
function policyLines(policy: string): string[] {
  try {
    return JSON.stringify(JSON.parse(policy), null, 2).split('\n');
  } catch {
    return policy.split('\n');
  }
}
