import type { Command } from 'commander';
import { type DiffOptions, diff } from '../cli/diff';
import { A_MOMENT, momentAt } from '../cli/moments';
import { answering, around, print, usageIsTwo } from '../cli/running';

export function addDiff(program: Command): void {
  program
    .command('diff')
    .description(
      'what is not the same at two moments: created, deleted and changed, member by member; exit code 0 no difference, 1 differences, 2 usage',
    )
    .requiredOption('--from <time>', `the earlier moment: ${A_MOMENT}`)
    .option('--to <time>', 'the later one; now without it')
    .option('--key <key>', 'of one key, its aliases and its grants')
    .option('--account <account>', 'of one account')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Policies are compared statement by statement. What came and went between the moments is no difference: see keytrail timeline.

Examples:
  keytrail diff --from 2026-11-24T00:00:00Z --to 2026-11-25T00:00:00Z
  keytrail diff --from 2026-11-24T00:00:00Z --key alias/orders --json`,
    )
    .exitOverride(usageIsTwo)
    .action(
      answering('CompareMoments', false, async (operator, { from, to, ...options }: DiffOptions) => {
        const surroundings = await around(operator);
        const moment = (option: string, text: string) => momentAt(operator, option, text, surroundings.now);
        const moments = {
          from: await moment('--from', from),
          ...(to === undefined ? {} : { to: await moment('--to', to) }),
        };
        return diff(operator, { ...options, ...moments }, surroundings, print);
      }),
    );
}
