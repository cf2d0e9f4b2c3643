import { Command } from 'commander';
import { reportFailure } from '#platform/run-service';
import { parseSettings, type Settings } from '#platform/settings';
import { createAccount, listAccounts } from './cli/accounts';
import { parseDuration, parseMoment } from './cli/duration';
import { type ExplainOptions, explain } from './cli/explain';
import { type ExportOptions, exportLogs } from './cli/export';
import { CommandError, type Operator, openOperator } from './cli/operator';
import { type ProveOptions, prove } from './cli/prove';
import { type ReplayOptions, replay } from './cli/replay';
import { advanceClock, printClock, status, timeNow } from './cli/services';
import { start } from './cli/start';
import { verify } from './cli/verify';
import { verifyExport } from './cli/verify-export';
import { verifyProof } from './cli/verify-proof';
import { verifyTrees } from './cli/verify-trees';

const print = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

/** Runs a command, and turns what goes wrong into one message and exit code 1. */
function running<A extends unknown[]>(command: (settings: Settings, ...args: A) => Promise<void>) {
  return async (...args: A): Promise<void> => {
    try {
      await command(parseSettings(process.env), ...args);
    } catch (error) {
      reportFailure('keytrail', error);
      process.exit(1);
    }
  };
}

/** Runs a command of the operator's. */
const operating = <A extends unknown[]>(
  openStore: boolean,
  command: (operator: Operator, ...args: A) => Promise<void>,
) =>
  running(async (settings: Settings, ...args: A) => {
    const operator = await openOperator(settings, openStore);
    try {
      await command(operator, ...args);
    } finally {
      await operator.close();
    }
  });

const program = new Command('keytrail')
  .description('A key management service that speaks the AWS KMS API and keeps every key as a replayable log.')
  .showHelpAfterError('(see keytrail --help)')
  .addHelpText(
    'after',
    `
Examples:
  keytrail start                               serve on http://127.0.0.1:4599
  KEYTRAIL_CLOCK=virtual keytrail start        serve with a clock that can be moved
  keytrail clock advance 8d                    move it, and fire what comes due
  keytrail account create 111122223333         a further account; prints its root credentials once
  keytrail replay --key <key id>               a key's history, state and next timer, from the log alone
  keytrail replay --at 2026-11-24T12:00:00Z    all keys, aliases, principals and grants at a past moment
  keytrail explain --principal ann --action kms:Decrypt --key <key id>
                                               whether somebody may, and which policy or grant decides
  keytrail verify                              check the log, and the running services against it
  keytrail export --to DIR                     both logs with their proofs, to be checked elsewhere
  keytrail verify --export DIR --key FILE      check an export offline

Settings are environment variables: KEYTRAIL_PORT, KEYTRAIL_DATA_DIR, ... (see README.md).`,
  );

program
  .command('start', { isDefault: true })
  .description('serve everything from one process, with an embedded nats-server')
  .action(running((settings) => start(settings, print)));

program
  .command('status')
  .description('what runs, and how it is; exit code 1 if anything is not ready')
  .option('--json', 'print JSON')
  .action(operating(false, (operator, options: { json?: boolean }) => status(operator, options.json ?? false, print)));

const clock = program.command('clock').description('the virtual clock (KEYTRAIL_CLOCK=virtual)');
clock
  .command('now')
  .description("print the services' time")
  .action(operating(false, (operator) => printClock(operator, print)));
clock
  .command('advance')
  .argument('<duration>', 'such as 8d, 6d23h, 2y; units s, m, h, d, w, y')
  .description('move the clock of every service forward, and fire what comes due')
  .action(
    operating(false, async (operator, duration: string) => advanceClock(operator, parseDuration(duration), print)),
  );

const account = program.command('account').description('accounts, each with users, roles and keys of its own');
account
  .command('create')
  .argument('<account>', '12 digits')
  .option('--write <file>', 'write the root credentials there (0600) instead of printing them')
  .description('make an account with a root access key, whose secret is told this once')
  .action(
    operating(false, (operator, id: string, options: { write?: string }) =>
      createAccount(operator, id, options, print),
    ),
  );
account
  .command('list')
  .description('the accounts there are')
  .action(operating(true, (operator) => listAccounts(operator, parseSettings(process.env), print)));

program
  .command('replay')
  .description('rebuild keys, aliases, principals and grants from the log alone: history, state and next timers')
  .option('--key <key>', 'a key id or key ARN')
  .option('--at <time>', 'a past moment, ISO 8601 or epoch seconds')
  .option('--json', 'print JSON')
  .action(
    operating(true, async (operator, { at, ...options }: ReplayOptions) =>
      replay(operator, { ...options, ...(at === undefined ? {} : { at: parseMoment(at) }) }, print),
    ),
  );

program
  .command('explain')
  .description(
    'whether a principal may do something, and why, from the log alone; exit code 0 allowed, 1 denied, 2 usage',
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
  .option('--json', 'print JSON')
  .addHelpText(
    'after',
    `
Examples:
  keytrail explain --principal ann --action kms:Decrypt --key alias/orders
  keytrail explain --principal ann --action kms:Encrypt --key <key id> --context team=a --context aws:SourceIp=192.0.2.1
  keytrail explain --principal arn:aws:iam::111122223333:role/build --action kms:CreateKey --json`,
  )
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
  .action(async (options: ExplainOptions) => {
    try {
      process.exitCode = (await explaining(options)) ? 0 : 1;
    } catch (error) {
      reportFailure('keytrail', error);
      process.exit(2);
    }
  });

async function explaining(options: ExplainOptions): Promise<boolean> {
  const settings = parseSettings(process.env);
  const operator = await openOperator(settings, true);
  try {
    const { accountId, region } = settings;
    return await explain(operator, options, { accountId, region, now: await timeNow(operator, settings.clock) }, print);
  } finally {
    await operator.close();
  }
}

program
  .command('export')
  .description(
    'write commits, records, leaf hashes, tree heads and their public key into a folder; goes on where it was',
  )
  .requiredOption('--to <folder>', 'empty, or a former export of the same log')
  .option('--without-sealed', 'leave out what records keep of requests and replies')
  .action(
    operating(true, (operator, options: ExportOptions) =>
      exportLogs(operator, parseSettings(process.env), options, print),
    ),
  );

program
  .command('prove')
  .description('write the proof that one call is on record, for verify --proof (C2SP tlog-proof)')
  .requiredOption('--event <eventID>', 'of a record, as LookupEvents gives it')
  .option('--to <file>', 'instead of printing it')
  .action(
    operating(true, (operator, options: ProveOptions) => prove(operator, parseSettings(process.env), options, print)),
  );

interface VerifyOptions {
  export?: string;
  proof?: string;
  key?: string;
  checkpoints?: string;
}

program
  .command('verify')
  .description(
    "check the log's hashes, versions and events against its signed tree heads, and what the running services hold; with --export or --proof, offline. Exit code 1 if not in order",
  )
  .option('--export <folder>', 'check an export, with its files and the key alone')
  .option('--proof <file>', 'check the proof of one record, with the key alone')
  .option('--key <key>', 'the verifier key of the tree heads, or a file that holds it (checkpoints/keytrail.vkey)')
  .option('--checkpoints <folder>', 'of an export: heads that are known from elsewhere, as Keytrail keeps them outside')
  .action(
    running(async (settings, { key, ...options }: VerifyOptions) => {
      if (options.export === undefined && options.proof === undefined) return verifyOnline(settings);
      if (key === undefined) throw new CommandError('--key: expected with --export and --proof');
      if (options.proof !== undefined) verifyProof({ proof: options.proof, key }, print);
      if (options.export !== undefined) verifyExport({ ...options, export: options.export, key }, print);
    }),
  );

async function verifyOnline(settings: Settings): Promise<void> {
  const operator = await openOperator(settings, true);
  try {
    // What the heads prove is said whatever else is wrong with the log.
    const faults = await verifyTrees(operator, settings, print);
    await verify(operator, print);
    if (faults.length > 0) throw new CommandError(faults.join('\n'));
  } finally {
    await operator.close();
  }
}

void program.parseAsync().catch((error: unknown) => {
  reportFailure('keytrail', error);
  process.exit(1);
});
