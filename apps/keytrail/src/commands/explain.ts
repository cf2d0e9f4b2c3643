import type { Command } from 'commander';
import { type ExplainOptions, explain } from '../cli/explain';
import { A_MOMENT, momentAt } from '../cli/moments';
import { answering, around, print, usageIsTwo } from '../cli/running';

export function addExplain(program: Command): void {
  program
    .command('explain')
    .description(
      'whether a principal may do something, or could at a past moment, and why, from the log alone; exit code 0 allowed, 1 denied, 2 usage',
    )
    .requiredOption('--principal <principal>', 'an ARN, or the name of a user or role')
    .requiredOption('--action <action>', 'such as kms:Decrypt')
    .option('--key <key>', 'a key id, key ARN, alias name or alias ARN; none for actions on the account')
    .option('--grant <grant id>', 'the grant that kms:RetireGrant is about')
    .option(
      '--context <name=value>',
      'of the encryption context, or a condition key (aws:..., kms:...); may be repeated',
      (pair: string, before: string[] | undefined) => [...(before ?? []), pair],
    )
    .option('--at <time>', `a moment; now without it: ${A_MOMENT}`)
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Examples:
  keytrail explain --principal ann --action kms:Decrypt --key alias/orders --at 2026-11-24T12:00:00Z
  keytrail explain --principal ann --action kms:Decrypt --key alias/orders
  keytrail explain --principal ann --action kms:Encrypt --key <key id> --context team=a --context aws:SourceIp=192.0.2.1
  keytrail explain --principal arn:aws:iam::111122223333:role/build --action kms:CreateKey --json`,
    )
    .exitOverride(usageIsTwo)
    .action(
      answering('ExplainAccess', true, async (operator, { at, ...options }: ExplainOptions) => {
        const { now, ...rest } = await around(operator);
        const moment = at === undefined ? {} : { at: await momentAt(operator, '--at', at, now) };
        return explain(operator, { ...options, ...moment }, { ...rest, now: Date.parse(now) }, print);
      }),
    );
}
