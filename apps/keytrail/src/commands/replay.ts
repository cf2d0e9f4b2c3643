import type { Command } from 'commander';
import { parseMoment } from '../cli/duration';
import { type ReplayOptions, replay } from '../cli/replay';
import { around, operating, print, recorded } from '../cli/running';

export function addReplay(program: Command): void {
  program
    .command('replay')
    .description(
      'rebuild keys, aliases, principals and grants from the log alone, as they are or were at a moment: history, state, policy, versions and next timers',
    )
    .option('--key <key>', 'one key: a key id, key ARN, alias name or alias ARN; with its aliases and grants')
    .option('--account <account>', 'those of one account')
    .option('--at <time>', 'a past moment, ISO 8601 or epoch seconds: what the service answered then')
    .option('--no-history', 'only what it led to: starts from a snapshot where there is one')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
At a moment it is what had been recorded by then. A timer that fired late is dated by its deadline, and counts from when it
was recorded; but a key is gone for callers from the end of its waiting period on, as it is for requests.

Examples:
  keytrail replay --key alias/orders
  keytrail replay --key <key id> --at 2026-11-24T12:00:00Z --json
  keytrail replay --account 111122223333 --at 1795953600 --no-history`,
    )
    .action(
      operating(
        true,
        recorded('ReplayLog', async (operator, { at, ...options }: ReplayOptions) =>
          replay(
            operator,
            { ...options, ...(at === undefined ? {} : { at: parseMoment(at) }) },
            await around(operator),
            print,
          ),
        ),
      ),
    );
}
