import type { Command } from 'commander';
import { A_MOMENT, momentAt } from '../cli/moments';
import { around, operating, print, recorded } from '../cli/running';
import { type TimelineOptions, timeline } from '../cli/timeline';

export function addTimeline(program: Command): void {
  program
    .command('timeline')
    .description(
      'everything that happened to a key, its aliases and its grants, and every call on it, in one order by time',
    )
    .requiredOption('--key <key>', 'a key id, key ARN, alias name or alias ARN')
    .option('--changes-only', 'from the log of changes alone: without uses, questions and refusals')
    .option('--since <time>', `from a moment on: ${A_MOMENT}`)
    .option('--until <time>', 'up to a moment, given in the same way')
    .option('--limit <number>', 'how many at most, the newest; 1 to 100000', '1000')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Calls have whole seconds. A call that changed something is told as what it changed. Calls come from the event history; where no
audit-projector answers, from the records themselves, which takes longer. Exit code 1 if the log has no such key.

Examples:
  keytrail timeline --key alias/orders
  keytrail timeline --key alias/orders --since 12h --limit 50
  keytrail timeline --key <key id> --since 2026-11-24T00:00:00Z --until 2026-11-25T00:00:00Z --json
  keytrail timeline --key <key id> --changes-only`,
    )
    .action(
      operating(
        true,
        recorded('ReadTimeline', async (operator, { since, until, ...options }: TimelineOptions) => {
          const surroundings = await around(operator);
          const moment = (option: string, text: string) => momentAt(operator, option, text, surroundings.now);
          const window = {
            ...(since === undefined ? {} : { since: await moment('--since', since) }),
            ...(until === undefined ? {} : { until: await moment('--until', until) }),
          };
          await timeline(operator, { ...options, ...window }, surroundings, print);
        }),
      ),
    );
}
