import { Command } from 'commander';
import { reportFailure } from '#platform/report-failure';
import { pointToHelp } from './cli/usage-errors';
import { addAccounts } from './commands/accounts';
import { addClock } from './commands/clock';
import { addDiff } from './commands/diff';
import { addExplain } from './commands/explain';
import { addExport } from './commands/export';
import { addHsm } from './commands/hsm';
import { addProve } from './commands/prove';
import { addReplay } from './commands/replay';
import { addRoot } from './commands/root';
import { addServices } from './commands/services';
import { addShred } from './commands/shred';
import { addTimeline } from './commands/timeline';
import { addVerify } from './commands/verify';
import { addWhatIf } from './commands/what-if';
import { addXks } from './commands/xks';

// Whoever reads our output may have seen enough, as `head` does. 141, as by SIGPIPE: what was left unsaid may be a fault.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(141);
});

const program = new Command('keytrail')
  .description('A key management service that speaks the AWS KMS API and keeps every key as a replayable log.')
  .addHelpText(
    'after',
    `
Examples:
  keytrail start                               serve on http://127.0.0.1:4599
  KEYTRAIL_CLOCK=virtual keytrail start        serve with a clock that can be moved
  keytrail clock advance 8d                    move it, and fire what comes due
  keytrail status                              what runs, and how it is
  keytrail account create 111122223333         a further account; prints its root credentials once
  keytrail root rotate                         a new root key for everything, and the old one destroyed
  keytrail replay --key <key id>               a key's history, state and next timer, from the log alone
  keytrail replay --at 2026-11-24T12:00:00Z    all keys, aliases, principals and grants at a past moment
  keytrail diff --from 2026-11-24T00:00:00Z    what has changed since
  keytrail timeline --key <key id>             everything that happened to a key
  keytrail explain --principal ann --action kms:Decrypt --key <key id>
                                               whether somebody may, and which policy or grant decides
  keytrail what-if disable-key --key <key id>  which calls on record would have been refused
  keytrail hsm create-user --cluster-id <id> --user kmsuser --password-file FILE
                                               a user of an HSM cluster
  keytrail verify                              check the log, and the running services against it
  keytrail export --to DIR                     both logs with their proofs, to be checked elsewhere
  keytrail export --cloudtrail --to DIR        the records as log files of CloudTrail
  keytrail verify --export DIR --key FILE      check an export offline
  keytrail xks create-key --id my-key          a key in a PKCS#11 token, for the XKS proxy to serve

Settings are environment variables: KEYTRAIL_PORT, KEYTRAIL_DATA_DIR, ... (see README.md).`,
  );

// In the order of the help.
for (const add of [
  addServices,
  addClock,
  addAccounts,
  addReplay,
  addTimeline,
  addDiff,
  addExplain,
  addWhatIf,
  addExport,
  addProve,
  addHsm,
  addShred,
  addRoot,
  addVerify,
  addXks,
]) {
  add(program);
}
pointToHelp(program);

void program.parseAsync().catch((error: unknown) => {
  reportFailure('keytrail', error);
  process.exit(1);
});
