import type { Commit } from '#domain/commit';
import { isoDate } from '#domain/dates';
import { KmsError } from '#domain/errors';
import { eventSubject } from '#domain/subjects';
import { DueTimes, type Timer, type TimerKind } from '#views/due-times';
import type { LiveView } from '#views/live-view';
import type { Clock } from './clock';

/** Longest sleep: Node's timers hold 24.8 days, and the system's clock may be set meanwhile. */
const MAX_SLEEP_MS = 60_000;
const RETRY_MS = 1_000;
const STILL_DUE_MS = 100;
/** Rounds in which something failed after which nobody is kept waiting for it any more. */
const SETTLE_FAILURES = 10;
/** Overdue timers that are counted. */
const MAX_OVERDUE = 1_000;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export interface TimerLoopPorts {
  view: LiveView;
  clock: Clock;
  /** Has the key-manager do what came due: whether that changed anything. Harmless to repeat, as it decides again. */
  fire(timer: Timer): Promise<boolean>;
  onError(error: unknown, timer: Timer): void;
  /** Told of each timer that changed something. */
  onFired(timer: Timer): void;
}

/**
 * Fires timers in the order of their deadlines, the missed ones at recovery. Any number of loops may run at once. A
 * timer that fails is tried again every second, behind all others, and keeps none of them waiting.
 */
export class TimerLoop {
  private readonly due: DueTimes;
  /** Keys whose timers were tried in vain: it failed, or whoever decides did not know yet that it is due. */
  private readonly deferred = new Map<string, 'failed' | 'early'>();
  /** What timers need is out of reach: the rest of the round is left out. */
  private outOfReach = false;
  private cut = false;
  /** When to try again, by performance.now(). */
  private retryAt = 0;
  private sleeping: NodeJS.Timeout | undefined;
  private running: Promise<void> | undefined;
  private stopped = false;

  constructor(
    private readonly ports: TimerLoopPorts,
    readonly kinds: readonly TimerKind[],
  ) {
    this.due = new DueTimes(new Set(kinds));
  }

  /** Builds the timers from the view, which must be live; resolves once each that was missed has been tried once. */
  async start(): Promise<void> {
    this.due.build(this.ports.view.projection);
    this.ports.view.onCommit((commit) => this.note(commit));
    this.wake();
    await this.running;
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.sleeping);
    await this.running;
  }

  /** To be called when the clock has been moved. */
  wake(): void {
    if (!this.stopped) this.running ??= this.round().finally(() => this.rest());
  }

  /** Resolves once nothing is due at the clock's present time; rejects with KmsError if something fails on and on. */
  async settle(): Promise<void> {
    let failures = 0;
    while (this.running || this.due.due(this.now(), 1).length > 0) {
      if (this.stopped) throw new KmsError('DependencyTimeoutException', 'The service is shutting down.');
      this.wake();
      await this.running;
      if (this.problem && ++failures >= SETTLE_FAILURES) throw new KmsError('KMSInternalException', this.problem);
      if (this.deferred.size > 0 || this.outOfReach) await pause(Math.max(0, this.retryAt - performance.now()));
    }
  }

  get problem(): string | undefined {
    if (this.outOfReach) return 'what timers need is out of reach';
    const failed = [...this.deferred.values()].filter((why) => why === 'failed').length;
    return failed === 0 ? undefined : `${failed} ${failed === 1 ? 'timer' : 'timers'} could not be fired`;
  }

  /** How many timers there are of the kind, due or not. */
  waiting(kind: TimerKind): number {
    return this.due.countOf(kind);
  }

  /** How many of them are due, counted up to a bound. */
  overdue(kind: TimerKind): number {
    return this.due.due(this.now(), MAX_OVERDUE).filter((timer) => timer.kind === kind).length;
  }

  private now(): string {
    return isoDate(this.ports.clock.now());
  }

  private note(commit: Commit): void {
    for (const key of this.due.note(this.ports.view.projection, commit)) this.deferred.delete(key);
    if (!this.running) this.rest();
  }

  private async round(): Promise<void> {
    const again = performance.now() >= this.retryAt ? [...this.deferred.keys()] : [];
    this.cut = false;
    await this.fireDue();
    for (const key of again) {
      const timer = this.due.of(key);
      if (timer && !this.ended) await this.fire(timer);
    }
    // One that went well at last may leave the same key's next one due.
    if (again.length > 0) await this.fireDue();
    this.outOfReach = this.cut;
    if (this.retryAt <= performance.now()) this.retryAt = performance.now() + (this.problem ? RETRY_MS : STILL_DUE_MS);
  }

  private async fireDue(): Promise<void> {
    // One by one: firing a timer may bring the same key's next one, and that may be due before another key's.
    while (!this.ended) {
      const next = this.due.first(this.deferred);
      if (!next || next.deadline > this.now()) return;
      await this.fire(next);
    }
  }

  private async fire(timer: Timer): Promise<void> {
    const key = eventSubject(timer.ref);
    try {
      if (await this.ports.fire(timer)) this.ports.onFired(timer);
      this.due.refresh(this.ports.view.projection, key);
      const next = this.due.of(key);
      if (next?.kind === timer.kind && next.deadline === timer.deadline) this.deferred.set(key, 'early');
      else this.deferred.delete(key);
    } catch (error) {
      // Behind the others that failed, so that what always times out does not keep those waiting either.
      this.deferred.delete(key);
      this.deferred.set(key, 'failed');
      this.cut = error instanceof KmsError && error.code === 'DependencyTimeoutException';
      this.ports.onError(error, timer);
    }
  }

  /** Whether the round is over before its end. */
  private get ended(): boolean {
    return this.stopped || this.cut;
  }

  /** Sleeps until the next deadline, or the next try; a commit or a move of the clock wakes it earlier. */
  private rest(): void {
    this.running = undefined;
    clearTimeout(this.sleeping);
    if (this.stopped) return;
    const waits = [MAX_SLEEP_MS];
    const next = this.outOfReach ? undefined : this.due.first(this.deferred);
    if (next) waits.push(Date.parse(next.deadline) - this.ports.clock.now());
    if (this.outOfReach || this.deferred.size > 0) waits.push(this.retryAt - performance.now());
    this.sleeping = setTimeout(() => this.wake(), Math.max(0, Math.min(...waits)));
  }
}
