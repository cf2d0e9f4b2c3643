import { Command, InvalidArgumentError } from 'commander';
import { compareAgainst, noCase } from './against';
import { chosenCases, type Scenario } from './case';
import { byPolicy } from './cases/by-policy';
import { clusterStore } from './cases/cluster-store';
import { embeddedHttp } from './cases/embedded-http';
import { eventHistory, eventHistoryOnPostgres } from './cases/event-history';
import { hsmRoot } from './cases/hsm-root';
import { moto } from './cases/moto';
import { natsDirect } from './cases/nats-direct';
import { projectorOnPGlite, projectorOnPostgres } from './cases/projector';
import { proveRecord } from './cases/prove-record';
import { records } from './cases/records';
import { replay } from './cases/replay';
import { separateHttp } from './cases/separate-http';
import { signing } from './cases/signing';
import { timeTravel } from './cases/time-travel';
import { xks } from './cases/xks';
import { Processes, ROOT } from './processes';
import { addRow, commitOf, machine, type Row, renderTable, writeResults } from './report';

const SCENARIOS: readonly Scenario[] = [
  embeddedHttp,
  signing,
  records,
  byPolicy,
  hsmRoot,
  clusterStore,
  xks,
  separateHttp,
  natsDirect,
  replay,
  timeTravel,
  proveRecord,
  eventHistory,
  eventHistoryOnPostgres,
  projectorOnPGlite,
  projectorOnPostgres,
  moto,
];

interface Options {
  quick: boolean;
  only: string;
  against?: string;
  rounds?: number;
}

const progress = (text: string): void => {
  process.stderr.write(`bench: ${text}\n`);
};

async function measureAll(only: string, seconds: number): Promise<void> {
  const scenarios = SCENARIOS.filter(({ onlyByName }) => only !== '' || !onlyByName);
  const chosen = scenarios.map((scenario) => ({ scenario, cases: chosenCases(scenario.cases, only) }));
  const total = chosen.reduce((sum, { cases }) => sum + cases.length, 0);
  if (total === 0)
    throw new Error(
      noCase(
        only,
        SCENARIOS.flatMap(({ cases }) => cases),
      ),
    );
  const rows: Row[] = [];
  let done = 0;
  for (const { scenario, cases } of chosen) {
    if (cases.length === 0) continue;
    const processes = new Processes();
    try {
      const measures = await scenario.open(processes);
      for (const one of cases) {
        done++;
        const shown = `${done} of ${total}: ${one.name}, ${one.connections} at a time`;
        progress(measures ? shown : `${shown}: left out, it is not on this machine`);
        if (measures) addRow(rows, one, await measures[one.name]!(one.connections, seconds));
      }
    } finally {
      await processes.stop();
    }
  }
  process.stdout.write(`${machine()}\n\n${renderTable(rows)}`);
  progress(`written to ${writeResults('results', { commit: commitOf(ROOT), seconds, rows })}`);
}

function parseRounds(text: string): number {
  const rounds = Number(text);
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > 1000) {
    throw new InvalidArgumentError('It must be a whole number from 1 to 1000.');
  }
  return rounds;
}

async function run({ quick, only, against, rounds = quick ? 15 : 60 }: Options): Promise<void> {
  if (against === undefined) await measureAll(only, quick ? 1 : 4);
  else await compareAgainst(against, { only, rounds }, progress);
}

new Command('npm run bench --')
  .description('Measures Keytrail on this machine, and writes a table to stdout and .bench/results.json.')
  .option('--quick', 'a second for each case instead of four', false)
  .option('--only <text>', 'only the cases that have this in their name, and their floors', '')
  .option(
    '--against <folder>',
    'compare HTTP Encrypt and Decrypt with root in the built checkout in this folder, in turn',
  )
  .option(
    '--rounds <number>',
    'how often each case is measured with --against (default: 60, or 15 with --quick)',
    parseRounds,
  )
  .action((options: Options) =>
    run(options).then(
      () => process.exit(0),
      (error: unknown) => {
        process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
        process.exit(1);
      },
    ),
  )
  .parse();
