import { KmsError } from '#domain/errors';
import type { LiveView } from '#views/live-view';

/**
 * A crypto-worker's right to serve. It is renewed by hearing from the log's leader and having applied all it holds, and
 * runs out `leaseMs` after the last such question was *sent*: a worker cut off from the log fails closed.
 */
export class Lease {
  private validUntil = Number.NEGATIVE_INFINITY;
  private timer: NodeJS.Timeout | undefined;
  private stopped = false;

  constructor(
    private readonly log: { lastPosition(): Promise<number> },
    private readonly view: LiveView,
    readonly leaseMs: number,
    /** Makes the holder known to whoever must wait for it; sent before the log's leader is asked, so it arrives first. */
    private readonly announce: () => void = () => {},
  ) {}

  /** Throws while the log has been out of reach for longer than the lease, or no longer fits. */
  assertHeld(): void {
    if (performance.now() > this.validUntil || this.view.failed) {
      throw new KmsError('KMSInternalException', 'The crypto-worker has lost touch with the event log; try again.');
    }
  }

  get held(): boolean {
    return performance.now() <= this.validUntil && !this.view.failed;
  }

  async start(): Promise<void> {
    await this.renew();
    this.schedule();
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
  }

  private schedule(): void {
    if (this.stopped) return;
    this.timer = setTimeout(() => {
      this.renew()
        .catch(() => {
          // Not renewed: the lease runs out by itself, and the next round tries again.
        })
        .finally(() => this.schedule());
    }, this.leaseMs / 4);
  }

  private async renew(): Promise<void> {
    // Known before it holds: whoever appends after the leader's answer below waits for this holder.
    this.announce();
    const asked = performance.now();
    const position = await this.log.lastPosition();
    await this.view.waitFor(position, this.leaseMs);
    this.validUntil = asked + this.leaseMs;
  }
}
