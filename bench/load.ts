import autocannon from 'autocannon';
import { type KmsRequest, signedHeaders } from './kms-requests';
import { Latencies, type Measured } from './measured';
import { cpuMs } from './processes';

/** Where HTTP load goes, and which processes serve it. */
export interface Target {
  port: number;
  pids: readonly number[];
}

const WARM_UP_REQUESTS = 3_000;
/** How often autocannon looks whether its time is over. */
const SAMPLE_MS = 20;

/** Sends one signed request again and again on kept connections, one in flight on each. Rejects if any is refused. */
export async function httpLoad(
  { port, pids }: Target,
  request: KmsRequest,
  connections: number,
  seconds: number,
): Promise<Measured> {
  const before = cpuMs(pids);
  const { total, ms, percentiles } = await send(port, request, { connections, duration: seconds });
  return { perSecond: (total * 1000) / ms, ...percentiles, cpuUs: ((cpuMs(pids) - before) * 1000) / total };
}

/** Lets the server compile its hot path, so that the first case measured is not worse off than the next. */
export async function warmUp(port: number, request: KmsRequest): Promise<void> {
  await send(port, request, { connections: 8, amount: WARM_UP_REQUESTS });
}

async function send(
  port: number,
  { operation, body, credentials }: KmsRequest,
  extent: Pick<autocannon.Options, 'connections' | 'duration' | 'amount'>,
): Promise<{ total: number; ms: number; percentiles: Latencies['percentiles'] }> {
  const text = JSON.stringify(body);
  // autocannon's own figures are in whole ms and hundredths of a second, but it hands over each request's time in full.
  const latencies = new Latencies();
  let total = 0;
  const started = performance.now();
  let ended = started;
  const result = await new Promise<autocannon.Result>((resolve, reject) => {
    const headers = signedHeaders(port, operation, text, credentials);
    const running = autocannon(
      { url: `http://127.0.0.1:${port}/`, method: 'POST', headers, body: text, sampleInt: SAMPLE_MS, ...extent },
      (error: Error | null, done) => (error ? reject(error) : resolve(done)),
    );
    running.on('response', (_client, _status, _bytes, ms) => {
      latencies.add(ms);
      total++;
      ended = performance.now();
    });
  });
  if (result.non2xx > 0 || result.errors > 0) {
    throw new Error(`${operation}: ${result.non2xx} refused, ${result.errors} failed`);
  }
  return { total, ms: ended - started, percentiles: latencies.percentiles };
}

/** Keeps `inFlight` calls going. */
export async function callLoad(inFlight: number, seconds: number, once: () => Promise<unknown>): Promise<Measured> {
  const latencies = new Latencies();
  let total = 0;
  const started = performance.now();
  const end = started + seconds * 1000;
  const keepCalling = async (): Promise<void> => {
    for (let begun = performance.now(); begun < end; ) {
      await once();
      const now = performance.now();
      latencies.add(now - begun);
      total++;
      begun = now;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, keepCalling));
  return { perSecond: (total * 1000) / (performance.now() - started), ...latencies.percentiles };
}
