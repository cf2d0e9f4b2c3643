import { ErrorCode, type MsgHdrs, type NatsConnection, NatsError } from 'nats';
import { StoreUnavailableError } from './event-store';

/** What a JetStream server answers instead of a result. `errCode` is unique to each kind of error. */
export class JetStreamApiError extends Error {
  override readonly name = 'JetStreamApiError';

  constructor(
    readonly code: number,
    readonly errCode: number,
    message: string,
  ) {
    super(message);
  }
}

/** err_code values of nats-server's server/errors.json that Keytrail tells apart. */
export const API_ERROR = {
  /** A cluster that has just started may not know enough of its servers yet. */
  noPeers: 10005,
  messageNotFound: 10037,
  messageTooLarge: 10054,
  streamNameInUse: 10058,
  streamNotFound: 10059,
  wrongLastSequence: 10071,
  /** The same id was proposed to the cluster and is not committed yet. */
  duplicateInProcess: 10158,
  /** As wrongLastSequence, while another append on the subject is not committed yet. */
  wrongLastSequenceInProcess: 10164,
} as const;

interface ApiReply {
  error?: { code: number; err_code?: number; description: string };
}

export interface RequestOptions {
  timeoutMs: number;
  headers?: MsgHdrs;
}

/**
 * One request to JetStream: an API call, or a publish (whose acknowledgement has the same form).
 * Rejects with StoreUnavailableError when no answer came or the cluster has no leader, with JetStreamApiError when the
 * server refused, with NatsError for mistakes of the caller (too large a payload, missing permissions).
 */
export async function jetStreamRequest<T>(
  nc: NatsConnection,
  subject: string,
  payload: Uint8Array | string,
  { timeoutMs, headers }: RequestOptions,
): Promise<T> {
  let reply: T & ApiReply;
  try {
    const message = await nc.request(subject, payload, { timeout: Math.max(1, timeoutMs), headers });
    reply = message.json<T & ApiReply>();
  } catch (error) {
    throw isCallersMistake(error) ? error : new StoreUnavailableError(`${subject}: ${textOf(error)}`, { cause: error });
  }
  if (!reply.error) return reply;
  const { code, err_code: errCode = 0, description } = reply.error;
  // 503 is what JetStream answers while it has no leader, is starting, or cannot write.
  if (code === 503) throw new StoreUnavailableError(`${subject}: ${description}`);
  throw new JetStreamApiError(code, errCode, `${subject}: ${description}`);
}

const CALLERS_MISTAKES: string[] = [
  ErrorCode.MaxPayloadExceeded,
  ErrorCode.PermissionsViolation,
  ErrorCode.AuthorizationViolation,
  ErrorCode.BadSubject,
];

const isCallersMistake = (error: unknown): boolean =>
  error instanceof NatsError && CALLERS_MISTAKES.includes(error.code);

const textOf = (error: unknown): string => {
  if (!(error instanceof NatsError)) return String(error);
  if (error.code === ErrorCode.NoResponders) return 'nobody serves it now';
  if (error.code === ErrorCode.Timeout) return 'no answer in time';
  return error.message;
};

/** A stream, as its leader knows it. */
export interface StreamInfo {
  config: Record<string, unknown>;
  state: {
    messages: number;
    first_seq: number;
    last_seq: number;
    /** Positions between the first and the last that hold nothing. */
    num_deleted?: number;
  };
  /** In a cluster. */
  cluster?: {
    /** Absent where none is known: then any node answers. */
    leader?: string;
    /** The other nodes that keep it; `active`: ns since the leader last heard from that one, 0 if it never did. */
    replicas?: { active: number }[];
  };
}

const NS_PER_MS = 1_000_000;

/**
 * How long ago, in ms, the leader that answered last heard from a majority. One that was cut off goes on answering, while
 * the others may have elected another after 4 s, and even one that gave up leading answers (seen with nats-server 2.10.27,
 * for more than 30 s). Up to 2 s are usual: the nodes of an idle stream speak once a second.
 */
export function majorityAgeMs({ cluster }: Pick<StreamInfo, 'cluster'>): number {
  if (!cluster) return 0;
  if (!cluster.leader) return Number.POSITIVE_INFINITY;
  const ages = (cluster.replicas ?? []).map(({ active }) => (active > 0 ? active : Number.POSITIVE_INFINITY));
  if (ages.length === 0) return 0;
  // With itself, a majority of n + 1 nodes are the leader and the first half of the n others.
  const needed = Math.floor((ages.length + 1) / 2);
  return ages.sort((a, b) => a - b)[needed - 1]! / NS_PER_MS;
}

export const streamInfo = (nc: NatsConnection, stream: string, timeoutMs: number): Promise<StreamInfo> =>
  jetStreamRequest<StreamInfo>(nc, `$JS.API.STREAM.INFO.${stream}`, '', { timeoutMs });

/** Positions of a stream that hold nothing, in no order. */
export async function emptyPositions(nc: NatsConnection, stream: string, timeoutMs: number): Promise<number[]> {
  const subject = `$JS.API.STREAM.INFO.${stream}`;
  const question = JSON.stringify({ deleted_details: true });
  const { state } = await jetStreamRequest<{ state: { deleted?: number[] } }>(nc, subject, question, { timeoutMs });
  return state.deleted ?? [];
}

export interface StoredMessage {
  subject: string;
  seq: number;
  /** Base64. */
  hdrs?: string;
  /** Base64; absent when empty. */
  data?: string;
}

export type MessageQuery = { seq: number } | { seq: number; next_by_subj: string } | { last_by_subj: string };

/** A stored message from the stream's leader (never from a replica, which may lag), or undefined if there is none. */
export async function storedMessage(
  nc: NatsConnection,
  stream: string,
  query: MessageQuery,
  timeoutMs: number,
): Promise<StoredMessage | undefined> {
  try {
    const subject = `$JS.API.STREAM.MSG.GET.${stream}`;
    const reply = await jetStreamRequest<{ message: StoredMessage }>(nc, subject, JSON.stringify(query), { timeoutMs });
    return reply.message;
  } catch (error) {
    if (error instanceof JetStreamApiError && error.errCode === API_ERROR.messageNotFound) return undefined;
    throw error;
  }
}

/** Value of a header of a stored message. */
export function storedHeader(message: StoredMessage, name: string): string | undefined {
  const lines = Buffer.from(message.hdrs ?? '', 'base64')
    .toString('utf8')
    .split('\r\n');
  const line = lines.find((candidate) => candidate.startsWith(`${name}:`));
  return line?.slice(name.length + 1).trim();
}
