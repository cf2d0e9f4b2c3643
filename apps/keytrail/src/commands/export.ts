import type { Command } from 'commander';
import { parseSettings } from '#platform/settings';
import { type ExportOptions, exportLogs } from '../cli/export';
import { operating, print, recorded } from '../cli/running';

export function addExport(program: Command): void {
  program
    .command('export')
    .description(
      'write commits, records, leaf hashes, tree heads and their public key into a folder; goes on where it was',
    )
    .requiredOption('--to <folder>', 'empty, or a former export of the same log')
    .option('--without-sealed', 'leave out what records keep of requests and replies')
    .action(
      operating(
        true,
        recorded('ExportLogs', (operator, options: ExportOptions) =>
          exportLogs(operator, parseSettings(process.env), options, print),
        ),
      ),
    );
}
