import { resolve } from 'node:path';
import { createAccountRemotely, isAccountId } from '#platform/accounts';
import { writePrivately } from '#platform/private-file';
import type { Settings } from '#platform/settings';
import { Projection } from '#views/projection';
import { readLog } from './log-reader';
import { CommandError, type Operator } from './operator';

/** Makes an account, and prints its root credentials, which are told once, as a profile; or writes them to a file (0600). */
export async function createAccount(
  operator: Operator,
  account: string,
  { write }: { write?: string },
  print: (line: string) => void,
): Promise<void> {
  if (!isAccountId(account)) throw new CommandError(`${JSON.stringify(account)} is no account: expected 12 digits`);
  const { accessKeyId, secretAccessKey } = await createAccountRemotely(operator.nats, account);
  const profile = [
    `[${account}]`,
    `aws_access_key_id = ${accessKeyId}`,
    `aws_secret_access_key = ${secretAccessKey}`,
  ].join('\n');
  if (write === undefined) {
    print(profile);
    return;
  }
  try {
    writePrivately(resolve(write), `${profile}\n`);
  } catch (error) {
    // The account is made, and this is the only time that its secret is told.
    print(profile);
    throw new CommandError(`${write} could not be written (${(error as Error).message}): the credentials are above`);
  }
  print(`account ${account}: root credentials in ${write}, as profile ${account}`);
}

/** Prints the accounts there are, with how many users, roles and root access keys each has. */
export async function listAccounts(
  operator: Operator,
  { accountId }: Settings,
  print: (line: string) => void,
): Promise<void> {
  const projection = new Projection();
  await readLog(operator, (commit) => void projection.apply(commit));
  const made = Array.from(projection.all('principal')).flatMap(({ state }) =>
    state.kind === 'Account' ? [state] : [],
  );
  const ids = new Set([accountId, ...made.map((state) => state.accountId)]);
  for (const id of [...ids].sort()) {
    const state = made.find((one) => one.accountId === id);
    const keys = state?.accessKeys.length ?? 0;
    const [users, roles] = (['User', 'Role'] as const).map((kind) => projection.principalCount(kind, id));
    const since = state ? `since ${state.createdAt}` : 'of the settings';
    print(`${id}  ${since}  users: ${users}, roles: ${roles}, root access keys in the log: ${keys}`);
  }
}
