import { randomBytes } from 'node:crypto';
import type { Scenario } from '../case';
import { ROOT_CREDENTIALS } from '../kms-requests';
import type { Target } from '../load';
import { anyPort, type Processes, untilServed } from '../processes';
import { httpCases, httpMeasures } from './http-cases';

const PREFIX = 'separate processes, HTTP';

/** A gateway, a key-manager and a crypto-worker as processes of their own, which meet through one nats-server. */
export const separateHttp: Scenario = {
  cases: httpCases(PREFIX),
  open: async (processes) => httpMeasures(PREFIX, await startServices(processes), processes),
};

async function startServices(processes: Processes): Promise<Target> {
  const nats = await processes.natsServer('always');
  const [gatewayPort, managerPort, workerPort] = [await anyPort(), await anyPort(), await anyPort()];
  // The load ends with requests under way, which a gateway that is then stopped would report as errors.
  const common = { KEYTRAIL_NATS_URL: nats.url, KEYTRAIL_LOG_LEVEL: 'fatal' };
  const worker = processes.node('dist/apps/crypto-worker/src/main.js', {
    ...common,
    ...ROOT_CREDENTIALS,
    KEYTRAIL_ROOT_KEY: randomBytes(32).toString('base64'),
    KEYTRAIL_DATA_DIR: processes.folder(),
    KEYTRAIL_HEALTH_PORT: String(workerPort),
  });
  const manager = processes.node('dist/apps/key-manager/src/main.js', {
    ...common,
    KEYTRAIL_HEALTH_PORT: String(managerPort),
  });
  const gateway = processes.node('dist/apps/gateway/src/main.js', { ...common, KEYTRAIL_PORT: String(gatewayPort) });
  await untilServed(`http://127.0.0.1:${workerPort}/healthz`, worker);
  await untilServed(`http://127.0.0.1:${managerPort}/healthz`, manager);
  await untilServed(`http://127.0.0.1:${gatewayPort}/healthz`, gateway);
  return { port: gatewayPort, pids: [gateway.pid!, manager.pid!, worker.pid!, nats.pid] };
}
