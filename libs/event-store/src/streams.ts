import type { NatsConnection } from 'nats';
import {
  ALL_EVENTS,
  ALL_MATERIAL,
  ALL_RECORDS,
  ALL_TREE_HEADS,
  AUDIT_STREAM,
  CLOCK_STREAM,
  CLOCK_SUBJECT,
  EVENTS_STREAM,
  MATERIAL_STREAM,
  TREE_STREAM,
} from '#domain/subjects';
import { StoreUnavailableError } from './event-store';
import { API_ERROR, JetStreamApiError, jetStreamRequest, type StreamInfo, streamInfo } from './jetstream-api';
import { retryWhileUnavailable } from './retry';

export interface StreamOptions {
  /** 1 for one server, 3 for a cluster. */
  replicas: 1 | 3;
  /** For how long a cluster that is still electing its leaders is waited for. Default 30 s. */
  retryMs?: number;
}

/** A stream stands that could lose or overwrite what Keytrail stores in it. */
export class WeakStreamError extends Error {
  override readonly name = 'WeakStreamError';
}

type Setting = string | number | boolean | string[];
type StreamConfig = Record<string, Setting> & { name: string };

const NS_PER_S = 1_000_000_000;

/** What every stream of Keytrail has: it is on disk, and nothing in it ever ages, is pushed out or is rolled up. */
const DURABLE = {
  storage: 'file',
  retention: 'limits',
  discard: 'new',
  max_msgs: -1,
  max_bytes: -1,
  max_age: 0,
  max_msg_size: -1,
  max_consumers: -1,
  max_msgs_per_subject: -1,
  no_ack: false,
  sealed: false,
  allow_rollup_hdrs: false,
};

/** The log: nothing can be deleted, by nobody. */
export const EVENTS_CONFIG: StreamConfig = {
  ...DURABLE,
  name: EVENTS_STREAM,
  subjects: [ALL_EVENTS],
  deny_delete: true,
  deny_purge: true,
  allow_direct: true,
  // For as long as that the server itself tells a retried append from a new one; after it, the adapter does.
  duplicate_window: 120 * NS_PER_S,
};

/** The records of calls, in batches. Nothing can be deleted, by nobody. */
export const AUDIT_CONFIG: StreamConfig = {
  ...DURABLE,
  name: AUDIT_STREAM,
  subjects: [ALL_RECORDS],
  deny_delete: true,
  deny_purge: true,
  allow_direct: true,
  duplicate_window: 120 * NS_PER_S,
};

/** The signed heads of both trees. Nothing can be deleted, by nobody. */
export const TREE_CONFIG: StreamConfig = {
  ...DURABLE,
  name: TREE_STREAM,
  subjects: [ALL_TREE_HEADS],
  deny_delete: true,
  deny_purge: true,
  allow_direct: true,
  duplicate_window: 120 * NS_PER_S,
};

/** One message a material: a second one is refused, never put in its place. Single messages can be erased. */
export const MATERIAL_CONFIG: StreamConfig = {
  ...DURABLE,
  name: MATERIAL_STREAM,
  subjects: [ALL_MATERIAL],
  max_msgs_per_subject: 1,
  discard_new_per_subject: true,
  deny_delete: false,
  deny_purge: true,
  allow_direct: true,
  duplicate_window: 120 * NS_PER_S,
};

/** Every setting of the virtual clock. */
const CLOCK_CONFIG: StreamConfig = {
  ...DURABLE,
  name: CLOCK_STREAM,
  subjects: [CLOCK_SUBJECT],
  deny_delete: true,
  deny_purge: true,
  duplicate_window: 120 * NS_PER_S,
};

/** Settings of which more than asked for is no weakness. */
const AT_LEAST = new Set(['num_replicas', 'duplicate_window']);

/**
 * Makes the streams that are not there yet. Any number of processes may do so at once.
 * Rejects with WeakStreamError if one stands with a setting that is weaker than needed, StoreUnavailableError if the
 * server does not answer in time.
 */
export async function ensureStreams(nc: NatsConnection, options: StreamOptions): Promise<void> {
  await ensureEventStream(nc, options);
  await ensureMaterialStream(nc, options);
  await ensureClockStream(nc, options);
  await ensureAuditStream(nc, options);
  await ensureTreeStream(nc, options);
}

export const ensureEventStream = (nc: NatsConnection, options: StreamOptions): Promise<void> =>
  ensureStream(nc, EVENTS_CONFIG, options);

export const ensureMaterialStream = (nc: NatsConnection, options: StreamOptions): Promise<void> =>
  ensureStream(nc, MATERIAL_CONFIG, options);

export const ensureClockStream = (nc: NatsConnection, options: StreamOptions): Promise<void> =>
  ensureStream(nc, CLOCK_CONFIG, options);

export const ensureAuditStream = (nc: NatsConnection, options: StreamOptions): Promise<void> =>
  ensureStream(nc, AUDIT_CONFIG, options);

export const ensureTreeStream = (nc: NatsConnection, options: StreamOptions): Promise<void> =>
  ensureStream(nc, TREE_CONFIG, options);

async function ensureStream(nc: NatsConnection, base: StreamConfig, options: StreamOptions): Promise<void> {
  const config: StreamConfig = { ...base, num_replicas: options.replicas };
  const standing = await retryWhileUnavailable(nc, options.retryMs ?? 30_000, async (timeoutMs) => {
    return (await existing(nc, config.name, timeoutMs)) ?? (await create(nc, config, timeoutMs));
  });
  refuseWeaker(config, standing);
}

async function existing(nc: NatsConnection, name: string, timeoutMs: number): Promise<StreamInfo | undefined> {
  try {
    return await streamInfo(nc, name, timeoutMs);
  } catch (error) {
    if (error instanceof JetStreamApiError && error.errCode === API_ERROR.streamNotFound) return undefined;
    throw error;
  }
}

/** Another process made the stream after we looked, or servers of the cluster are still coming. */
const WORTH_ANOTHER_LOOK: number[] = [API_ERROR.streamNameInUse, API_ERROR.noPeers];

async function create(nc: NatsConnection, config: StreamConfig, timeoutMs: number): Promise<StreamInfo> {
  try {
    const subject = `$JS.API.STREAM.CREATE.${config.name}`;
    return await jetStreamRequest<StreamInfo>(nc, subject, JSON.stringify(config), { timeoutMs });
  } catch (error) {
    if (error instanceof JetStreamApiError && WORTH_ANOTHER_LOOK.includes(error.errCode)) {
      throw new StoreUnavailableError(error.message, { cause: error });
    }
    throw error;
  }
}

function refuseWeaker(wanted: StreamConfig, standing: StreamInfo): void {
  for (const [setting, expected] of Object.entries(wanted)) {
    // The server leaves out settings that are off.
    const found = standing.config[setting] ?? (typeof expected === 'boolean' ? false : undefined);
    const enough =
      AT_LEAST.has(setting) && typeof found === 'number' && typeof expected === 'number'
        ? found >= expected
        : JSON.stringify(found) === JSON.stringify(expected);
    if (!enough) {
      throw new WeakStreamError(
        `stream ${wanted.name}: ${setting} is ${JSON.stringify(found)}, expected ${AT_LEAST.has(setting) ? 'at least ' : ''}${JSON.stringify(expected)}`,
      );
    }
  }
  for (const setting of ['mirror', 'sources', 'subject_transform']) {
    if (standing.config[setting]) throw new WeakStreamError(`stream ${wanted.name}: ${setting} is set, expected none`);
  }
}
