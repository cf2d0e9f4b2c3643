import type { Command } from 'commander';
import { operating, print } from '../cli/running';
import { shredCommand } from '../cli/shred';

export function addShred(program: Command): void {
  program.addCommand(shredCommand((act) => operating(false, act), print));
}
