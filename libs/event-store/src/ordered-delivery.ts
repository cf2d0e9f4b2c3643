import { createInbox, type Msg, type NatsConnection, type Subscription } from 'nats';
import { watchConnection } from './connection-watch';
import { type StoredCommit, StoreUnavailableError } from './event-store';
import {
  API_ERROR,
  emptyPositions,
  JetStreamApiError,
  jetStreamRequest,
  type StreamInfo,
  storedMessage,
  streamInfo,
} from './jetstream-api';
import { goneStream, lostTail, missingPosition, replacedCommit } from './log-damage';
import { messageCallback } from './message-callback';
import { retryWhileUnavailable } from './retry';

export interface DeliveryOptions {
  stream: string;
  /** First position wanted, from 1. */
  from: number;
  /** Last position wanted; without it the delivery goes on for ever. */
  until?: number;
  heartbeatMs: number;
  /** For how long an outage is endured while opening, and afterwards if `until` is set. */
  retryMs: number;
  onCommit(commit: StoredCommit): void;
  /** Called at most once; nothing is delivered afterwards. */
  onError(error: Error): void;
}

/** One push consumer on the server. A lost or silent one is dropped and replaced by a new one. */
interface Consumer {
  subscription: Subscription;
  /** Messages it has delivered so far; each carries its own count, so a lost one shows. */
  delivered: number;
}

/** Why a new consumer is needed: the old one was lost, passed over a position, or sends nothing though there is more. */
type Cause = 'lost' | 'gap' | 'idle';

/** A service may listen only below its own user's prefix; the client keeps that among its options without showing it. */
export const inboxPrefixOf = (nc: NatsConnection): string | undefined =>
  (nc as NatsConnection & { options?: { inboxPrefix?: string } }).options?.inboxPrefix;

/** Heartbeats that may be missed before the consumer counts as lost. */
const SILENT_HEARTBEATS = 2.5;
const NS_PER_MS = 1_000_000;
/** Times in a row that a consumer may skip a position which the leader holds, before that is reported as damage. */
const SKIPS_ENDURED = 10;

/**
 * Every message of a stream from a position on, in order, each once, through ephemeral push consumers with flow control.
 * The next position wanted is kept here and not on the server: whatever is lost (a message, the consumer, the connection,
 * the server), a new consumer starts at exactly that position. A crash of this process leaves a consumer behind that the
 * server removes by itself when nobody listens.
 */
export class OrderedDelivery {
  private next: number;
  private consumer: Consumer | undefined;
  private heardAt = 0;
  private newest: StoredCommit | undefined;
  private starting = false;
  private recovering = false;
  /** What went wrong with the new consumer before the recovery that made it had ended. */
  private again: Cause | undefined;
  /** Newest position that the server is known to have: it owes everything up to there. */
  private owed = 0;
  private stopped = false;
  private paused = false;
  private heldFlowReply: string | undefined;
  private skips = 0;
  private readonly watchdog: NodeJS.Timeout;
  private readonly unwatch: () => void;

  constructor(
    private readonly nc: NatsConnection,
    private readonly options: DeliveryOptions,
  ) {
    this.next = options.from;
    this.watchdog = setInterval(() => this.checkSilence(), options.heartbeatMs).unref();
    this.unwatch = watchConnection(nc, {
      reconnected: () => this.recover('lost'),
      closed: () => {
        // Whoever awaits `start` learns of it there.
        if (!this.starting) this.fail(new StoreUnavailableError('the connection to NATS is closed'));
      },
    });
  }

  /** Resolves once a consumer stands. Rejects with StoreUnavailableError or LogDamagedError, and is then stopped. */
  async start(): Promise<void> {
    this.starting = true;
    this.recovering = true;
    try {
      await this.open(this.options.retryMs);
    } catch (error) {
      this.stop();
      throw error;
    } finally {
      this.starting = false;
      this.recovered();
    }
  }

  stop(): void {
    this.stopped = true;
    clearInterval(this.watchdog);
    this.unwatch();
    this.drop();
  }

  private fail(error: Error): void {
    if (this.stopped) return;
    this.stop();
    this.options.onError(error);
  }

  /** Asks the server to hold back; what is on its way still comes. */
  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    if (this.heldFlowReply !== undefined && !this.nc.isClosed()) this.nc.publish(this.heldFlowReply);
    this.heldFlowReply = undefined;
  }

  private checkSilence(): void {
    const silentMs = this.consumer ? performance.now() - this.heardAt : Number.POSITIVE_INFINITY;
    if (!this.recovering && silentMs > SILENT_HEARTBEATS * this.options.heartbeatMs) this.recover('lost');
  }

  private recover(cause: Cause): void {
    if (this.stopped) return;
    this.drop();
    if (this.recovering) {
      this.again = cause;
      return;
    }
    this.recovering = true;
    const limitMs = this.options.until === undefined ? Number.POSITIVE_INFINITY : this.options.retryMs;
    this.confirm(cause, limitMs)
      .then(() => this.open(limitMs))
      .catch((error: Error) => this.fail(error))
      .finally(() => this.recovered());
  }

  private recovered(): void {
    this.recovering = false;
    const cause = this.again;
    this.again = undefined;
    if (cause) this.recover(cause);
  }

  private drop(): void {
    this.consumer?.subscription.unsubscribe();
    this.consumer = undefined;
    this.heldFlowReply = undefined;
  }

  private async confirm(cause: Cause, limitMs: number): Promise<void> {
    if (cause === 'gap') await this.confirmGap(limitMs);
    if (cause === 'idle') await this.confirmOwed(limitMs);
  }

  /** A position that one replica did not deliver is only missing if the stream's leader says so too. */
  private async confirmGap(limitMs: number): Promise<void> {
    const { stream } = this.options;
    const ask = (timeoutMs: number) => storedMessage(this.nc, stream, { seq: this.next }, timeoutMs);
    const held = await retryWhileUnavailable(this.nc, limitMs, ask, () => this.stopped);
    this.skips++;
    if (!held || this.skips > SKIPS_ENDURED) throw missingPosition(stream, this.next);
  }

  /**
   * A replica that lags has nothing to send either, for as long as it takes: only what the leader does not hold is
   * missing, and that only once a leader elected a moment ago has had the time to apply what it has.
   */
  private async confirmOwed(limitMs: number): Promise<void> {
    const { stream, retryMs } = this.options;
    const lagsUntil = performance.now() + retryMs / 2;
    await retryWhileUnavailable(
      this.nc,
      limitMs,
      async (timeoutMs) => {
        if (await storedMessage(this.nc, stream, { seq: this.next }, timeoutMs)) return;
        const missing = missingPosition(stream, this.next);
        throw performance.now() < lagsUntil ? new StoreUnavailableError(missing.message) : missing;
      },
      () => this.stopped,
    );
  }

  private async open(limitMs: number): Promise<void> {
    const lagsUntil = performance.now() + this.options.retryMs / 2;
    await retryWhileUnavailable(
      this.nc,
      limitMs,
      async (timeoutMs) => {
        await this.checkStream(timeoutMs, lagsUntil);
        if (!this.stopped) await this.createConsumer(timeoutMs);
      },
      () => this.stopped,
    );
  }

  private async checkStream(timeoutMs: number, lagsUntil: number): Promise<void> {
    const { stream } = this.options;
    // A leader that was just cut off or elected may lag for a moment: only what stays wrong is damage.
    const lagging = performance.now() < lagsUntil;
    const { state } = await this.info(timeoutMs, lagging);
    this.owed = Math.max(this.owed, state.last_seq);
    if (state.last_seq < this.next - 1) {
      const lost = lostTail(stream, state.last_seq, this.next - 1);
      throw lagging ? new StoreUnavailableError(lost.message) : lost;
    }
    if (state.last_seq >= this.next && state.first_seq > this.next) throw missingPosition(stream, this.next);
    if (state.num_deleted && this.options.until === undefined) await this.checkEnd(state.last_seq, timeoutMs, lagging);
    await this.checkNewest(timeoutMs);
  }

  /**
   * A server that finds its file cut short keeps the last position and gives out what is left. With nothing behind it
   * such a gap never shows in what is delivered: a follower would wait there for ever.
   */
  private async checkEnd(last: number, timeoutMs: number, lagging: boolean): Promise<void> {
    const { stream } = this.options;
    const empty = new Set(await emptyPositions(this.nc, stream, timeoutMs));
    let first = last + 1;
    while (first > this.next && empty.has(first - 1)) first--;
    if (first > last) return;
    const missing = missingPosition(stream, first);
    throw lagging ? new StoreUnavailableError(missing.message) : missing;
  }

  /** The commit before the next one wanted must still be the one that was delivered, or another log took this one's place. */
  private async checkNewest(timeoutMs: number): Promise<void> {
    if (!this.newest) return;
    const { seq, subject, bytes } = this.newest;
    const held = await storedMessage(this.nc, this.options.stream, { seq }, timeoutMs);
    if (!held) throw missingPosition(this.options.stream, seq);
    const same = held.subject === subject && Buffer.from(held.data ?? '', 'base64').equals(bytes);
    if (!same) throw replacedCommit(this.options.stream, seq);
  }

  private async info(timeoutMs: number, lagging: boolean): Promise<StreamInfo> {
    const { stream } = this.options;
    try {
      return await streamInfo(this.nc, stream, timeoutMs);
    } catch (error) {
      if (!(error instanceof JetStreamApiError) || error.errCode !== API_ERROR.streamNotFound) throw error;
      throw lagging ? new StoreUnavailableError(error.message, { cause: error }) : goneStream(stream);
    }
  }

  private async createConsumer(timeoutMs: number): Promise<void> {
    const { stream, heartbeatMs } = this.options;
    const inbox = createInbox(inboxPrefixOf(this.nc));
    const name = inbox.slice(inbox.lastIndexOf('.') + 1);
    const consumer: Consumer = {
      delivered: 0,
      subscription: this.nc.subscribe(inbox, {
        callback: messageCallback(
          (message) => {
            if (consumer === this.consumer) this.receive(consumer, message);
          },
          (error) => {
            if (consumer === this.consumer) this.fail(error);
          },
        ),
      }),
    };
    this.drop();
    this.consumer = consumer;
    this.heardAt = performance.now();
    const config = {
      name,
      deliver_subject: inbox,
      deliver_policy: 'by_start_sequence',
      opt_start_seq: this.next,
      ack_policy: 'none',
      mem_storage: true,
      num_replicas: 1,
      flow_control: true,
      idle_heartbeat: heartbeatMs * NS_PER_MS,
    };
    try {
      const subject = `$JS.API.CONSUMER.CREATE.${stream}.${name}`;
      const body = JSON.stringify({ stream_name: stream, config });
      await jetStreamRequest(this.nc, subject, body, { timeoutMs });
    } catch (error) {
      if (this.consumer === consumer) this.drop();
      throw error;
    }
  }

  private receive(consumer: Consumer, message: Msg): void {
    this.heardAt = performance.now();
    const reply = message.reply;
    if (!reply?.startsWith('$JS.ACK.')) {
      this.control(consumer, message);
      return;
    }
    const { streamSeq, consumerSeq } = positions(reply);
    if (consumerSeq !== consumer.delivered + 1) {
      this.recover('lost');
      return;
    }
    if (streamSeq !== this.next) {
      this.recover('gap');
      return;
    }
    consumer.delivered = consumerSeq;
    this.next++;
    this.skips = 0;
    const commit = { seq: streamSeq, subject: message.subject, bytes: message.data };
    this.newest = commit;
    try {
      this.options.onCommit(commit);
    } catch (error) {
      this.fail(error as Error);
    }
    if (this.next > (this.options.until ?? Number.POSITIVE_INFINITY)) this.stop();
  }

  /** Flow control requests are answered, unless paused; heartbeats tell how much should have arrived. */
  private control(consumer: Consumer, message: Msg): void {
    const stalledReply = message.headers?.get('Nats-Consumer-Stalled');
    const flowReply = message.reply || stalledReply;
    if (flowReply) {
      if (this.paused) this.heldFlowReply = flowReply;
      else this.nc.publish(flowReply);
      return;
    }
    const sent = message.headers?.get('Nats-Last-Consumer');
    // Where it has got to in the stream: a record that it cannot read it passes over in silence, or waits before it.
    this.owed = Math.max(this.owed, Number(message.headers?.get('Nats-Last-Stream') || 0));
    if (sent && Number(sent) !== consumer.delivered) this.recover('lost');
    // Idle although positions are still to come: the server has nothing to send where there must be something.
    else if (this.options.until !== undefined && !this.paused) this.recover('gap');
    else if (this.next <= this.owed && !this.paused) this.recover('idle');
  }
}

/** `$JS.ACK.[<domain>.<account hash>.]<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<time>.<pending>[.<token>]` */
export function positions(reply: string): { streamSeq: number; consumerSeq: number } {
  // Each commit that is read comes through here: by places of the dots it takes half the time of a split.
  const dots: number[] = [];
  for (let at = reply.indexOf('.'); at >= 0 && dots.length <= NEWER_DOTS; at = reply.indexOf('.', at + 1))
    dots.push(at);
  const skip = dots.length > OLDER_DOTS ? 2 : 0;
  const token = (nth: number): number => Number(reply.slice(dots[nth - 1]! + 1, dots[nth]));
  return { streamSeq: token(5 + skip), consumerSeq: token(6 + skip) };
}

const OLDER_DOTS = 8;
const NEWER_DOTS = 10;
