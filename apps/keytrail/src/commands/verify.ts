import type { Command } from 'commander';
import type { Settings } from '#platform/settings';
import { CommandError, openOperator } from '../cli/operator';
import { putOnRecord } from '../cli/operator-record';
import { print, running, warn } from '../cli/running';
import { verify } from '../cli/verify';
import { verifyExport } from '../cli/verify-export';
import { verifyProof } from '../cli/verify-proof';
import { verifyTrees } from '../cli/verify-trees';

interface VerifyOptions {
  export?: string;
  proof?: string;
  key?: string;
  checkpoints?: string;
}

export function addVerify(program: Command): void {
  program
    .command('verify')
    .description(
      "check the log's hashes, versions and events against its signed tree heads, and what the running services and the snapshots hold; with --export or --proof, offline. Exit code 1 if not in order",
    )
    .option('--export <folder>', 'check an export, with its files and the key alone')
    .option('--proof <file>', 'check the proof of one record, with the key alone')
    .option('--key <key>', 'the verifier key of the tree heads, or a file that holds it (checkpoints/keytrail.vkey)')
    .option(
      '--checkpoints <folder>',
      'of an export: heads that are known from elsewhere, as Keytrail keeps them outside',
    )
    .action(
      running(async (settings, { key, ...options }: VerifyOptions) => {
        if (options.export === undefined && options.proof === undefined) return verifyOnline(settings);
        if (key === undefined) throw new CommandError('--key: expected with --export and --proof');
        if (options.proof !== undefined) verifyProof({ proof: options.proof, key }, print);
        if (options.export !== undefined) verifyExport({ ...options, export: options.export, key }, print);
      }),
    );
}

async function verifyOnline(settings: Settings): Promise<void> {
  const operator = await openOperator(settings, true);
  try {
    await putOnRecord(operator, 'VerifyLog', [], warn);
    // What the heads prove is said whatever else is wrong with the log.
    const faults = await verifyTrees(operator, settings, print);
    faults.push(...(await verify(operator, settings, print)));
    if (faults.length > 0) throw new CommandError(faults.join('\n'));
  } finally {
    await operator.close();
  }
}
