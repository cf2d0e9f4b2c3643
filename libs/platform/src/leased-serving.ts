import type { NatsConnection } from 'nats';
import type { LogEnd } from '#event-store/event-store';
import type { LiveView } from '#views/live-view';
import type { Health } from './health';
import { beat, RevocationBarrier } from './revocation-barrier';
import { ServingLease } from './serving-lease';

export interface LeasedServingPorts {
  /** By which the key-managers tell this process from others. */
  processId: string;
  /** In ms; also the longest that a process not heard of yet is taken to have. */
  leaseMs: number;
  log: { end(): Promise<LogEnd> };
  view: LiveView;
  /** By which processes hear of each other; without it this one waits for itself alone. */
  nats: NatsConnection | undefined;
}

/**
 * A process's two sides of revocation: what it serves it serves under a lease, of which it tells the key-managers; and if
 * it is a key-manager itself, its revoking writes wait at a barrier for whoever serves, itself among them.
 */
export class LeasedServing {
  readonly lease: ServingLease;
  /** Of a key-manager only. */
  readonly barrier: RevocationBarrier | undefined;

  constructor({ processId, leaseMs, log, view, nats }: LeasedServingPorts, isKeyManager: boolean) {
    this.barrier = isKeyManager ? new RevocationBarrier(leaseMs, nats) : undefined;
    this.lease = new ServingLease(log, view, leaseMs, (position) => {
      const own = { processId, position, leaseMs };
      this.barrier?.hear(own);
      if (nats) beat(nats, own);
    });
  }

  /**
   * Resolves once the lease is held; from then on the process is unhealthy without it. For a process that serves
   * operations: no other needs a lease, nor may tell of one.
   */
  async start(health: Health): Promise<void> {
    await this.lease.start();
    health.add('lease', () => (this.lease.held ? undefined : 'has lost touch with the event log'));
  }

  /** The lease runs out by itself. A revoking write that still waits is told to try again. */
  stop(): void {
    this.lease.stop();
    this.barrier?.stop();
  }
}
