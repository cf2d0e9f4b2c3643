import type { Command } from 'commander';
import { parseSettings } from '#platform/settings';
import { type ProveOptions, prove } from '../cli/prove';
import { operating, print } from '../cli/running';

export function addProve(program: Command): void {
  program
    .command('prove')
    .description('write the proof that one call is on record, for verify --proof (C2SP tlog-proof)')
    .requiredOption('--event <eventID>', 'of a record, as LookupEvents gives it')
    .option('--to <file>', 'instead of printing it')
    .action(
      operating(true, (operator, options: ProveOptions) => prove(operator, parseSettings(process.env), options, print)),
    );
}
