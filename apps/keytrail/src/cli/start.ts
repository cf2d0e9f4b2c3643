import { relative } from 'node:path';
import { awsConfigPaths } from '#platform/root-credentials';
import { type RunningService, serveUntilSignal } from '#platform/run-service';
import type { Settings } from '#platform/settings';
import { PARTS } from '#platform/surroundings';

/** Serves everything from one process, until a signal. */
export async function start(settings: Settings, print: (line: string) => void): Promise<void> {
  await serveUntilSignal('keytrail', PARTS, settings, (running, log) => {
    log.info({ port: running.port }, 'keytrail is ready');
    printReady(running, settings, print);
  });
}

function printReady({ service, endpoint }: RunningService, settings: Settings, print: (line: string) => void): void {
  const { config, credentials } = awsConfigPaths(settings.dataDir);
  const shown = (path: string): string => {
    const short = relative(process.cwd(), path);
    return short.startsWith('..') ? path : short;
  };
  print(`Keytrail is ready: ${endpoint} (account ${settings.accountId}, ${settings.clock} clock)`);
  print('');
  print(`  export AWS_CONFIG_FILE=${shown(config)}`);
  print(`  export AWS_SHARED_CREDENTIALS_FILE=${shown(credentials)}`);
  print('  aws kms create-key');
  print('');
  print(`NATS: ${service.natsUrl}, with the same access key. Ctrl-C stops.`);
}
