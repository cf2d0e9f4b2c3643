import { AGGREGATE_TYPES, type AggregateType } from '#domain/aggregates';
import { eventSubject } from '#domain/subjects';
import type { FoldedOf } from '#views/folded';
import { type AggregateReport, type Moment, momentOf, reportOf } from './aggregate-report';
import { differences, type FieldDifference, parsed } from './differences';
import type { SnapshotPlace } from './log-reader';
import { CommandError, type Operator } from './operator';
import { isAbout, type Question, questionOf, type Surroundings, stateOf } from './question';

export interface DiffOptions {
  /** ISO 8601. */
  from: string;
  /** ISO 8601; now without it. */
  to?: string;
  /** Key id, key ARN, alias name or alias ARN (as it was at `to`). */
  key?: string;
  account?: string;
  json?: boolean;
}

type Difference = AggregateReport['identity'] & {
  type: AggregateType;
  change: 'created' | 'deleted' | 'changed';
  /** Of what exists at both moments; of a created or deleted one, all that it has. */
  fields: FieldDifference[];
};

/** Prints what is not the same at two moments. Returns whether anything is. */
export async function diff(
  operator: Operator,
  options: DiffOptions,
  around: Surroundings & SnapshotPlace & { now: string },
  print: (line: string) => void,
): Promise<boolean> {
  const { from } = options;
  const question = await questionOf(operator, options, options.to, around);
  const before = { projection: (await stateOf(operator, question, from, around)).projection, at: from };
  const after = momentOf(await stateOf(operator, question, options.to, around), around.now);
  const to = after.at;
  if (from > to) throw new CommandError(`--from ${from} is after ${to}: give the earlier moment as --from`);
  const found = differencesBetween(question, before, after);
  if (options.json) print(JSON.stringify({ from, to, differences: found }, null, 2));
  else for (const one of found) printDifference(one, print);
  return found.length > 0;
}

/** What callers would have been told otherwise at the second moment. What came and went in between is not in it. */
export function differencesBetween(question: Question, before: Moment, after: Moment): Difference[] {
  return AGGREGATE_TYPES.flatMap((type) => {
    const [old, young] = [existing(type, question, before), existing(type, question, after)];
    return [...new Set([...old.keys(), ...young.keys()])].flatMap((subject) => {
      const [was, is] = [old.get(subject), young.get(subject)];
      // An alias that was given to another key is a difference of both keys.
      if (!was?.isAbout && !is?.isAbout) return [];
      const change = !was ? 'created' : is ? 'changed' : 'deleted';
      const fields = differences(was?.state ?? {}, is?.state ?? {});
      if (change === 'changed' && fields.length === 0) return [];
      return [{ type, ...(is ?? was)!.identity, change, fields } satisfies Difference];
    });
  });
}

interface Existing {
  identity: AggregateReport['identity'];
  isAbout: boolean;
  state: object;
}

function existing(type: AggregateType, question: Question, moment: Moment): Map<string, Existing> {
  const found = new Map<string, Existing>();
  for (const folded of moment.projection.all(type) as Iterable<FoldedOf<AggregateType>>) {
    const { exists, identity } = reportOf(folded, moment);
    if (!exists) continue;
    found.set(eventSubject(folded.ref), { identity, isAbout: isAbout(question, folded), state: folded.state });
  }
  return found;
}

const SIGN = { created: '+', deleted: '-', changed: '~' } as const;

function printDifference(difference: Difference, print: (line: string) => void): void {
  const { type, change, fields } = difference;
  print(`${SIGN[change]} ${type} ${nameOf(difference)} ${change}`);
  if (change === 'deleted') return;
  for (const { path, before, after } of fields) {
    if (before !== undefined) print(`    - ${path}: ${shown(before)}`);
    if (after !== undefined) print(`    + ${path}: ${shown(after)}`);
  }
}

function nameOf(identity: AggregateReport['identity']): string {
  if ('arn' in identity) return identity.arn;
  if ('grantId' in identity) return identity.grantId;
  if ('trail' in identity) return identity.trail;
  if ('root' in identity) return identity.root;
  return 'clusterId' in identity ? identity.clusterId : identity.customKeyStoreId;
}

/** Policies as they are written; other text with several lines would look like lines of ours. */
const shown = (value: unknown): string =>
  typeof value === 'string' && (!value.includes('\n') || parsed(value) !== undefined) ? value : JSON.stringify(value);
