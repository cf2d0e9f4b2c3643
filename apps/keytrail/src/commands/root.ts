import type { Command } from 'commander';
import { rotateRoot, showRoot } from '../cli/root-rotation';
import { operating, print, recorded } from '../cli/running';

export function addRoot(program: Command): void {
  const root = program.command('root').description('the root key, which wraps all key material');
  root
    .command('rotate')
    .description('make a new root key, wrap all key material under it, and destroy the old one')
    .addHelpText(
      'after',
      `
Keytrail goes on serving. After it, a copy of the stream KMS_MATERIAL from before opens for nobody who has not the old root
key as well. Ended by Ctrl-C or a crash, it is gone on with by the same command. A root key that is in KEYTRAIL_ROOT_KEY
has to be moved to a file first: the command says how.

Examples:
  keytrail root rotate
  keytrail root status`,
    )
    .action(
      operating(
        false,
        recorded('RotateRootKey', (operator) => rotateRoot(operator, print)),
      ),
    );
  root
    .command('status')
    .description('which epoch of the root key is in use, and how far a rotation is')
    .action(operating(false, (operator) => showRoot(operator, print)));
}
