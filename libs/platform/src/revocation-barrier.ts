import type { NatsConnection } from 'nats';
import { KmsError } from '#domain/errors';
import { INTERNAL } from '#domain/subjects';
import { watchConnection } from '#event-store/connection-watch';
import { messageCallback } from '#event-store/message-callback';
import { elapsedTime } from './elapsed-time';

/** What a process that serves under a lease says of itself: with each commit it applies, and before each lease it takes. */
export interface Beat {
  processId: string;
  /** What it has applied of the log, and nothing that it still does rests on an older state. */
  position: number;
  /** How long it may go on serving from now at most, if this is the last that it hears, in ms. */
  leaseMs: number;
}

interface Seen extends Omit<Beat, 'processId'> {
  at: number;
}

/** Tells the key-managers how far a process has applied the log. */
export const beat = (nats: NatsConnection, own: Beat): void => {
  if (!nats.isClosed() && !nats.isDraining()) nats.publish(INTERNAL.servingBeat, JSON.stringify(own));
};

/** undefined for what is no beat, which counts as silence. */
function beatIn(bytes: Uint8Array): Beat | undefined {
  try {
    const { processId, position, leaseMs } = JSON.parse(Buffer.from(bytes).toString('utf8')) as Partial<Beat>;
    const good = typeof processId === 'string' && Number.isSafeInteger(position) && Number.isFinite(leaseMs);
    return good ? { processId, position: position!, leaseMs: leaseMs! } : undefined;
  } catch {
    return undefined;
  }
}

/** A barrier that was itself not running, or not connected, for a part of a lease has missed beats. */
const TICKS_PER_LEASE = 4;

/**
 * Lets a revoking write return only once no process can still act on the state before it: each one known has
 * said that it applied the write, or the longest lease has gone by since. Knows nothing right after its start, after a lost
 * connection, and after a stall of this process, so then it waits the lease out.
 */
export class RevocationBarrier {
  private readonly processes = new Map<string, Seen>();
  private waiters = new Set<() => void>();
  private readonly alone: boolean;
  private knownSince: number;
  private lastTick: number;
  private stopped = false;
  private readonly ticking: NodeJS.Timeout;
  private readonly unwatch: () => void = () => {};

  constructor(
    /** The longest lease that a process not heard of yet may have, in ms. */
    private readonly leaseMs: number,
    /** By which the other processes are heard; without it there are none. */
    nats?: NatsConnection,
    /**
     * In ms, by which it knows that this process was held up: while its machine slept, too. What it waits for goes by the
     * monotonic clock, since the leases of others do not end because the wall clock here was set.
     */
    private readonly elapsed: () => number = elapsedTime(),
  ) {
    this.lastTick = elapsed();
    this.ticking = setInterval(() => this.tick(), leaseMs / TICKS_PER_LEASE);
    this.ticking.unref();
    this.alone = !nats;
    this.knownSince = nats ? performance.now() : Number.NEGATIVE_INFINITY;
    if (!nats) return;
    nats.subscribe(INTERNAL.servingBeat, {
      callback: messageCallback(
        ({ data }) => {
          const heard = beatIn(data);
          if (heard) this.hear(heard);
        },
        () => {},
      ),
    });
    const forget = (): void => this.beginAnew();
    this.unwatch = watchConnection(nats, { reconnected: forget, closed: forget });
  }

  /** Whoever still waits is told to try again. */
  stop(): void {
    this.stopped = true;
    clearInterval(this.ticking);
    this.unwatch();
    for (const wake of [...this.waiters]) wake();
  }

  /** Resolves once every process has applied `position`, or can hold no lease from before this call. */
  async applied(position: number): Promise<void> {
    this.tick();
    const started = performance.now();
    while (!this.allApplied(position)) {
      const left = started + this.longestLease() - performance.now();
      if (left <= 0) return;
      await this.nextBeat(left);
      if (this.stopped) throw new KmsError('DependencyTimeoutException', 'The service is shutting down.');
    }
  }

  /** For this process's own beats, which go by no connection. */
  hear({ processId, position, leaseMs }: Beat): void {
    const before = this.processes.get(processId)?.position ?? 0;
    this.processes.set(processId, { position: Math.max(before, position), leaseMs, at: performance.now() });
    for (const wake of [...this.waiters]) wake();
  }

  private tick(): void {
    const now = this.elapsed();
    if (now - this.lastTick > this.leaseMs) this.beginAnew();
    this.lastTick = now;
  }

  private beginAnew(): void {
    if (!this.alone) this.knownSince = performance.now();
  }

  private longestLease(): number {
    let longest = this.leaseMs;
    for (const { leaseMs } of this.processes.values()) longest = Math.max(longest, leaseMs);
    return longest;
  }

  private nextBeat(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.waiters.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, timeoutMs);
      this.waiters.add(wake);
    });
  }

  private allApplied(position: number): boolean {
    const now = performance.now();
    // There may be processes that this key-manager has not heard of yet.
    if (now - this.knownSince < this.leaseMs) return false;
    for (const [processId, seen] of this.processes) {
      // Every lease begins with a beat, so after two of them in silence it holds none.
      if (now - seen.at > 2 * seen.leaseMs) this.processes.delete(processId);
      else if (seen.position < position) return false;
    }
    return true;
  }
}
