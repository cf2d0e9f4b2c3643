import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { clientInbox, requestSubject } from '#domain/subjects';
import { onOneAndMany, type Scenario } from '../case';
import { startEmbedded } from '../embedded';
import { ACCOUNT, createKey, encryptRequest, REGION } from '../kms-requests';
import { callLoad } from '../load';
import { untilAnswers } from '../processes';

const FLOOR = 'floor: bare NATS echo';
const ENCRYPT = 'NATS Encrypt';
const ECHO_SUBJECT = 'bench.echo';
const TIMEOUT_MS = 10_000;

interface Endpoint {
  url: string;
  users: { embedded: { user: string; password: string } };
}

/** Requests straight to the service's subject, against a bare responder on the same nats-server. */
export const natsDirect: Scenario = {
  cases: onOneAndMany([{ name: FLOOR }, { name: ENCRYPT, floor: FLOOR }]),
  async open(processes) {
    const { port, dataDir } = await startEmbedded(processes);
    const { url, users } = JSON.parse(readFileSync(join(dataDir, 'nats', 'endpoint.json'), 'utf8')) as Endpoint;
    const { user, password } = users.embedded;
    const nats = await processes.connect({
      servers: url,
      user,
      pass: password,
      inboxPrefix: clientInbox(ACCOUNT, 'root'),
    });
    const ask = (subject: string, body: string) => nats.request(subject, body, { timeout: TIMEOUT_MS });

    const echo = processes.node('dist/bench/floor.js', { BENCH_NATS: url, BENCH_USER: user, BENCH_PASSWORD: password });
    await untilAnswers('the NATS echo', echo, async () => Boolean(await ask(ECHO_SUBJECT, '')));

    const body = JSON.stringify(encryptRequest(await createKey(port)).body);
    const subject = requestSubject(REGION, ACCOUNT, 'root', 'Encrypt');
    return {
      [FLOOR]: (inFlight, seconds) => callLoad(inFlight, seconds, () => ask(ECHO_SUBJECT, body)),
      [ENCRYPT]: (inFlight, seconds) => callLoad(inFlight, seconds, () => ask(subject, body)),
    };
  },
};
