import type { Command } from 'commander';
import { parseSettings } from '#platform/settings';
import type { ExportOptions } from '../cli/export';
import { type ExportTrailOptions, exportEither } from '../cli/export-trail';
import { A_MOMENT } from '../cli/moments';
import { operating, print, recorded } from '../cli/running';

export function addExport(program: Command): void {
  program
    .command('export')
    .description(
      'write commits, records, leaf hashes, tree heads and their public key into a folder; goes on where it was',
    )
    .requiredOption('--to <folder>', 'empty, or a former export of the same log')
    .option('--without-sealed', 'leave out what records keep of requests and replies')
    .option('--cloudtrail', 'write the records alone, as log files of CloudTrail with signed digests')
    .option('--since <time>', `with --cloudtrail: events from then on; ${A_MOMENT}`)
    .option('--until <time>', 'with --cloudtrail: events before then')
    .addHelpText(
      'after',
      `
Examples:
  keytrail export --to DIR
  keytrail verify --export DIR --key data/checkpoints/keytrail.vkey
  keytrail export --to DIR --without-sealed
  keytrail export --cloudtrail --to DIR --since 30d`,
    )
    .action(
      operating(
        true,
        recorded('ExportLogs', (operator, options: ExportOptions & ExportTrailOptions) =>
          exportEither(operator, parseSettings(process.env), options, print),
        ),
      ),
    );
}
