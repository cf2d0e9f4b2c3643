import { type NatsConnection, NatsError, type Subscription } from 'nats';
import { isoDate } from '#domain/dates';
import { KmsError } from '#domain/errors';
import { CLOCK_STREAM, CLOCK_SUBJECT } from '#domain/subjects';
import { API_ERROR, JetStreamApiError, storedMessage } from '#event-store/jetstream-api';
import { messageCallback } from '#event-store/message-callback';
import { retryWhileUnavailable } from '#event-store/retry';

/** The time of keys, rotations and deletions. Authentication never uses it: that always goes by the system's time. */
export interface Clock {
  /** ms since the epoch. */
  now(): number;
}

export const systemClock: Clock = { now: () => Date.now() };

const POLL_MS = 2_000;
const START_MS = 60_000;
const LOOKS = 20;
const LOOK_PAUSE_MS = 25;
/**
 * Dates are compared as text, which goes well up to the year 9999; a deadline lies up to 2,560 days (the longest
 * rotation period) after the clock.
 */
const LATEST_MS = Date.parse('9990-01-01T00:00:00.000Z');
const MOVE_TRIES = 100;

/** The clock cannot be moved like that; the message says why. */
export class ClockMoveError extends Error {
  override readonly name = 'ClockMoveError';
}

/** One move of the virtual clock, as it lies in its stream: the sum of all moves so far. */
interface ClockMove {
  offsetMs: number;
}

/**
 * The system's time plus an offset that only grows, kept in a stream so that every service moves together and a
 * restart does not move back.
 */
export class VirtualClock implements Clock {
  private moved = 0;
  private readonly listeners: (() => void)[] = [];
  private waiters: Waiter[] = [];
  private subscription: Subscription | undefined;
  private polling: NodeJS.Timeout | undefined;

  constructor(private readonly nats: NatsConnection) {}

  now(): number {
    return Date.now() + this.moved;
  }

  /** The sum of all moves so far, in ms: the same for every service, whatever its machine's own clock says. */
  get offsetMs(): number {
    return this.moved;
  }

  onMove(listener: () => void): void {
    this.listeners.push(listener);
  }

  async start(): Promise<void> {
    this.subscription = this.nats.subscribe(CLOCK_SUBJECT, {
      callback: messageCallback(
        ({ data }) => void this.lookFor(offsetIn(data)),
        () => {},
      ),
    });
    await this.nats.flush();
    // A cluster that is starting, or that has just lost a node, first elects a leader for the stream.
    this.take((await retryWhileUnavailable(this.nats, START_MS, (timeoutMs) => lastMove(this.nats, timeoutMs)))?.data);
    // A move made while the connection was down is not delivered again; so the newest one is asked for now and then.
    this.polling = setInterval(() => void this.look(), POLL_MS);
    this.polling.unref();
  }

  /**
   * Moves every service's clock forward, on top of all moves before, and returns the new time. Rejects with
   * ClockMoveError for a move backwards or past the year 9990.
   */
  async advance(ms: number): Promise<number> {
    if (!Number.isSafeInteger(ms) || ms < 0) throw new ClockMoveError('the clock can only be moved forward');
    for (let tries = 1; ; tries++) {
      const newest = await lastMove(this.nats, POLL_MS);
      this.take(newest?.data);
      const offsetMs = this.moved + ms;
      if (Date.now() + offsetMs > LATEST_MS) {
        throw new ClockMoveError(`the clock cannot be moved past ${isoDate(LATEST_MS)}`);
      }
      try {
        const move = JSON.stringify({ offsetMs } satisfies ClockMove);
        await this.nats.jetstream().publish(CLOCK_SUBJECT, move, { expect: { lastSequence: newest?.seq ?? 0 } });
        this.move(offsetMs);
        return this.now();
      } catch (error) {
        // Another move came first: this one goes on top of it, or a restart would find the smaller sum.
        if (!isOutrun(error) || tries >= MOVE_TRIES) throw error;
      }
    }
  }

  /** Resolves once the moves have come to `offsetMs`; rejects when the clock is stopped before. */
  reached(offsetMs: number): Promise<void> {
    if (this.moved >= offsetMs) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.waiters.push({ offsetMs, resolve, reject });
    });
  }

  stop(): void {
    clearInterval(this.polling);
    this.subscription?.unsubscribe();
    const waiters = this.waiters;
    this.waiters = [];
    for (const { reject } of waiters) {
      reject(new KmsError('DependencyTimeoutException', 'The service is shutting down.'));
    }
  }

  /**
   * A message is heard by everybody although the stream refuses it, when another move came first: only what the stream
   * holds counts. It may not hold it yet.
   */
  private async lookFor(offsetMs: number | undefined): Promise<void> {
    if (offsetMs === undefined) return;
    for (let looks = 1; this.moved < offsetMs && !this.nats.isClosed(); looks++) {
      await this.look();
      if (this.moved >= offsetMs || looks === LOOKS) return;
      await new Promise((resolve) => setTimeout(resolve, LOOK_PAUSE_MS));
    }
  }

  private async look(): Promise<void> {
    try {
      this.take((await lastMove(this.nats, POLL_MS))?.data);
    } catch {
      // Out of reach: the next look finds it.
    }
  }

  private take(bytes: Uint8Array | undefined): void {
    if (!bytes || bytes.length === 0) return;
    const offsetMs = offsetIn(bytes);
    if (offsetMs !== undefined) this.move(offsetMs);
  }

  private move(offsetMs: number): void {
    if (offsetMs <= this.moved) return;
    this.moved = offsetMs;
    for (const listener of this.listeners) listener();
    const waiters = this.waiters;
    this.waiters = waiters.filter((waiter) => waiter.offsetMs > offsetMs);
    for (const waiter of waiters) if (waiter.offsetMs <= offsetMs) waiter.resolve();
  }
}

interface Waiter {
  offsetMs: number;
  resolve(): void;
  reject(error: Error): void;
}

/** Undefined for what is no move, or one that no date could follow: it is passed over. */
function offsetIn(bytes: Uint8Array): number | undefined {
  try {
    const { offsetMs } = JSON.parse(Buffer.from(bytes).toString('utf8')) as Partial<ClockMove>;
    const good = offsetMs !== undefined && Number.isSafeInteger(offsetMs) && Date.now() + offsetMs <= LATEST_MS;
    return good ? offsetMs : undefined;
  } catch {
    return undefined;
  }
}

/** The newest move, from the stream's leader; undefined while there is none, or no key-manager has made the stream yet. */
async function lastMove(nats: NatsConnection, timeoutMs: number): Promise<{ data: Buffer; seq: number } | undefined> {
  try {
    const message = await storedMessage(nats, CLOCK_STREAM, { last_by_subj: CLOCK_SUBJECT }, timeoutMs);
    return message && { data: Buffer.from(message.data ?? '', 'base64'), seq: message.seq };
  } catch (error) {
    if (error instanceof JetStreamApiError && error.errCode === API_ERROR.streamNotFound) return undefined;
    throw error;
  }
}

const OUTRUN: number[] = [API_ERROR.wrongLastSequence, API_ERROR.wrongLastSequenceInProcess];
const isOutrun = (error: unknown): boolean =>
  error instanceof NatsError && OUTRUN.includes(error.api_error?.err_code ?? 0);
