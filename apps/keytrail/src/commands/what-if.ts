import type { Command } from 'commander';
import { A_MOMENT } from '../cli/moments';
import { answering, around, print, usageIsTwo } from '../cli/running';
import { CHANGES, type WhatIfOptions, whatIf } from '../cli/what-if';

export function addWhatIf(program: Command): void {
  const whatIfCommand = program
    .command('what-if')
    .description(
      'which calls on record would have been refused, had a change been made; nothing is changed. Exit code 0 nobody, 1 somebody, 2 usage',
    )
    .addHelpText(
      'after',
      `
The calls that were allowed are decided again, as things are now and with the change made to that: by the same code, with
their caller, parameters, encryption context, source address and time.

Examples:
  keytrail what-if put-key-policy --key alias/orders --policy policy.json --since 30d
  keytrail what-if disable-key --key <key id>
  keytrail what-if revoke-grant --key <key id> --grant <grant id> --since 2026-11-24T00:00:00Z
  keytrail what-if delete-user --user ann --json
  keytrail what-if deactivate-access-key --access-key AKIA...`,
    );
  for (const { name, description, options } of CHANGES) {
    const command = whatIfCommand.command(name).description(description);
    for (const [flags, meaning] of options) command.requiredOption(flags, meaning);
    if (options.some(([flags]) => /^--(user|role) /.test(flags))) {
      command.option('--account <account>', 'of the user or role; that of the settings without it');
    }
    command
      .option('--since <time>', `from when on calls count: ${A_MOMENT}`, '30d')
      .option('--json', 'print JSON')
      .exitOverride(usageIsTwo)
      .action(
        answering(
          'AskWhatIf',
          true,
          async (operator, given: WhatIfOptions) => whatIf(operator, name, given, await around(operator), print),
          false,
        ),
      );
  }
  whatIfCommand.exitOverride(usageIsTwo);
}
