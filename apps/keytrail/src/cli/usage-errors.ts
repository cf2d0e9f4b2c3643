import type { Command } from 'commander';

/** Has the usage errors of a command, and of those below it, begin as all other errors do, and point to the command's own help. */
export function pointToHelp(command: Command, path = command.name()): void {
  command
    .showHelpAfterError(`(see ${path} --help)`)
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'keytrail: ')) });
  for (const below of command.commands) pointToHelp(below, `${path} ${below.name()}`);
}
