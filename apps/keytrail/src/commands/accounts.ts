import type { Command } from 'commander';
import { parseSettings } from '#platform/settings';
import { createAccount, listAccounts } from '../cli/accounts';
import { operating, print, recorded } from '../cli/running';

export function addAccounts(program: Command): void {
  const account = program.command('account').description('accounts, each with users, roles and keys of its own');
  account
    .command('create')
    .argument('<account>', '12 digits')
    .option('--write <file>', 'write the root credentials there (0600) instead of printing them')
    .description('make an account with a root access key, whose secret is told this once')
    .addHelpText(
      'after',
      `
Examples:
  keytrail account create 111122223333
  keytrail account create 111122223333 --write data/other.txt

The file holds credentials alone, so the AWS CLI has to be told the rest:
  AWS_SHARED_CREDENTIALS_FILE=data/other.txt aws --profile 111122223333 --region us-east-1 \\
    --endpoint-url http://127.0.0.1:4599 kms list-keys`,
    )
    .action(
      operating(
        false,
        recorded('CreateAccount', (operator, id: string, options: { write?: string }) =>
          createAccount(operator, id, options, print),
        ),
      ),
    );
  account
    .command('list')
    .description('the accounts there are')
    .action(
      operating(
        true,
        recorded('ListAccounts', (operator) => listAccounts(operator, parseSettings(process.env), print)),
      ),
    );
}
