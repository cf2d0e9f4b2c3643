import { DiscardPolicy, type NatsConnection, NatsError, RetentionPolicy, StorageType, type StreamConfig } from 'nats';
import { ALL_EVENTS, ALL_MATERIAL, CLOCK_STREAM, CLOCK_SUBJECT, EVENTS_STREAM, MATERIAL_STREAM } from '#domain/subjects';

type Wanted = Partial<StreamConfig> & { name: string };

const common = { storage: StorageType.File, retention: RetentionPolicy.Limits, max_age: 0, max_bytes: -1, max_msgs: -1 };

const eventsStream = (replicas: number): Wanted => ({
  ...common,
  name: EVENTS_STREAM,
  subjects: [ALL_EVENTS],
  num_replicas: replicas,
  discard: DiscardPolicy.New,
  deny_delete: true,
  deny_purge: true,
  allow_direct: true,
  duplicate_window: 10 * 60 * 1_000_000_000,
});

const materialStream = (replicas: number): Wanted => ({
  ...common,
  name: MATERIAL_STREAM,
  subjects: [ALL_MATERIAL],
  num_replicas: replicas,
  max_msgs_per_subject: 1,
  discard: DiscardPolicy.New,
  discard_new_per_subject: true,
});

const clockStream = (replicas: number): Wanted => ({
  ...common,
  name: CLOCK_STREAM,
  subjects: [CLOCK_SUBJECT],
  num_replicas: replicas,
});

/** A stream is there already, configured so that it could lose or change what it holds. */
export class WeakStreamError extends Error {
  override readonly name = 'WeakStreamError';
}

/** Creates the event log and the clock's stream where they are missing. Any number of processes may do so at once. */
export async function ensureEventStreams(nats: NatsConnection, replicas: number): Promise<void> {
  await ensureStream(nats, eventsStream(replicas));
  await ensureStream(nats, clockStream(replicas));
}

/** Creates the stream of wrapped material; for crypto-workers only. */
export const ensureMaterialStream = (nats: NatsConnection, replicas: number): Promise<void> =>
  ensureStream(nats, materialStream(replicas));

export async function ensureStreams(nats: NatsConnection, { replicas }: { replicas: number }): Promise<void> {
  await ensureEventStreams(nats, replicas);
  await ensureMaterialStream(nats, replicas);
}

async function ensureStream(nats: NatsConnection, wanted: Wanted): Promise<void> {
  const manager = await nats.jetstreamManager({ checkAPI: false, timeout: 10_000 });
  try {
    await manager.streams.add(wanted);
  } catch (error) {
    // In use with another configuration: what matters is checked below.
    if (!(error instanceof NatsError) || error.api_error?.err_code !== 10058) throw error;
  }
  const { config } = await manager.streams.info(wanted.name);
  for (const [setting, expected] of Object.entries(wanted)) {
    if (setting === 'num_replicas' || setting === 'duplicate_window') continue;
    const found = (config as unknown as Record<string, unknown>)[setting];
    if (JSON.stringify(found ?? false) !== JSON.stringify(expected ?? false)) {
      throw new WeakStreamError(
        `stream ${wanted.name} has ${setting} = ${JSON.stringify(found)} where ${JSON.stringify(expected)} is needed`,
      );
    }
  }
}
