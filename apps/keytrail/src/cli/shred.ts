import { Command } from 'commander';
import { isAccountId } from '#platform/accounts';
import { shredRemotely } from '#platform/recording/shredding';
import { CommandError, type Operator } from './operator';
import { putOnRecord } from './operator-record';

export interface ShredOptions {
  account: string;
  month?: string;
  yes?: boolean;
}

const MONTH = /^\d{4,6}-(0[1-9]|1[0-2])$/;

/** `run` makes an action out of what is to be done for the operator. */
export const shredCommand = (
  run: (act: (operator: Operator, options: ShredOptions) => Promise<void>) => (options: ShredOptions) => Promise<void>,
  print: (line: string) => void,
): Command =>
  new Command('shred')
    .description(
      'make what records keep sealed of requests and replies (encryption contexts, addresses, ...) unreadable for ever; proofs stay',
    )
    .requiredOption('--account <account>', 'of which account: 12 digits')
    .option('--month <month>', 'of one month, such as 2026-11; of all without it')
    .option('--yes', 'do it; without it nothing is done')
    .addHelpText(
      'after',
      `
Erases the keys that the records are sealed under. Who did what to which key, and when, stays readable. What the log of
changes holds (aliases, tags, descriptions, policies) is not touched: see docs/audit.md.

Examples:
  keytrail shred --account 111122223333 --month 2026-11 --yes
  keytrail shred --account 111122223333 --yes`,
    )
    .action(run((operator, options) => shred(operator, options, print)));

/** Says which months would be shredded, or shreds them. On record before it does. Throws CommandError. */
async function shred(
  operator: Operator,
  { account, month, yes }: ShredOptions,
  print: (line: string) => void,
): Promise<void> {
  if (!isAccountId(account)) throw new CommandError(`--account ${account}: expected 12 digits`);
  if (month !== undefined && !MONTH.test(month))
    throw new CommandError(`--month ${month}: expected one such as 2026-11`);
  const which = { account, ...(month === undefined ? {} : { month }) };
  const there = await shredRemotely(operator.nats, { ...which, asked: true });
  if (there.length === 0) {
    throw new CommandError(
      `no records of account ${account}${month === undefined ? '' : ` in ${month}`} are sealed under a key that is there`,
    );
  }
  if (!yes) {
    throw new CommandError(
      `nothing was done: what the records of account ${account} of ${there.join(', ')} keep sealed would be unreadable for ever; add --yes`,
    );
  }
  await putOnRecord(operator, 'ShredRecords', [which], () => {});
  const shredded = await shredRemotely(operator.nats, which);
  print(`shredded: account ${account}, ${shredded.join(', ')}`);
  print('backups of KMS_MATERIAL from before still hold the keys: erase those too, or the root key that wraps them');
}
