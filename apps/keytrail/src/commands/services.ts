import type { Command } from 'commander';
import { operating, print, running } from '../cli/running';
import { status } from '../cli/services';

export function addServices(program: Command): void {
  program
    .command('start')
    .description('serve everything from one process, with an embedded nats-server')
    .addHelpText(
      'after',
      `
Ctrl-C, or SIGTERM, stops it. The data folder (KEYTRAIL_DATA_DIR, by default ./data) is made if it is not there.

Examples:
  keytrail start
  KEYTRAIL_CLOCK=virtual keytrail start
  KEYTRAIL_PORT=4600 KEYTRAIL_DATA_DIR=/var/lib/keytrail keytrail start`,
    )
    .action(
      running(async (settings) => {
        // Half of all that Keytrail loads, which no other command needs.
        const { start } = await import('../cli/start.js');
        return start(settings, print);
      }),
    );

  program
    .command('status')
    .description('what runs, and how it is; exit code 1 if anything is not ready')
    .option('--json', 'print JSON')
    .action(
      operating(false, (operator, options: { json?: boolean }) => status(operator, options.json ?? false, print)),
    );
}
