import { pino } from 'pino';
import { AUDIT_STREAM } from '#domain/subjects';
import { JetStreamEventStore } from '#event-store/jetstream-event-store';
import { ensureAuditStream, ensureEventStream } from '#event-store/streams';
import type { ThreadReading } from '#platform/history/pglite-pool';
import { Projector } from '#platform/history/projector';
import { changeEntries, RecordReader } from '#platform/history/read-records';
import type { Scenario } from '../case';
import { type BenchDatabase, type DatabaseName, openDatabase } from '../history-databases';
import { Latencies, type Measured } from '../measured';
import type { Processes } from '../processes';
import { BENCH_SEALING_KEY } from '../produce-records';

const BACKLOG = 100_000;
const PER_SECOND = 5_000;
const LIVE_SECONDS = 20;
const LIVE = PER_SECOND * LIVE_SECONDS;
const LOOK_MS = 20;
const PATIENCE_MS = 20_000;

const READING: ThreadReading = {
  keys: { toUnseal: async () => BENCH_SEALING_KEY },
  unreadable: (_, __, error) => {
    throw error;
  },
};

/**
 * The whole projector, from JetStream into its database: first a backlog, then beside a process that puts 5,000 records a
 * second on record, five in a message. Of that, p50 and p99 are how far it was behind. CPU is the projector's and the
 * database's, without nats-server.
 */
function projectorOn(name: DatabaseName): Scenario {
  const backlog = `audit: projector, backlog of 100,000 records, ${name}`;
  const live = `audit: projector, 5,000 records a second as they come, ${name}`;
  return {
    cases: [backlog, live].map((one) => ({ name: one, connections: 1 })),
    onlyByName: true,
    async open(processes) {
      const bench = await openDatabase(name, processes, READING);
      if (!bench) return undefined;
      let running: Promise<Running> | undefined;
      const run = (): Promise<Running> => {
        running ??= caughtUp(bench, processes);
        return running;
      };
      return {
        [backlog]: async () => (await run()).backlog,
        [live]: async () => {
          const { projector, url, records } = await run();
          try {
            return await followed(projector, records, bench, () => produce(processes, url, LIVE, PER_SECOND));
          } finally {
            await projector.stop();
          }
        },
      };
    },
  };
}

export const projectorOnPGlite = projectorOn('PGlite');
export const projectorOnPostgres = projectorOn('PostgreSQL');

interface Running {
  projector: Projector;
  records: JetStreamEventStore;
  url: string;
  backlog: Measured;
}

async function caughtUp(bench: BenchDatabase, processes: Processes): Promise<Running> {
  const { url } = await processes.natsServer('2m');
  const nats = await processes.connect({ servers: url });
  await ensureAuditStream(nats, { replicas: 1 });
  await ensureEventStream(nats, { replicas: 1 });
  await produce(processes, url, BACKLOG, 0);
  const records = new JetStreamEventStore(nats, { stream: AUDIT_STREAM, requestTimeoutMs: PATIENCE_MS });
  const reader = new RecordReader(READING.keys, READING.unreadable);
  const projector = new Projector({
    database: bench.database,
    logs: { records, changes: new JetStreamEventStore(nats, { requestTimeoutMs: PATIENCE_MS }) },
    entriesOf: {
      records: (message) => reader.entriesOf(message),
      changes: (message) => changeEntries(message, READING.unreadable),
    },
    log: pino({ level: 'error' }, pino.destination(2)),
  });
  // To make a database takes seconds, which are no part of it.
  await (await bench.database.open()).close();
  const cpuBefore = bench.cpuMs();
  const started = performance.now();
  projector.start();
  while ((await projector.lagOf('records')) > 0) await pause();
  const perSecond = (BACKLOG * 1000) / (performance.now() - started);
  const cpuUs = ((bench.cpuMs() - cpuBefore) * 1000) / BACKLOG;
  return { projector, records, url, backlog: { perSecond, cpuUs } };
}

async function followed(
  projector: Projector,
  records: JetStreamEventStore,
  bench: BenchDatabase,
  producing: () => Promise<void>,
): Promise<Measured> {
  const behind = new Latencies();
  const before = await records.lastPosition();
  const cpuBefore = bench.cpuMs();
  const started = performance.now();
  let ended = false;
  const end = producing().finally(() => {
    ended = true;
  });
  let began = started;
  while (!ended || (await projector.lagOf('records')) > 0) {
    const position = await records.lastPosition();
    if (position === before) began = performance.now();
    else {
      const asked = performance.now();
      while (projector.positionOf('records') < position) await pause(1);
      behind.add(performance.now() - asked);
    }
    await pause();
  }
  await end;
  const perSecond = (LIVE * 1000) / (performance.now() - began);
  return { perSecond, ...behind.percentiles, cpuUs: ((bench.cpuMs() - cpuBefore) * 1000) / LIVE };
}

async function produce(processes: Processes, url: string, count: number, perSecond: number): Promise<void> {
  const child = processes.node('dist/bench/produce-records.js', {}, [url, String(count), String(perSecond)]);
  const code = await new Promise((resolve) => child.once('exit', resolve));
  if (code !== 0) throw new Error('records could not be put into the stream');
}

const pause = (ms = LOOK_MS): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
