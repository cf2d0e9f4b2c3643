import { relative } from 'node:path';
import { awsConfigPaths } from '#platform/root-credentials';
import { createLogger, startService, stopOnSignals } from '#platform/run-service';
import { PARTS } from '#platform/service';
import type { Settings } from '#platform/settings';

/** Serves everything from one process, until a signal. */
export async function start(settings: Settings, print: (line: string) => void): Promise<void> {
  const log = createLogger(settings);
  const running = await startService('keytrail', PARTS, settings, log);
  stopOnSignals(running);
  const { config, credentials } = awsConfigPaths(settings.dataDir);
  const shown = (path: string): string => {
    const short = relative(process.cwd(), path);
    return short.startsWith('..') ? path : short;
  };
  log.info({ port: running.port }, 'keytrail is ready');
  print(`Keytrail is ready: ${running.service.endpoint} (account ${settings.accountId}, ${settings.clock} clock)`);
  print('');
  print(`  export AWS_CONFIG_FILE=${shown(config)}`);
  print(`  export AWS_SHARED_CREDENTIALS_FILE=${shown(credentials)}`);
  print('  aws kms create-key');
  print('');
  print(`NATS: ${running.service.natsUrl}, users in ${shown(`${settings.dataDir}/nats/endpoint.json`)}. Ctrl-C stops.`);
}
