import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { CommandError } from './operator';

/** What somebody types, without showing it. Throws CommandError where nobody can be asked. */
export async function hiddenAnswer(question: string): Promise<string> {
  if (!process.stdin.isTTY) {
    throw new CommandError('no terminal to ask for the password at: give a file with --password-file');
  }
  process.stderr.write(question);
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: nowhere, terminal: true });
  // As by a signal: nobody answers any more.
  lines.once('SIGINT', () => process.exit(130));
  try {
    return await lines.question('');
  } finally {
    lines.close();
    process.stderr.write('\n');
  }
}
