import { type Case, type Measure, onOneAndMany } from '../case';
import { kmsRequests } from '../kms-requests';
import { httpLoad, type Target, warmUp } from '../load';
import { anyPort, type Processes, untilServed } from '../processes';

const FLOOR = 'floor: bare Fastify';

/** Row names of the operations measured over HTTP; what they are of is put before the operation's name. */
const ROWS: Record<string, string> = {
  Encrypt: 'Encrypt',
  Decrypt: 'Decrypt',
  GenerateDataKey: 'GenerateDataKey',
  Sign: 'Sign (P-256)',
  CreateKey: 'CreateKey (durable)',
};

/** The HTTP cases, each held against a bare Fastify. */
export const httpCases = (prefix: string): Case[] =>
  onOneAndMany([{ name: FLOOR }, ...Object.values(ROWS).map((row) => ({ name: `${prefix} ${row}`, floor: FLOOR }))]);

/** How the cases of `httpCases` are measured against a Keytrail that serves `target`. */
export async function httpMeasures(
  prefix: string,
  target: Target,
  processes: Processes,
): Promise<Record<string, Measure>> {
  const requests = await kmsRequests(target.port);
  const floor = await startFloor(processes);
  const measures: Record<string, Measure> = {
    [FLOOR]: (connections, seconds) => httpLoad(floor, requests['Encrypt']!, connections, seconds),
  };
  for (const [operation, row] of Object.entries(ROWS)) {
    measures[`${prefix} ${row}`] = (connections, seconds) =>
      httpLoad(target, requests[operation]!, connections, seconds);
  }
  for (const { port } of [floor, target]) await warmUp(port, requests['Encrypt']!);
  return measures;
}

async function startFloor(processes: Processes): Promise<Target> {
  const port = await anyPort();
  const child = processes.node('dist/bench/floor.js', { BENCH_PORT: String(port) });
  await untilServed(`http://127.0.0.1:${port}/`, child);
  return { port, pids: [child.pid!] };
}
