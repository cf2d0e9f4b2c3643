import type { Command } from 'commander';
import { parseSettings } from '#platform/settings';
import { type ProveOptions, prove } from '../cli/prove';
import { operating, print, recorded } from '../cli/running';

export function addProve(program: Command): void {
  program
    .command('prove')
    .description(
      'write the proof that one call is on record, for verify --proof (C2SP tlog-proof); or that a log goes on from an older head',
    )
    .option('--event <eventID>', 'of a record, as LookupEvents gives it')
    .option('--consistency', 'that the log of --from goes on from it to its newest head (C2SP tlog-witness)')
    .option('--from <file>', 'an older head, as it was kept outside (checkpoints/records.checkpoint)')
    .option('--to <file>', 'instead of printing it')
    .addHelpText(
      'after',
      `
A call can be proved once a head covers it, KEYTRAIL_TREE_HEAD_SECONDS (by default 10) after it at most.

Examples:
  keytrail prove --event <eventID> --to proof.txt
  keytrail verify --proof proof.txt --key data/checkpoints/keytrail.vkey
  keytrail prove --consistency --from older.checkpoint --to consistency.txt
  keytrail verify --consistency consistency.txt --from older.checkpoint --key data/checkpoints/keytrail.vkey`,
    )
    .action(
      operating(
        true,
        recorded('ProveRecord', (operator, options: ProveOptions) =>
          prove(operator, parseSettings(process.env), options, print),
        ),
      ),
    );
}
