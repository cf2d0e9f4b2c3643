import type { Command } from 'commander';
import { reportFailure } from '#platform/report-failure';
import { print } from '../cli/running';
import { createCredential, createKey, deleteCredential, listAccess, setDisabled } from '../cli/xks';

/** These ask no service: the token and a file are all that an XKS proxy has. */
const doing =
  <A extends unknown[]>(act: (...args: A) => Promise<void> | void) =>
  async (...args: A): Promise<void> => {
    try {
      await act(...args);
    } catch (error) {
      reportFailure('keytrail', error);
      process.exit(1);
    }
  };

export function addXks(program: Command): void {
  const xks = program
    .command('xks')
    .description('keys and credentials of the XKS proxy (apps/xks-proxy), by which a KMS uses keys in a PKCS#11 token')
    .addHelpText(
      'after',
      `
Examples:
  keytrail xks create-key --id my-key
  keytrail xks create-credential --write credential.json
  keytrail xks disable-key --id my-key

They take the proxy's own settings (KEYTRAIL_XKS_...): node dist/apps/xks-proxy/src/main.js --help`,
    );
  xks
    .command('create-key')
    .requiredOption('--id <id>', 'the XksKeyId, which is the label of the key')
    .option('--encrypt-only', 'a key that does not decrypt')
    .option('--decrypt-only', 'a key that does not encrypt')
    .description('make an AES-256 key that the token does not give out')
    .action(doing((options: { id: string }) => createKey(options, print)));
  xks
    .command('create-credential')
    .option('--keys <ids>', 'which keys it is good for, separated by commas', '*')
    .option('--write <file>', 'write it there (0600) instead of printing it')
    .description('make a credential for a KMS, whose secret is told this once, as the console of AWS KMS takes it')
    .action(doing((options: { keys: string; write?: string }) => createCredential(options, print)));
  xks
    .command('delete-credential')
    .argument('<access-key-id>')
    .description('have the proxy refuse it')
    .action(doing((accessKeyId: string) => deleteCredential(accessKeyId, print)));
  for (const [name, disabled, description] of [
    ['disable-key', true, 'have the proxy refuse a key; the token keeps it'],
    ['enable-key', false, 'have the proxy serve it again'],
  ] as const) {
    xks
      .command(name)
      .requiredOption('--id <id>', 'the XksKeyId')
      .description(description)
      .action(doing(({ id }: { id: string }) => setDisabled(id, disabled, print)));
  }
  xks
    .command('list')
    .description('the credentials, without their secrets, and the keys that are disabled')
    .action(doing(() => listAccess(print)));
}
