import type { Command } from 'commander';
import type { Settings } from '#platform/settings';
import { CommandError, openOperator } from '../cli/operator';
import { putOnRecord } from '../cli/operator-record';
import { verifyConsistencyFile } from '../cli/prove-consistency';
import { print, running, warn } from '../cli/running';
import { verify } from '../cli/verify';
import { verifyExport } from '../cli/verify-export';
import { verifyProof } from '../cli/verify-proof';
import { verifyTrees } from '../cli/verify-trees';
import type { WitnessOptions } from '../cli/witnesses';

interface VerifyOptions extends WitnessOptions {
  export?: string;
  proof?: string;
  consistency?: string;
  from?: string;
  key?: string;
  checkpoints?: string;
  hashes?: string;
}

export function addVerify(program: Command): void {
  program
    .command('verify')
    .description(
      "check the log's hashes, versions and events against its signed tree heads, and what the running services and the snapshots hold; with --export, --proof or --consistency, offline. Exit code 1 if not in order",
    )
    .option('--export <folder>', 'check an export, with its files and the key alone')
    .option('--proof <file>', 'check the proof of one record, with the key alone')
    .option('--consistency <file>', 'check that a log goes on from the older head in --from, with the key alone')
    .option('--from <file>', 'of a proof of consistency: the older head')
    .option(
      '--witness <key>',
      'a verifier key whose cosignature the head of the proof, or the newest of an export, needs; may be repeated',
      (key: string, before: string[] | undefined) => [...(before ?? []), key],
    )
    .option('--quorum <number>', 'of how many of the witnesses; of all without it')
    .option('--key <key>', 'the verifier key of the tree heads, or a file that holds it (checkpoints/keytrail.vkey)')
    .option(
      '--hashes <export>',
      'another export of the log, whose leaf hashes tell which leaf it is where those beside it were altered too',
    )
    .option(
      '--checkpoints <folder>',
      'of an export: heads that are known from elsewhere, as Keytrail keeps them outside',
    )
    .addHelpText(
      'after',
      `
Examples:
  keytrail verify
  keytrail verify --export DIR --key keytrail.vkey
  keytrail verify --export DIR --key keytrail.vkey --checkpoints FOLDER --witness <verifier key> --quorum 1
  keytrail verify --proof proof.txt --key keytrail.vkey
  keytrail verify --consistency consistency.txt --from older.checkpoint --key keytrail.vkey`,
    )
    .action(
      running(async (settings, { key, ...options }: VerifyOptions) => {
        const { proof, consistency, from, witness, quorum } = options;
        const witnesses = { ...(witness && { witness }), ...(quorum === undefined ? {} : { quorum }) };
        if ([options.export, proof, consistency].every((one) => one === undefined)) {
          return verifyOnline(settings, options.hashes);
        }
        if (key === undefined) throw new CommandError('--key: expected with --export, --proof and --consistency');
        if (proof !== undefined) verifyProof({ proof, key, ...witnesses }, print);
        if (consistency !== undefined) {
          if (from === undefined) throw new CommandError('--from: expected with --consistency');
          verifyConsistencyFile({ consistency, from, key, ...witnesses }, print);
        }
        if (options.export !== undefined) {
          verifyExport({ ...options, ...witnesses, export: options.export, key }, print);
        }
      }),
    );
}

async function verifyOnline(settings: Settings, hashes: string | undefined): Promise<void> {
  const operator = await openOperator(settings, true);
  try {
    await putOnRecord(operator, 'VerifyLog', [], warn);
    // What the heads prove is said whatever else is wrong with the log.
    const faults = await verifyTrees(operator, settings, print, hashes);
    faults.push(...(await verify(operator, settings, print)));
    if (faults.length > 0) throw new CommandError(faults.join('\n'));
  } finally {
    await operator.close();
  }
}
