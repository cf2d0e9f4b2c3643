import type { Command } from 'commander';
import { A_MOMENT, momentAt } from '../cli/moments';
import { type ReplayOptions, replay } from '../cli/replay';
import { around, operating, print, recorded } from '../cli/running';

export function addReplay(program: Command): void {
  program
    .command('replay')
    .description(
      'rebuild keys, aliases, principals, grants, HSM clusters, custom key stores and the root key from the log alone, as they are or were at a moment: history, state, policy, versions and next timers',
    )
    .option('--key <key>', 'one key: a key id, key ARN, alias name or alias ARN; with its aliases and grants')
    .option('--account <account>', 'those of one account')
    .option('--at <time>', `a moment, and what the service answered then: ${A_MOMENT}`)
    .option('--no-history', 'only what it led to: starts from a snapshot where there is one')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
At a moment it is what had been recorded by then. A timer that fired late is dated by its deadline, and counts from when it
was recorded; but a key is gone for callers from the end of its waiting period on, as it is for requests. Exit code 1 if
the log has no such key, or it cannot be read.

Examples:
  keytrail replay --key alias/orders
  keytrail replay --key <key id> --at 2026-11-24T12:00:00Z --json
  keytrail replay --account 111122223333 --at 1795953600 --no-history`,
    )
    .action(
      operating(
        true,
        recorded('ReplayLog', async (operator, { at, ...options }: ReplayOptions) => {
          const surroundings = await around(operator);
          const moment = at === undefined ? {} : { at: await momentAt(operator, '--at', at, surroundings.now) };
          await replay(operator, { ...options, ...moment }, surroundings, print);
        }),
      ),
    );
}
