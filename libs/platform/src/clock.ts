import type { NatsConnection, Subscription } from 'nats';
import { CLOCK_STREAM, CLOCK_SUBJECT } from '#domain/subjects';
import { API_ERROR, JetStreamApiError, storedMessage } from '#event-store/jetstream-api';
import { retryWhileUnavailable } from '#event-store/retry';

/** The time of keys, rotations and deletions. Authentication never uses it: that always goes by the system's time. */
export interface Clock {
  /** ms since the epoch. */
  now(): number;
}

export const systemClock: Clock = { now: () => Date.now() };

const POLL_MS = 2_000;
const START_MS = 60_000;

/** One move of the virtual clock, as it lies in its stream: the sum of all moves so far. */
interface ClockMove {
  offsetMs: number;
}

/**
 * The system's time plus an offset that only grows, kept in a stream so that every service moves together and a
 * restart does not move back.
 */
export class VirtualClock implements Clock {
  private offsetMs = 0;
  private readonly listeners: (() => void)[] = [];
  private subscription: Subscription | undefined;
  private polling: NodeJS.Timeout | undefined;

  constructor(private readonly nats: NatsConnection) {}

  now(): number {
    return Date.now() + this.offsetMs;
  }

  onMove(listener: () => void): void {
    this.listeners.push(listener);
  }

  async start(): Promise<void> {
    this.subscription = this.nats.subscribe(CLOCK_SUBJECT, {
      callback: (error, message) => {
        if (!error) this.take(message.data);
      },
    });
    await this.nats.flush();
    // A cluster that is starting, or that has just lost a node, first elects a leader for the stream.
    this.take(await retryWhileUnavailable(this.nats, START_MS, (timeoutMs) => lastMove(this.nats, timeoutMs)));
    // A move made while the connection was down is not delivered again; so the newest one is asked for now and then.
    this.polling = setInterval(() => {
      lastMove(this.nats, POLL_MS).then(
        (move) => this.take(move),
        () => {},
      );
    }, POLL_MS);
    this.polling.unref();
  }

  /** Moves every service's clock forward and returns the new time. Never backwards. */
  async advance(ms: number): Promise<number> {
    if (!Number.isSafeInteger(ms) || ms < 0) throw new Error('the clock can only be moved forward');
    const offsetMs = this.offsetMs + ms;
    const js = this.nats.jetstream();
    await js.publish(CLOCK_SUBJECT, JSON.stringify({ offsetMs } satisfies ClockMove));
    this.move(offsetMs);
    return this.now();
  }

  stop(): void {
    clearInterval(this.polling);
    this.subscription?.unsubscribe();
  }

  private take(bytes: Uint8Array | undefined): void {
    if (!bytes || bytes.length === 0) return;
    const { offsetMs } = JSON.parse(Buffer.from(bytes).toString('utf8')) as ClockMove;
    if (Number.isSafeInteger(offsetMs)) this.move(offsetMs);
  }

  private move(offsetMs: number): void {
    if (offsetMs <= this.offsetMs) return;
    this.offsetMs = offsetMs;
    for (const listener of this.listeners) listener();
  }
}

/** The newest move, from the stream's leader; undefined while there is none, or no key-manager has made the stream yet. */
async function lastMove(nats: NatsConnection, timeoutMs: number): Promise<Uint8Array | undefined> {
  try {
    const message = await storedMessage(nats, CLOCK_STREAM, { last_by_subj: CLOCK_SUBJECT }, timeoutMs);
    return message && Buffer.from(message.data ?? '', 'base64');
  } catch (error) {
    if (error instanceof JetStreamApiError && error.errCode === API_ERROR.streamNotFound) return undefined;
    throw error;
  }
}
