import { RequestStrategy } from 'nats';
import { INTERNAL } from '#domain/subjects';
import { VirtualClock } from '#platform/clock';
import type { HsmStatus } from '#platform/clusters/figures';
import type { StoreStatus } from '#platform/key-stores/store-figures';
import type { ServiceStatus } from '#platform/service';
import { CommandError, type Operator } from './operator';

const ANSWER_MS = 5_000;

/** Every service that answers now. */
export async function servicesOf(operator: Operator): Promise<ServiceStatus[]> {
  const replies = await operator.nats.requestMany(INTERNAL.status, undefined, {
    strategy: RequestStrategy.JitterTimer,
    jitter: 300,
    maxWait: ANSWER_MS,
  });
  const found: ServiceStatus[] = [];
  for await (const reply of replies) {
    if (reply.data.length === 0) continue;
    const { result } = reply.json<{ result?: ServiceStatus }>();
    if (result) found.push(result);
  }
  return found.sort((a, b) => a.service.localeCompare(b.service));
}

/** Prints what runs and how it is; throws CommandError if nothing does, or something is not ready. */
export async function status(operator: Operator, json: boolean, print: (line: string) => void): Promise<void> {
  const services = await servicesOf(operator);
  if (services.length === 0) throw new CommandError('no service of Keytrail answers: start it with npm start');
  if (json) print(JSON.stringify(services, null, 2));
  else {
    for (const { service, pid, position, clock, now, health, hsms = [], stores = [] } of services) {
      print(`${service} (pid ${pid}): ${health.status}, log position ${position}, ${clock} clock at ${now}`);
      for (const [part, state] of Object.entries(health.parts)) print(`  ${part}: ${state}`);
      for (const hsm of hsms) print(`  ${hsmLine(hsm)}`);
      for (const store of stores) print(`  ${storeLine(store)}`);
    }
  }
  if (services.some(({ health }) => health.status !== 'ready')) throw new CommandError('not everything is ready');
}

export function hsmLine({ clusterId, hsmId, zone, state, connection }: HsmStatus): string {
  const line = `${hsmId} of ${clusterId} in ${zone}: ${state}`;
  if (!connection) return line;
  const { state: is, sessions, syncLagMs, pid, why } = connection;
  const lag = syncLagMs === 0 ? 'in sync' : `behind for ${Math.ceil(syncLagMs / 1000)} s`;
  const driver = pid === undefined ? '' : `, process ${pid}`;
  return `${line}; ${is === 'in' ? `in use, ${sessions} sessions` : `${is}: ${why}`}, ${lag}${driver}`;
}

export function storeLine({ storeId, name, type, state, errorCode, isUp }: StoreStatus): string {
  const reason = errorCode === undefined ? '' : ` (${errorCode})`;
  const use = isUp === undefined ? '' : isUp ? '; in use' : '; cannot be used now';
  return `${storeId} ${JSON.stringify(name)}, ${type}: ${state}${reason}${use}`;
}

/**
 * The time that services go by, ms since 1970: as one of them says; `clock` says by what else where none is there to ask, as with
 * the store of a stopped server.
 */
export async function timeNow(operator: Operator, clock: 'system' | 'virtual'): Promise<number> {
  const said = operator.services ? await anyService(operator) : undefined;
  if (said) return Date.parse(said.now);
  if (clock === 'system') return Date.now();
  const virtual = new VirtualClock(operator.nats);
  await virtual.start();
  virtual.stop();
  return virtual.now();
}

/** The first that answers; undefined where none does. */
async function anyService(operator: Operator): Promise<ServiceStatus | undefined> {
  try {
    const reply = await operator.nats.request(INTERNAL.status, undefined, { timeout: ANSWER_MS });
    return reply.json<{ result?: ServiceStatus }>().result;
  } catch {
    return undefined;
  }
}

export async function printClock(operator: Operator, print: (line: string) => void): Promise<void> {
  const services = await servicesOf(operator);
  if (services.length === 0) throw new CommandError('no service of Keytrail answers: start it with npm start');
  print(`${services[0]!.now} (${services[0]!.clock} clock)`);
}
