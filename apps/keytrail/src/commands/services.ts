import type { Command } from 'commander';
import { operating, print, running } from '../cli/running';
import { status } from '../cli/services';

export function addServices(program: Command): void {
  program
    .command('start', { isDefault: true })
    .description('serve everything from one process, with an embedded nats-server')
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
