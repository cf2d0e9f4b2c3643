import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Case, chosenCases, onOneAndMany } from './case';
import { startEmbedded } from './embedded';
import { BY_ROOT, encryptRequests, USER_CASES } from './encrypt-callers';
import { type KmsRequest, kmsRequests } from './kms-requests';
import { httpLoad, warmUp } from './load';
import type { Measured } from './measured';
import { Processes, ROOT } from './processes';
import { commitOf, machine, writeResults } from './report';

const DECRYPT_BY_ROOT = 'HTTP Decrypt, as root';
const CASES: readonly Case[] = onOneAndMany([BY_ROOT, ...USER_CASES, DECRYPT_BY_ROOT].map((name) => ({ name })));
const operationOf = ({ name }: Case): 'Encrypt' | 'Decrypt' => (name === DECRYPT_BY_ROOT ? 'Decrypt' : 'Encrypt');

const ROUND_SECONDS = 0.25;

/** Measures one case for a round. */
type Round = () => Promise<Measured>;

/** What `here` is held against: root of the other checkout, which may be too old to know users. */
interface Comparison extends Case {
  here: Measured[];
  there: Measured[];
}

/**
 * Measures this build and the one in `folder` in turn, on the same machine within the same minute, in short rounds, so
 * that what else the machine does falls on all: in each round root there, then every case here, and in the next the same
 * backwards. Prints the medians of the rounds' ratios: this build's rate over the other's.
 */
export async function compareAgainst(
  folder: string,
  options: { only: string; rounds: number },
  progress: (text: string) => void,
): Promise<void> {
  const other = resolve(folder);
  if (!existsSync(join(other, 'dist/apps/keytrail/src/main.js'))) {
    throw new Error(`${other} is not a built checkout of Keytrail: run scripts/setup there`);
  }
  const chosen = chosenCases(CASES, options.only);
  if (chosen.length === 0) throw new Error(noCase(options.only, CASES));
  const processes = new Processes();
  try {
    const here = await startSide(processes, ROOT, chosen);
    const there = await startSide(
      processes,
      other,
      chosen.map((one) => ({ ...one, name: rootsOf(one) })),
    );
    const comparisons: Comparison[] = [];
    for (const together of groupsOf(chosen)) {
      const { connections } = together[0]!;
      const operation = operationOf(together[0]!);
      progress(`${operation}, ${connections} at a time, ${options.rounds} rounds of ${together.length + 1} in turn`);
      const theirs: Measured[] = [];
      const group = together.map((one): Comparison => ({ ...one, here: [], there: theirs }));
      const turns: [Measured[], Round][] = [
        [theirs, () => there(rootsOf(together[0]!), connections)],
        ...group.map(({ name, here: ours }): [Measured[], Round] => [ours, () => here(name, connections)]),
      ];
      for (let round = 1; round <= options.rounds; round++) {
        for (const [results, measure] of turns) results.push(await measure());
        turns.reverse();
      }
      comparisons.push(...group);
    }
    const commits = { here: commitOf(ROOT), there: commitOf(other) };
    process.stdout.write(`${machine()}\n\n${render(comparisons, commits)}`);
    writeResults('against', { commits, folder: other, ...options, comparisons });
  } finally {
    await processes.stop();
  }
}

const rootsOf = (one: Case): string => (operationOf(one) === 'Decrypt' ? DECRYPT_BY_ROOT : BY_ROOT);

/** The cases that are measured in turn: of one operation, with the same number of connections. */
function groupsOf(cases: readonly Case[]): Case[][] {
  const groups = new Map<string, Case[]>();
  for (const one of cases) {
    const name = `${operationOf(one)} ${one.connections}`;
    groups.set(name, [...(groups.get(name) ?? []), one]);
  }
  return [...groups.values()];
}

export const noCase = (text: string, cases: readonly Case[]): string =>
  `no case has ${JSON.stringify(text)} in its name; there are: ${[...new Set(cases.map(({ name }) => name))].join('; ')}`;

/** Starts the build in `folder` and says how its cases are measured. Users are made only where a case needs one. */
async function startSide(
  processes: Processes,
  folder: string,
  cases: readonly Case[],
): Promise<(name: string, connections: number) => Promise<Measured>> {
  const target = await startEmbedded(processes, folder);
  const { Encrypt, Decrypt } = await kmsRequests(target.port);
  const users = cases.some(({ name }) => USER_CASES.includes(name)) ? await encryptRequests(target.port) : {};
  const requests: Record<string, KmsRequest> = { ...users, [BY_ROOT]: Encrypt!, [DECRYPT_BY_ROOT]: Decrypt! };
  for (const name of new Set(cases.map((one) => one.name))) await warmUp(target.port, requests[name]!);
  return (name, connections) => httpLoad(target, requests[name]!, connections, ROUND_SECONDS);
}

function render(comparisons: readonly Comparison[], commits: { here: string; there: string }): string {
  const rows = comparisons.map(({ name, connections, here, there }) => {
    const rate = compare(here, there);
    const [cpuHere, cpuThere] = [meanCpuUs(here), meanCpuUs(there)];
    const cells = [
      ...[
        name,
        String(connections),
        rate.here.toFixed(0),
        rate.there.toFixed(0),
        rate.ratio.toFixed(3),
        rate.middleHalf,
      ],
      ...[cpuHere.toFixed(1), cpuThere.toFixed(1), (cpuHere / cpuThere).toFixed(3)],
    ];
    return `| ${cells.join(' | ')} |\n`;
  });
  return (
    `here ${commits.here}, there ${commits.there}; there always as root; medians of the rounds, of the rounds' own ratios, and the middle half of these; CPU over all rounds\n\n` +
    '| case | connections | per second here | there | ratio | middle half | CPU us here | there | ratio |\n' +
    `| ${Array(9).fill('---').join(' | ')} |\n${rows.join('')}`
  );
}

function compare(here: readonly Measured[], there: readonly Measured[]) {
  const rate = ({ perSecond }: Measured): number => perSecond;
  const pairs = here.map((measured, round) => rate(measured) / rate(there[round]!));
  const middleHalf = `${quantile(pairs, 0.25).toFixed(2)} to ${quantile(pairs, 0.75).toFixed(2)}`;
  return { here: median(here.map(rate)), there: median(there.map(rate)), ratio: median(pairs), middleHalf };
}

/** CPU time comes in steps that are long beside a round, so it is only good over all of them; rounds are equally long. */
function meanCpuUs(rounds: readonly Measured[]): number {
  const requests = rounds.reduce((sum, { perSecond }) => sum + perSecond, 0);
  return rounds.reduce((sum, { cpuUs = Number.NaN, perSecond }) => sum + cpuUs * perSecond, 0) / requests;
}

const median = (values: readonly number[]): number => quantile(values, 0.5);

/** Between two values the line from one to the other. */
function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (sorted.length - 1) * share;
  const [below, above] = [sorted[Math.floor(at)]!, sorted[Math.ceil(at)]!];
  return below + (above - below) * (at % 1);
}
