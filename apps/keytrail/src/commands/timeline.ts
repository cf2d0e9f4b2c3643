import type { Command } from 'commander';
import { parseSettings } from '#platform/settings';
import { operating, print, recorded } from '../cli/running';
import { type TimelineOptions, timeline } from '../cli/timeline';

export function addTimeline(program: Command): void {
  program
    .command('timeline')
    .description('everything that happened to a key, its aliases and its grants, in the order of the log')
    .requiredOption('--key <key>', 'a key id, key ARN, alias name or alias ARN')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Examples:
  keytrail timeline --key alias/orders
  keytrail timeline --key <key id> --json`,
    )
    .action(
      operating(
        true,
        recorded('ReadTimeline', async (operator, options: TimelineOptions) =>
          timeline(operator, options, parseSettings(process.env), print),
        ),
      ),
    );
}
