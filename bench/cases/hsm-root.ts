import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { softHsm, softHsmModule } from '../../test/support/softhsm';
import { type Measure, onOneAndMany, type Scenario } from '../case';
import { type Embedded, startEmbedded } from '../embedded';
import { createKey, encryptRequest, type KmsRequest } from '../kms-requests';
import { httpLoad, warmUp } from '../load';
import type { Measured } from '../measured';
import type { Processes } from '../processes';

const SOFTWARE = 'HTTP Encrypt, root key in software';
const HSM = 'HTTP Encrypt, root key in an HSM';
const ROUND_SECONDS = 0.5;

/** With the key's material in memory it should make no difference what wrapped it. */
export const hsmRoot: Scenario = {
  cases: onOneAndMany([{ name: SOFTWARE }, { name: HSM, floor: SOFTWARE }]),
  async open(processes) {
    const module = softHsmModule();
    if (module === undefined) return undefined;
    const servers = [await startEmbedded(processes), await startOnToken(processes, module)];
    const requests: KmsRequest[] = [];
    for (const { port } of servers) {
      const request = encryptRequest(await createKey(port));
      await warmUp(port, request);
      requests.push(request);
    }
    return inTurn(servers, requests);
  },
};

async function startOnToken(processes: Processes, module: string): Promise<Embedded> {
  const token = softHsm(module, { folder: processes.folder() });
  const pinFile = join(token.folder, 'pin');
  writeFileSync(pinFile, token.pin, { mode: 0o600 });
  return startEmbedded(processes, undefined, {
    ...(token.environment as Record<string, string>),
    KEYTRAIL_ROOT: 'pkcs11',
    KEYTRAIL_PKCS11_MODULE: module,
    KEYTRAIL_PKCS11_TOKEN: token.label,
    KEYTRAIL_PKCS11_PIN_FILE: pinFile,
  });
}

/** Both in rounds, one after the other, so that whatever else the machine does falls on both; the first that is asked for measures. */
function inTurn(servers: readonly Embedded[], requests: readonly KmsRequest[]): Record<string, Measure> {
  const measured = new Map<string, Promise<Measured[]>>();
  const measure = async (connections: number, seconds: number): Promise<Measured[]> => {
    const rounds: Measured[][] = [];
    for (let round = 0; round < Math.max(1, seconds / ROUND_SECONDS); round++) {
      const results: Measured[] = [];
      // The next round backwards: whoever is second has the warmer machine.
      for (const at of round % 2 === 0 ? [0, 1] : [1, 0]) {
        results[at] = await httpLoad(servers[at]!, requests[at]!, connections, ROUND_SECONDS);
      }
      rounds.push(results);
    }
    return servers.map((_, at) => medians(rounds.map((results) => results[at]!)));
  };
  const once = (connections: number, seconds: number): Promise<Measured[]> => {
    const id = `${connections} ${seconds}`;
    const known = measured.get(id) ?? measure(connections, seconds);
    measured.set(id, known);
    return known;
  };
  return {
    [SOFTWARE]: async (connections, seconds) => (await once(connections, seconds))[0]!,
    [HSM]: async (connections, seconds) => (await once(connections, seconds))[1]!,
  };
}

function medians(results: readonly Measured[]): Measured {
  const median = (of: (one: Measured) => number | undefined): number => {
    const sorted = results.map((one) => of(one) ?? 0).sort((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)]!;
  };
  return {
    perSecond: median(({ perSecond }) => perSecond),
    p50Ms: median(({ p50Ms }) => p50Ms),
    p99Ms: median(({ p99Ms }) => p99Ms),
    cpuUs: median(({ cpuUs }) => cpuUs),
  };
}
