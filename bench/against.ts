import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Case, chosenCases, onOneAndMany } from './case';
import { startEmbedded } from './embedded';
import { type KmsRequest, kmsRequests } from './kms-requests';
import { httpLoad, type Target, warmUp } from './load';
import type { Measured } from './measured';
import { Processes, ROOT } from './processes';
import { commitOf, machine, writeResults } from './report';

const CASES: readonly Case[] = onOneAndMany([{ name: 'HTTP Encrypt' }, { name: 'HTTP Decrypt' }]);
const operationOf = ({ name }: Case): string => name.slice('HTTP '.length);

const ROUND_SECONDS = 0.25;

interface Side {
  folder: string;
  target: Target;
  requests: Record<string, KmsRequest>;
}

interface Comparison extends Case {
  here: Measured[];
  there: Measured[];
}

/**
 * Measures this build and the one in `folder` in turn, ABAB..., on the same machine within the same minute, in short
 * rounds, so that what else the machine does falls on both. Prints the ratios of the medians: this build's over the other's.
 */
export async function compareAgainst(
  folder: string,
  options: { only: string; rounds: number },
  progress: (text: string) => void,
): Promise<void> {
  const there = resolve(folder);
  if (!existsSync(join(there, 'dist/apps/keytrail/src/main.js'))) {
    throw new Error(`${there} is not a built checkout of Keytrail: run scripts/setup there`);
  }
  const chosen = chosenCases(CASES, options.only);
  if (chosen.length === 0) throw new Error(noCase(options.only, CASES));
  const processes = new Processes();
  try {
    const sides = [await startSide(processes, ROOT), await startSide(processes, there)] as const;
    const comparisons: Comparison[] = [];
    for (const one of chosen) {
      progress(`${one.name}, ${one.connections} at a time, ${options.rounds} rounds of each`);
      const comparison: Comparison = { ...one, here: [], there: [] };
      for (let round = 1; round <= options.rounds; round++) {
        for (const side of sides) {
          const measured = await httpLoad(
            side.target,
            side.requests[operationOf(one)]!,
            one.connections,
            ROUND_SECONDS,
          );
          (side === sides[0] ? comparison.here : comparison.there).push(measured);
        }
      }
      comparisons.push(comparison);
    }
    const commits = { here: commitOf(ROOT), there: commitOf(there) };
    process.stdout.write(`${machine()}\n\n${render(comparisons, commits)}`);
    writeResults('against', { commits, folder: there, ...options, comparisons });
  } finally {
    await processes.stop();
  }
}

export const noCase = (text: string, cases: readonly Case[]): string =>
  `no case has ${JSON.stringify(text)} in its name; there are: ${[...new Set(cases.map(({ name }) => name))].join('; ')}`;

async function startSide(processes: Processes, folder: string): Promise<Side> {
  const target = await startEmbedded(processes, folder);
  const requests = await kmsRequests(target.port);
  for (const operation of new Set(CASES.map(operationOf))) await warmUp(target.port, requests[operation]!);
  return { folder, target, requests };
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
    `here ${commits.here}, there ${commits.there}; medians of the rounds, their ratio, and the middle half of the rounds' own ratios; CPU over all rounds\n\n` +
    '| case | connections | per second here | there | ratio | middle half | CPU us here | there | ratio |\n' +
    `| ${Array(9).fill('---').join(' | ')} |\n${rows.join('')}`
  );
}

function compare(here: readonly Measured[], there: readonly Measured[]) {
  const rate = ({ perSecond }: Measured): number => perSecond;
  const pairs = here.map((measured, round) => rate(measured) / rate(there[round]!));
  const [ours, theirs] = [median(here.map(rate)), median(there.map(rate))];
  const middleHalf = `${quantile(pairs, 0.25).toFixed(2)} to ${quantile(pairs, 0.75).toFixed(2)}`;
  return { here: ours, there: theirs, ratio: ours / theirs, middleHalf };
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
