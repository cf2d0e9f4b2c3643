import { KmsError } from '#domain/errors';
import type { LogEnd } from '#event-store/event-store';
import type { Serving, Tenure } from '#operations/operation';
import type { LiveView } from '#views/live-view';
import { elapsedTime } from './elapsed-time';

const RENEWALS_PER_LEASE = 4;

/**
 * A process's right to complete operations, of either plane. It is renewed by hearing from the log's leader and having
 * applied all it holds, and runs out `leaseMs` after the last such question was *sent*, or after the leader was last known
 * to have a majority behind it: a process cut off from the log fails closed, and so does one beside a leader that is cut off.
 */
export class ServingLease implements Serving {
  private validUntil = Number.NEGATIVE_INFINITY;
  private timer: NodeJS.Timeout | undefined;
  private stopped = false;
  /** Oldest first. */
  private readonly tenures = new Set<OpenTenure>();
  private told = -1;
  private doubtedAt: number | undefined;

  constructor(
    private readonly log: { end(): Promise<LogEnd> },
    private readonly view: LiveView,
    readonly leaseMs: number,
    /**
     * Makes known, to whoever must wait for this process, up to where nothing it still does rests on an older state. Sent
     * before the log's leader is asked as well, so whoever appends after the leader's answer knows of this process.
     */
    private readonly announce: (settled: number) => void = () => {},
    /** In ms; a lease must end in the sleep of its machine too. */
    private readonly now: () => number = elapsedTime(),
  ) {}

  assertHeld(): void {
    if (this.held) return;
    throw new KmsError('KMSInternalException', 'The service has lost touch with the event log; try again.');
  }

  get held(): boolean {
    return this.now() <= this.validUntil && !this.view.failed;
  }

  begin(): Tenure {
    this.assertHeld();
    const { validUntil, now } = this;
    const open: OpenTenure = { position: this.view.position };
    this.tenures.add(open);
    return {
      assertNotOver() {
        if (now() <= validUntil) return;
        throw new KmsError('DependencyTimeoutException', 'The change could not be made in time; try again.');
      },
      end: () => {
        if (this.tenures.delete(open)) this.announceProgress();
      },
    };
  }

  /** Resolves once the lease is held. Without it nothing is announced: nobody waits for a process that does not serve. */
  async start(): Promise<void> {
    this.view.onCommit(() => this.announceProgress());
    await this.renew();
    while (!this.held && !this.stopped) {
      await new Promise((resume) => setTimeout(resume, this.leaseMs / RENEWALS_PER_LEASE));
      await this.renew();
    }
    this.schedule();
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
  }

  /** The position up to which everything is applied here, and which everything still open has seen. */
  private get settled(): number {
    for (const { position } of this.tenures) return position;
    return this.view.position;
  }

  private announceProgress(): void {
    if (this.settled > this.told) this.tell();
  }

  private tell(): void {
    this.told = this.settled;
    this.announce(this.told);
  }

  private schedule(): void {
    if (this.stopped) return;
    this.timer = setTimeout(() => {
      this.renew()
        .catch(() => {
          // Not renewed: the lease runs out by itself, and the next round tries again.
        })
        .finally(() => this.schedule());
    }, this.leaseMs / RENEWALS_PER_LEASE);
  }

  private async renew(): Promise<void> {
    // Known before it holds: whoever appends after the leader's answer below waits for this holder.
    this.tell();
    const asked = this.now();
    const { position, majorityAgeMs } = await this.log.end();
    await this.view.waitFor(position, this.leaseMs);
    const known = asked - majorityAgeMs;
    if (!this.held && majorityAgeMs > 0) {
      // The leader itself may have been frozen, and neither know yet that another took its place nor that what it reads now
      // was sent long ago: only what it hears from here on proves it.
      this.doubtedAt ??= this.now();
      if (known < this.doubtedAt) return;
    }
    this.doubtedAt = undefined;
    this.validUntil = known + this.leaseMs;
  }
}

interface OpenTenure {
  /** What the view had applied when it began. */
  position: number;
}
