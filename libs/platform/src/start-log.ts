import { ensureAuditStream, ensureClockStream, ensureEventStream } from '#event-store/streams';
import { VirtualClock } from './clock';
import { showView } from './figures';
import { LogWitness, witnessPath } from './log-witness';
import type { Surroundings } from './surroundings';
import { serveViewDigests } from './view-digests';

const LOG_WAIT_MS = 60_000;
const LOG_PAUSE_MS = 500;

export interface LogOptions {
  /** Ends the wait for a log that no key-manager has made yet. */
  stopping(): boolean;
  /** Told of each move of a virtual clock. */
  onMove(): void;
}

/** Resolves once the process knows the whole log, as far as it follows it, and the time; to the newest position then. */
export async function startLog(around: Surroundings, { stopping, onMove }: LogOptions): Promise<number> {
  const { nats, settings, parts, alone } = around;
  if (around.has('key-manager')) {
    // Before the log itself, which the other services wait for.
    await ensureAuditStream(nats, settings);
    await ensureEventStream(nats, settings);
    await ensureClockStream(nats, settings);
  }
  const position = await untilLogStands(around, stopping);
  if (settings.clock === 'virtual') await startVirtualClock(around, onMove);
  if (parts.some((part) => part !== 'gateway')) await followLog(around);
  // Before material is looked after: on a log that has lost its end, material in use passes for left-over.
  if (alone) await keepWitness(around);
  return position;
}

/** Services start in any order: only a key-manager makes the streams, and the others wait for one. */
async function untilLogStands({ store, log }: Surroundings, stopping: () => boolean): Promise<number> {
  const deadline = performance.now() + LOG_WAIT_MS;
  for (;;) {
    try {
      return await store.lastPosition();
    } catch (error) {
      if (stopping() || performance.now() > deadline) throw error;
      log.info('waiting for the event log: a key-manager makes it at its first start');
      await new Promise((resolve) => setTimeout(resolve, LOG_PAUSE_MS));
    }
  }
}

async function startVirtualClock(around: Surroundings, onMove: () => void): Promise<void> {
  const clock = new VirtualClock(around.nats);
  await clock.start();
  clock.onMove(onMove);
  around.onStop(() => clock.stop());
  around.clock = clock;
}

async function followLog(around: Surroundings): Promise<void> {
  const { view, store, health, metrics, clock, served, name, instance } = around;
  await view.start(store);
  around.onStop(() => view.stop());
  health.add('event log', () => view.failed?.message);
  showView(metrics, store, view, clock);
  serveViewDigests(served, name, instance, view);
}

async function keepWitness(around: Surroundings): Promise<void> {
  const { store, view, log, settings } = around;
  const witness = await LogWitness.keep(witnessPath(settings.dataDir), store, view, (error) =>
    log.error({ err: error }, "the witness of the event log's end cannot be used"),
  );
  around.onStop(() => witness.stop());
}
