import type { Command } from 'commander';
import { advanceClock } from '../cli/advance-clock';
import { parseDuration } from '../cli/duration';
import { operating, print, recorded } from '../cli/running';
import { printClock } from '../cli/services';

export function addClock(program: Command): void {
  const clock = program.command('clock').description('the virtual clock (KEYTRAIL_CLOCK=virtual)');
  clock
    .command('now')
    .description("print the services' time")
    .action(operating(false, (operator) => printClock(operator, print)));
  clock
    .command('advance')
    .argument('<duration>', 'such as 8d, 6d23h, 2y; units s, m, h, d, w, y')
    .description('move the clock of every service forward, and fire what comes due')
    .addHelpText(
      'after',
      `
The clock is never moved back. Services must have been started with KEYTRAIL_CLOCK=virtual.

Examples:
  keytrail clock advance 8d
  keytrail clock advance 6d23h`,
    )
    .action(
      operating(
        false,
        recorded('AdvanceClock', async (operator, duration: string) =>
          advanceClock(operator, parseDuration(duration), print),
        ),
      ),
    );
}
