import { ErrorCode, headers, type NatsConnection, NatsError } from 'nats';
import { EVENTS_STREAM } from '#domain/subjects';
import { BulkRead } from './bulk-read';
import {
  type AppendRequest,
  ConflictError,
  type EventStore,
  type FollowHandler,
  type Following,
  type LogEnd,
  type StoredCommit,
  StoreUnavailableError,
} from './event-store';
import {
  API_ERROR,
  JetStreamApiError,
  jetStreamRequest,
  type MessageQuery,
  majorityAgeMs,
  type StoredMessage,
  storedHeader,
  storedMessage,
  streamInfo,
} from './jetstream-api';
import { OrderedDelivery } from './ordered-delivery';
import { retryWhileUnavailable } from './retry';
import { isExactSubject, subjectMatcher } from './subject-filter';

export interface JetStreamEventStoreOptions {
  /** For how long an outage of the server is endured before an append or a read is given up. Default 15 s. */
  retryMs?: number;
  /** How long `lastPosition` waits for the leader's answer. Default 2 s. */
  requestTimeoutMs?: number;
  /** How often the server gives a sign of life to a quiet follower, which is lost after 2.5 of them. Default 2 s. */
  heartbeatMs?: number;
  /** Default KMS_EVENTS. */
  stream?: string;
}

/** A commit that the server does not take because of its size. Nothing was appended. */
export class CommitTooLargeError extends Error {
  override readonly name = 'CommitTooLargeError';
}

const APPEND_ID = 'Nats-Msg-Id';
const EXPECTED_LAST_SEQ = 'Nats-Expected-Last-Subject-Sequence';

/** The event log in JetStream. Its stream must have been made by `ensureEventStream`. */
export class JetStreamEventStore implements EventStore {
  private readonly retryMs: number;
  private readonly requestTimeoutMs: number;
  private readonly heartbeatMs: number;
  private readonly stream: string;

  constructor(
    private readonly nc: NatsConnection,
    options: JetStreamEventStoreOptions = {},
  ) {
    this.retryMs = options.retryMs ?? 15_000;
    this.requestTimeoutMs = options.requestTimeoutMs ?? 2_000;
    this.heartbeatMs = options.heartbeatMs ?? 2_000;
    this.stream = options.stream ?? EVENTS_STREAM;
  }

  async append(request: AppendRequest): Promise<number> {
    let tries = 0;
    return retryWhileUnavailable(this.nc, this.retryMs, async (timeoutMs) => {
      request.mayTry?.();
      const mayHaveSucceeded = tries++ > 0;
      const outcome = await this.tryAppend(request, mayHaveSucceeded, timeoutMs);
      if (typeof outcome === 'number') return outcome;
      throw outcome;
    });
  }

  /** The position, or why the outcome is not known yet. Rejects with what no retry can change. */
  private async tryAppend(
    request: AppendRequest,
    mayHaveSucceeded: boolean,
    timeoutMs: number,
  ): Promise<number | StoreUnavailableError> {
    try {
      const ack = await this.publish(request, timeoutMs);
      if (ack.seq > 0 && !ack.duplicate) return ack.seq;
      // Duplicate: an earlier try was taken, but perhaps not committed yet (then a cluster may answer with position 0).
      const own = await this.successor(request, timeoutMs);
      return own?.appendId === request.appendId ? own.seq : notKnown(request);
    } catch (error) {
      if (error instanceof StoreUnavailableError) return error;
      if (isTooLarge(error)) throw tooLarge(request, this.nc.info?.max_payload);
      if (!(error instanceof JetStreamApiError)) throw error;
      if (error.errCode === API_ERROR.duplicateInProcess) return notKnown(request);
      const refused =
        error.errCode === API_ERROR.wrongLastSequence || error.errCode === API_ERROR.wrongLastSequenceInProcess;
      if (!refused) throw error;
      return this.ownOrConflict(request, error, mayHaveSucceeded, timeoutMs);
    }
  }

  private publish({ subject, bytes, expectedLastSeq, appendId }: AppendRequest, timeoutMs: number): Promise<PubAck> {
    const conditions = headers();
    conditions.set(APPEND_ID, appendId);
    conditions.set(EXPECTED_LAST_SEQ, String(expectedLastSeq));
    return jetStreamRequest<PubAck>(this.nc, subject, bytes, { timeoutMs, headers: conditions });
  }

  /**
   * The server saw another newest position than expected. That is our own append if an earlier try succeeded and its
   * acknowledgement was lost: an append can only ever become the direct successor of the commit it was decided on.
   */
  private async ownOrConflict(
    request: AppendRequest,
    refusal: JetStreamApiError,
    mayHaveSucceeded: boolean,
    timeoutMs: number,
  ): Promise<number | StoreUnavailableError> {
    let successor: Successor | undefined;
    try {
      successor = await this.successor(request, timeoutMs);
    } catch (error) {
      if (error instanceof StoreUnavailableError) return error;
      throw error;
    }
    if (successor?.appendId === request.appendId) return successor.seq;
    const conflict = new ConflictError(`${request.subject}: ${refusal.message}, expected ${request.expectedLastSeq}`);
    if (successor) throw conflict;
    // No successor, so the subject is behind what was expected, or another append is about to become the successor.
    const inProcess = refusal.errCode === API_ERROR.wrongLastSequenceInProcess;
    if (!inProcess && !mayHaveSucceeded && newestOf(refusal) < request.expectedLastSeq) throw conflict;
    return notKnown(request);
  }

  private async successor(request: AppendRequest, timeoutMs: number): Promise<Successor | undefined> {
    const query = { seq: request.expectedLastSeq + 1, next_by_subj: request.subject };
    const message = await storedMessage(this.nc, this.stream, query, timeoutMs);
    return message && { seq: message.seq, appendId: storedHeader(message, APPEND_ID) };
  }

  /**
   * One subject is read message by message from the leader, as histories are short; anything else in bulk.
   * `bytes` may be a view on a larger buffer. Rejects with LogDamagedError where a position is missing.
   */
  read(from: number, filter?: string): AsyncIterable<StoredCommit> {
    const start = Math.max(1, from);
    return filter !== undefined && isExactSubject(filter)
      ? this.readHistory(start, filter)
      : this.readBulk(start, filter);
  }

  private async *readHistory(from: number, subject: string): AsyncIterable<StoredCommit> {
    const newest = await this.message({ last_by_subj: subject });
    if (!newest) return;
    for (let seq = from; seq < newest.seq; ) {
      const message = await this.message({ seq, next_by_subj: subject });
      if (!message || message.seq >= newest.seq) break;
      yield commitOf(message);
      seq = message.seq + 1;
    }
    if (newest.seq >= from) yield commitOf(newest);
  }

  private message(query: MessageQuery): Promise<StoredMessage | undefined> {
    return retryWhileUnavailable(this.nc, this.retryMs, (timeoutMs) =>
      storedMessage(this.nc, this.stream, query, timeoutMs),
    );
  }

  private readBulk(from: number, filter: string | undefined): AsyncIterable<StoredCommit> {
    return new BulkRead({
      from,
      end: async () => {
        const ask = (timeoutMs: number) => streamInfo(this.nc, this.stream, timeoutMs);
        const { state } = await retryWhileUnavailable(this.nc, this.retryMs, ask);
        return state.last_seq;
      },
      deliver: (until, handler) => this.delivery(from, until, handler),
      matches: subjectMatcher(filter),
    });
  }

  async follow(from: number, handler: FollowHandler): Promise<Following> {
    const delivery = this.delivery(Math.max(1, from), undefined, handler);
    await delivery.start();
    return { stop: async () => delivery.stop() };
  }

  async lastPosition(): Promise<number> {
    return (await this.end()).position;
  }

  async end(): Promise<LogEnd> {
    const info = await streamInfo(this.nc, this.stream, this.requestTimeoutMs);
    return { position: info.state.last_seq, majorityAgeMs: majorityAgeMs(info) };
  }

  private delivery(from: number, until: number | undefined, handler: FollowHandler): OrderedDelivery {
    const { retryMs, heartbeatMs } = this;
    return new OrderedDelivery(this.nc, {
      stream: this.stream,
      from,
      until,
      retryMs,
      heartbeatMs,
      onCommit: (commit) => handler.onCommit(commit),
      onError: (error) => handler.onError(error),
    });
  }
}

interface PubAck {
  seq: number;
  duplicate?: boolean;
}

interface Successor {
  seq: number;
  appendId: string | undefined;
}

const commitOf = ({ seq, subject, data }: StoredMessage): StoredCommit => ({
  seq,
  subject,
  bytes: Buffer.from(data ?? '', 'base64'),
});

const notKnown = ({ subject }: AppendRequest) =>
  new StoreUnavailableError(`${subject}: whether the append happened is not known yet`);

/** The newest position on the subject, out of "wrong last sequence: 7". */
const newestOf = (refusal: JetStreamApiError): number =>
  Number(/: (\d+)$/.exec(refusal.message)?.[1] ?? Number.POSITIVE_INFINITY);

const isTooLarge = (error: unknown): boolean =>
  (error instanceof NatsError && error.code === ErrorCode.MaxPayloadExceeded) ||
  (error instanceof JetStreamApiError && error.errCode === API_ERROR.messageTooLarge);

const tooLarge = ({ subject, bytes }: AppendRequest, limit: number | undefined) =>
  new CommitTooLargeError(
    `${subject}: a commit of ${bytes.length} bytes with its headers is over the server's limit of ${limit} (max_payload)`,
  );
