import type { NatsConnection } from 'nats';
import { INTERNAL } from '#domain/subjects';
import { watchConnection } from '#event-store/connection-watch';

interface Beat {
  workerId: string;
  position: number;
}

interface Seen {
  position: number;
  at: number;
}

/** A worker not heard of for this many leases can hold no lease any more. */
const FORGET_LEASES = 3;

/** Has a crypto-worker tell the key-managers how far it has applied the log. */
export const beat = (nats: NatsConnection, workerId: string, position: number): void => {
  if (!nats.isClosed()) nats.publish(INTERNAL.workerBeat, JSON.stringify({ workerId, position } satisfies Beat));
};

/**
 * Lets a revoking write return only once no crypto-worker can still act on the state before it: each one known has
 * said that it applied the write, or a whole lease has gone by since.
 */
export class WorkerBarrier {
  private readonly workers = new Map<string, Seen>();
  private waiters: (() => void)[] = [];
  /** Since when no beat can have been missed. */
  private listeningSince = performance.now();

  constructor(
    nats: NatsConnection,
    private readonly leaseMs: number,
  ) {
    // Beats of a lost connection are lost too: there may be workers that are not known, or were forgotten meanwhile.
    watchConnection(nats, {
      reconnected: () => {
        this.listeningSince = performance.now();
      },
      closed: () => {},
    });
    nats.subscribe(INTERNAL.workerBeat, {
      callback: (error, message) => {
        if (error) return;
        const { workerId, position } = message.json<Beat>();
        const before = this.workers.get(workerId)?.position ?? 0;
        this.workers.set(workerId, { position: Math.max(before, position), at: performance.now() });
        const waiters = this.waiters;
        this.waiters = [];
        for (const wake of waiters) wake();
      },
    });
  }

  async applied(position: number): Promise<void> {
    const deadline = performance.now() + this.leaseMs;
    while (!this.allApplied(position)) {
      const left = deadline - performance.now();
      if (left <= 0) return;
      await this.nextBeat(left);
    }
  }

  private nextBeat(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.waiters.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  private allApplied(position: number): boolean {
    const now = performance.now();
    // Each live worker beats several times a lease, so those that have not been heard of yet will be.
    if (now - this.listeningSince < this.leaseMs) return false;
    for (const [workerId, seen] of this.workers) {
      if (now - seen.at > FORGET_LEASES * this.leaseMs) this.workers.delete(workerId);
      else if (seen.position < position) return false;
    }
    return true;
  }
}
