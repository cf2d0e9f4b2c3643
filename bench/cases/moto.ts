import { type Case, onOneAndMany, type Scenario } from '../case';
import { callAlone, createKey, encryptRequest } from '../kms-requests';
import { callLoad } from '../load';
import { anyPort, untilServed } from '../processes';

const ENCRYPT = 'moto_server Encrypt';
const CASES: Case[] = onOneAndMany([{ name: ENCRYPT }]);

/** The emulator that most people use today, if it is on PATH. */
export const moto: Scenario = {
  cases: CASES,
  async open(processes) {
    const port = await anyPort();
    const child = processes.start('moto_server', ['-p', String(port)], { stderr: 'ignore' });
    try {
      await untilServed(`http://127.0.0.1:${port}/moto-api/`, child);
    } catch {
      return undefined;
    }
    const request = encryptRequest(await createKey(port));
    // Its server stalls on a connection that is used again, so each request gets one of its own.
    return { [ENCRYPT]: (inFlight, seconds) => callLoad(inFlight, seconds, () => callAlone(port, request)) };
  },
};
