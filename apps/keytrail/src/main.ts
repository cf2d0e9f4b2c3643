import { Command } from 'commander';
import { isoDate } from '#domain/dates';
import { reportFailure } from '#platform/run-service';
import { parseSettings, type Settings } from '#platform/settings';
import { createAccount, listAccounts } from './cli/accounts';
import { type DiffOptions, diff } from './cli/diff';
import { parseDuration, parseMoment } from './cli/duration';
import { type ExplainOptions, explain } from './cli/explain';
import type { ExportOptions } from './cli/export';
import { type ExportTrailOptions, exportEither } from './cli/export-trail';
import { CommandError, type Operator, openOperator } from './cli/operator';
import { putOnRecord } from './cli/operator-record';
import { type ProveOptions, prove } from './cli/prove';
import { type ReplayOptions, replay } from './cli/replay';
import { advanceClock, printClock, status, timeNow } from './cli/services';
import { start } from './cli/start';
import { type TimelineOptions, timeline } from './cli/timeline';
import { verify } from './cli/verify';
import { verifyExport } from './cli/verify-export';
import { verifyProof } from './cli/verify-proof';
import { verifyTrees } from './cli/verify-trees';
import { CHANGES, type WhatIfOptions, whatIf } from './cli/what-if';

// Whoever reads our output may have seen enough, as `head` does. 141, as by SIGPIPE: what was left unsaid may be a fault.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(141);
});

const print = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

const warn = (line: string): void => {
  process.stderr.write(`keytrail: ${line}\n`);
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

/** What identifiers are relative to, where snapshots are, and the services' time. */
async function around(operator: Operator) {
  const { accountId, region, dataDir, clock } = parseSettings(process.env);
  return { accountId, region, dataDir, warn, now: isoDate(await timeNow(operator, clock)) };
}

/** A command that is on record before it does anything. */
const recorded =
  <A extends unknown[]>(eventName: string, command: (operator: Operator, ...args: A) => Promise<void>) =>
  async (operator: Operator, ...args: A): Promise<void> => {
    await putOnRecord(operator, eventName, args, warn);
    await command(operator, ...args);
  };

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
  keytrail diff --from 2026-11-24T00:00:00Z    what has changed since
  keytrail timeline --key <key id>             everything that happened to a key
  keytrail explain --principal ann --action kms:Decrypt --key <key id>
                                               whether somebody may, and which policy or grant decides
  keytrail what-if disable-key --key <key id>  which calls on record would have been refused
  keytrail verify                              check the log, and the running services against it
  keytrail export --to DIR                     both logs with their proofs, to be checked elsewhere
  keytrail export --cloudtrail --to DIR        the records as log files of CloudTrail
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
    operating(
      false,
      recorded('AdvanceClock', async (operator, duration: string) =>
        advanceClock(operator, parseDuration(duration), print),
      ),
    ),
  );

const account = program.command('account').description('accounts, each with users, roles and keys of its own');
account
  .command('create')
  .argument('<account>', '12 digits')
  .option('--write <file>', 'write the root credentials there (0600) instead of printing them')
  .description('make an account with a root access key, whose secret is told this once')
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
  .action(operating(true, (operator) => listAccounts(operator, parseSettings(process.env), print)));

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

program
  .command('timeline')
  .description('everything that happened to a key, its aliases and its grants, in the order of the log')
  .requiredOption('--key <key>', 'a key id, key ARN, alias name or alias ARN')
  .option('--json', 'print JSON')
  .addHelpText(
    'after',
    `
Examples:
  keytrail timeline --key alias/orders
  keytrail timeline --key <key id> --json`,
  )
  .action(
    operating(
      true,
      recorded('ReadTimeline', async (operator, options: TimelineOptions) =>
        timeline(operator, options, parseSettings(process.env), print),
      ),
    ),
  );

/** Runs a command that answers by its exit code: 0 or 1, and 2 for what cannot be asked or answered. On record before it does. */
const answering =
  <O>(eventName: string, zero: boolean, ask: (operator: Operator, options: O) => Promise<boolean>, openStore = true) =>
  async (options: O): Promise<void> => {
    try {
      const operator = await openOperator(parseSettings(process.env), openStore);
      try {
        await putOnRecord(operator, eventName, [options], warn);
        process.exitCode = (await ask(operator, options)) === zero ? 0 : 1;
      } finally {
        await operator.close();
      }
    } catch (error) {
      reportFailure('keytrail', error);
      process.exit(2);
    }
  };

const usageIsTwo = ({ exitCode }: { exitCode: number }): never => process.exit(exitCode === 0 ? 0 : 2);

program
  .command('diff')
  .description(
    'what is not the same at two moments: created, deleted and changed, member by member; exit code 0 no difference, 1 differences, 2 usage',
  )
  .requiredOption('--from <time>', 'the earlier moment, ISO 8601 or epoch seconds')
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
    answering('CompareMoments', false, async (operator, { from, to, ...options }: DiffOptions) =>
      diff(
        operator,
        { ...options, from: parseMoment(from), ...(to === undefined ? {} : { to: parseMoment(to) }) },
        await around(operator),
        print,
      ),
    ),
  );

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
  .option('--at <time>', 'a past moment, ISO 8601 or epoch seconds; now without it')
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
      const moment = at === undefined ? {} : { at: parseMoment(at) };
      return explain(operator, { ...options, ...moment }, { ...rest, now: Date.parse(now) }, print);
    }),
  );

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
    .option('--since <duration or time>', 'from when on calls count: such as 30d or 12h, or ISO 8601', '30d')
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

program
  .command('export')
  .description(
    'write commits, records, leaf hashes, tree heads and their public key into a folder; goes on where it was',
  )
  .requiredOption('--to <folder>', 'empty, or a former export of the same log')
  .option('--without-sealed', 'leave out what records keep of requests and replies')
  .option('--cloudtrail', 'write the records alone, as log files of CloudTrail with signed digests')
  .option('--since <time>', 'with --cloudtrail: events from then on, ISO 8601 or epoch seconds')
  .option('--until <time>', 'with --cloudtrail: events before then')
  .action(
    operating(true, (operator, options: ExportOptions & ExportTrailOptions) =>
      exportEither(operator, parseSettings(process.env), options, print),
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
    await putOnRecord(operator, 'VerifyLog', [], warn);
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
