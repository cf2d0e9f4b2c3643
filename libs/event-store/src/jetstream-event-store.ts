import {
  type Consumer,
  type ConsumerMessages,
  type JetStreamClient,
  type JetStreamManager,
  type JsMsg,
  type NatsConnection,
  NatsError,
} from 'nats';
import { EVENTS_STREAM } from '#domain/subjects';
import {
  type AppendRequest,
  ConflictError,
  type EventStore,
  type Following,
  type FollowHandler,
  type StoredCommit,
  StoreUnavailableError,
} from './event-store';

const WRONG_LAST_SEQUENCE = 10071;
const NO_MESSAGE_FOUND = 10037;
const ATTEMPT_MS = 2_000;
const READ_BATCH = 2_000;

export interface JetStreamEventStoreOptions {
  /** How long an append or a question is tried again, in ms. */
  deadlineMs?: number;
}

const apiCode = (error: unknown): number | undefined =>
  error instanceof NatsError ? error.api_error?.err_code : undefined;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** The event log in the stream KMS_EVENTS. */
export class JetStreamEventStore implements EventStore {
  private readonly js: JetStreamClient;
  private readonly deadlineMs: number;
  private managing: Promise<JetStreamManager> | undefined;

  constructor(
    private readonly nats: NatsConnection,
    options: JetStreamEventStoreOptions = {},
  ) {
    this.js = nats.jetstream({ timeout: ATTEMPT_MS });
    this.deadlineMs = options.deadlineMs ?? 15_000;
  }

  append({ subject, bytes, expectedLastSeq, appendId }: AppendRequest): Promise<number> {
    return this.retrying(async () => {
      try {
        const ack = await this.js.publish(subject, bytes, {
          msgID: appendId,
          expect: { lastSubjectSequence: expectedLastSeq },
        });
        // The repeat of an append that had succeeded; a cluster may not name its position yet.
        if (ack.seq > 0) return ack.seq;
        const own = await this.ownPosition(subject, appendId);
        if (own === undefined) throw new StoreUnavailableError('the first try of this append is still under way');
        return own;
      } catch (error) {
        if (apiCode(error) !== WRONG_LAST_SEQUENCE) throw error;
        // The newest may be our own, from a try whose acknowledgement was lost.
        const own = await this.ownPosition(subject, appendId);
        if (own !== undefined) return own;
        throw new ConflictError(`${subject} has moved on from position ${expectedLastSeq}`);
      }
    });
  }

  async *read(from: number, filter?: string): AsyncIterable<StoredCommit> {
    const last = await this.lastPosition();
    if (from > last) return;
    let expected = from;
    const consumer = await this.consumer(from, filter);
    const target = filter === undefined ? last : await this.lastMatching(consumer, last);
    if (target === undefined) return;
    const messages = await consumer.consume({ max_messages: READ_BATCH });
    try {
      for await (const message of messages) {
        if (message.seq > target) return;
        if (filter === undefined && message.seq !== expected) throw new Error(`the event log has no commit ${expected}`);
        expected = message.seq + 1;
        yield { seq: message.seq, subject: message.subject, bytes: message.data };
        if (message.seq === target) return;
      }
    } finally {
      await messages.close();
    }
  }

  async follow(from: number, handler: FollowHandler): Promise<Following> {
    const following = new LogFollower(this.nats, from, handler);
    await following.start();
    return following;
  }

  lastPosition(): Promise<number> {
    return this.retrying(async (manager) => (await manager.streams.info(EVENTS_STREAM)).state.last_seq);
  }

  private consumer(from: number, filter?: string): Promise<Consumer> {
    return this.retrying(() =>
      this.js.consumers.get(EVENTS_STREAM, {
        opt_start_seq: from,
        deliver_policy: 'by_start_sequence' as never,
        ...(filter === undefined ? {} : { filterSubjects: filter }),
      }),
    );
  }

  private async lastMatching(consumer: Consumer, last: number): Promise<number | undefined> {
    const { num_pending } = await consumer.info();
    return num_pending === 0 ? undefined : last;
  }

  /** Position of the newest commit on the subject if it is the one with this append id. */
  private async ownPosition(subject: string, appendId: string): Promise<number | undefined> {
    const manager = await this.manager();
    try {
      const newest = await manager.streams.getMessage(EVENTS_STREAM, { last_by_subj: subject });
      return newest.header.get('Nats-Msg-Id') === appendId ? newest.seq : undefined;
    } catch (error) {
      if (apiCode(error) === NO_MESSAGE_FOUND) return undefined;
      throw error;
    }
  }

  private manager(): Promise<JetStreamManager> {
    this.managing ??= this.nats.jetstreamManager({ checkAPI: false, timeout: ATTEMPT_MS });
    return this.managing;
  }

  /** Time-outs, absent responders and absent leaders pass; the same request is sent again until the deadline. */
  private async retrying<T>(attempt: (manager: JetStreamManager) => Promise<T>): Promise<T> {
    const deadline = performance.now() + this.deadlineMs;
    for (let wait = 50; ; wait = Math.min(wait * 2, 1_000)) {
      try {
        return await attempt(await this.manager());
      } catch (error) {
        if (error instanceof ConflictError) throw error;
        if (this.nats.isClosed() || performance.now() + wait > deadline) {
          throw new StoreUnavailableError('the event log did not answer in time', { cause: error });
        }
        await pause(wait);
      }
    }
  }
}

/** Follows the log over reconnects: whatever ends a consumer, the next one begins where it ended. */
class LogFollower implements Following {
  private next: number;
  private stopped = false;
  private messages: ConsumerMessages | undefined;
  private running: Promise<void> | undefined;

  constructor(
    private readonly nats: NatsConnection,
    from: number,
    private readonly handler: FollowHandler,
  ) {
    this.next = from;
  }

  async start(): Promise<void> {
    await this.open();
    this.running = this.run();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await this.messages?.close();
    await this.running;
  }

  private async open(): Promise<void> {
    const consumer = await this.nats.jetstream({ timeout: ATTEMPT_MS }).consumers.get(EVENTS_STREAM, {
      opt_start_seq: this.next,
      deliver_policy: 'by_start_sequence' as never,
    });
    this.messages = await consumer.consume({ max_messages: READ_BATCH, idle_heartbeat: 1_000 });
  }

  private async run(): Promise<void> {
    while (!this.stopped) {
      try {
        if (!this.messages) await this.open();
        for await (const message of this.messages!) this.take(message);
      } catch (error) {
        if (error instanceof FollowerFault) {
          this.stopped = true;
          this.handler.onError(error.fault);
          return;
        }
      }
      this.messages = undefined;
      if (this.nats.isClosed()) return;
      if (!this.stopped) await pause(200);
    }
  }

  private take(message: JsMsg): void {
    if (message.seq < this.next) return;
    if (message.seq > this.next) throw new FollowerFault(new Error(`the event log has no commit ${this.next}`));
    try {
      this.handler.onCommit({ seq: message.seq, subject: message.subject, bytes: message.data });
    } catch (error) {
      throw new FollowerFault(error as Error);
    }
    this.next = message.seq + 1;
  }
}

class FollowerFault extends Error {
  constructor(readonly fault: Error) {
    super(fault.message);
  }
}
