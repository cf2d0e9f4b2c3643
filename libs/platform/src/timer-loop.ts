import type { Commit } from '#domain/commit';
import { eventSubject } from '#domain/subjects';
import { DueTimes, type Timer, type TimerKind, timerOf } from '#views/due-times';
import type { LiveView } from '#views/live-view';
import type { Clock } from './clock';

/** Longest sleep: Node's timers hold 24.8 days, and the system's clock may be set meanwhile. */
const MAX_SLEEP_MS = 60_000;
const RETRY_MS = 1_000;
const STILL_DUE_MS = 100;
const BATCH = 100;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export interface TimerLoopPorts {
  view: LiveView;
  clock: Clock;
  /** Has the key-manager do what came due. Harmless to repeat: it decides again on state and deadline. */
  fire(timer: Timer): Promise<void>;
  onError(error: unknown, timer: Timer): void;
  onFired(timer: Timer): void;
}

/** Fires timers in the order of their deadlines, the missed ones at recovery. Any number of them may run at once. */
export class TimerLoop {
  private readonly due: DueTimes;
  private sleeping: NodeJS.Timeout | undefined;
  private running: Promise<void> | undefined;
  private again = false;
  private stopped = false;
  private failing = false;

  constructor(
    private readonly ports: TimerLoopPorts,
    kinds: readonly TimerKind[],
  ) {
    this.due = new DueTimes(new Set(kinds));
  }

  /** Builds the timers from the view, which must be live, and resolves once what was missed has fired. */
  async start(): Promise<void> {
    const { projection } = this.ports.view;
    for (const { ref } of projection.allKeys()) this.due.refresh(projection, eventSubject(ref));
    this.ports.view.onCommit((commit) => this.note(commit));
    await this.settle();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.sleeping);
    await this.running;
  }

  /** To be called when the clock has been moved. */
  wake(): void {
    if (this.stopped) return;
    if (this.running) this.again = true;
    else this.running = this.work().finally(() => this.rest());
  }

  /** Resolves once nothing is due at the clock's present time. */
  async settle(): Promise<void> {
    while (!this.stopped && (this.running || this.due.due(this.now(), 1).length > 0)) {
      this.wake();
      await this.running;
      if (this.failing) await pause(RETRY_MS);
    }
    if (!this.running) this.rest();
  }

  get problem(): string | undefined {
    return this.failing ? 'a timer could not be fired' : undefined;
  }

  get pending(): number {
    return this.due.size;
  }

  get overdue(): number {
    return this.due.due(this.now(), 1_000).length;
  }

  private now(): string {
    return new Date(this.ports.clock.now()).toISOString();
  }

  private note(commit: Commit): void {
    const { projection } = this.ports.view;
    if (commit.aggregate === 'key') {
      this.due.refresh(projection, eventSubject(commit));
    } else if (commit.aggregate === 'alias') {
      const alias = projection.alias(commit.region, commit.account, commit.id)?.state;
      if (alias?.aliasState === 'Active') {
        this.due.refresh(projection, eventSubject({ ...commit, aggregate: 'key', id: alias.targetKeyId }));
      }
    }
    if (!this.running) this.rest();
  }

  private async work(): Promise<void> {
    do {
      this.again = false;
      for (let timers = this.due.due(this.now(), BATCH); timers.length > 0; timers = this.due.due(this.now(), BATCH)) {
        for (const timer of timers) {
          if (this.stopped) return;
          try {
            await this.ports.fire(timer);
            this.ports.onFired(timer);
            this.failing = false;
          } catch (error) {
            this.failing = true;
            this.ports.onError(error, timer);
            return;
          }
          const subject = eventSubject(timer.ref);
          this.due.refresh(this.ports.view.projection, subject);
          // Still the same timer: whoever decided does not know yet that it is due. Ask again, but not at once.
          if (timerOf(this.ports.view.projection, subject)?.deadline === timer.deadline) await pause(STILL_DUE_MS);
        }
      }
    } while (this.again);
  }

  /** Sleeps until the next deadline; a commit or a move of the clock wakes it earlier. */
  private rest(): void {
    this.running = undefined;
    clearTimeout(this.sleeping);
    if (this.stopped) return;
    const next = this.due.first();
    if (!next) return;
    const wait = this.failing ? RETRY_MS : Math.max(0, Date.parse(next.deadline) - this.ports.clock.now());
    this.sleeping = setTimeout(() => this.wake(), Math.min(wait, MAX_SLEEP_MS));
  }
}
