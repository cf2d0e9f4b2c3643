import type { Logger } from 'pino';
import type { Timer, TimerKind } from '#views/due-times';
import type { LiveView } from '#views/live-view';
import type { Clock } from './clock';
import type { Health } from './health';
import type { Metrics, Series } from './metrics';
import { TimerLoop } from './timer-loop';

const KINDS = {
  'rotation-scheduler': ['Rotation'],
  'deletion-scheduler': ['Deletion', 'Cleanup', 'MaterialExpiry', 'MaterialErasure', 'MultiRegion'],
} as const satisfies Record<string, readonly TimerKind[]>;

export type SchedulerName = keyof typeof KINDS;

export const isScheduler = (part: string): part is SchedulerName => Object.hasOwn(KINDS, part);

export interface SchedulerPorts {
  view: LiveView;
  clock: Clock;
  fire(timer: Timer): Promise<boolean>;
  health: Health;
  metrics: Metrics;
  log: Logger;
}

/** The timer loops of a process, one a scheduler. */
export class Schedulers {
  private readonly loops: TimerLoop[] = [];
  private readonly started: Promise<void>;
  private announceStart: () => void = () => {};
  private running = false;
  private readonly fired: ReturnType<Metrics['counter']>;

  constructor(private readonly ports: SchedulerPorts) {
    this.started = new Promise((resolve) => {
      this.announceStart = resolve;
    });
    const { metrics } = ports;
    this.fired = metrics.counter('keytrail_timers_fired_total');
    metrics.gauges('keytrail_timers_waiting', () => this.byKind((loop, kind) => loop.waiting(kind)));
    metrics.gauges('keytrail_timers_overdue', () => this.byKind((loop, kind) => loop.overdue(kind)));
  }

  add(name: SchedulerName): void {
    const { view, clock, fire, health, log } = this.ports;
    const loop = new TimerLoop(
      {
        view,
        clock,
        fire,
        onError: (error, timer) => log.error({ err: error, timer }, 'a timer could not be fired; trying again'),
        onFired: ({ kind }) => this.fired.inc({ kind }),
      },
      KINDS[name],
    );
    this.loops.push(loop);
    health.add(name, () => (this.running ? loop.problem : 'missed timers are being fired'));
    for (const kind of loop.kinds) this.fired.inc({ kind }, 0);
  }

  /** A figure of each kind of timer. */
  private *byKind(read: (loop: TimerLoop, kind: TimerKind) => number): Iterable<Series> {
    for (const loop of this.loops) for (const kind of loop.kinds) yield [{ kind }, read(loop, kind)];
  }

  /** Tries what was missed, in order, and goes on firing. */
  async start(): Promise<void> {
    await Promise.all(this.loops.map((loop) => loop.start()));
    this.running = true;
    // For moves of the clock that came while another loop had not started yet.
    this.wake();
    this.announceStart();
  }

  /** To be called when the clock has been moved. */
  wake(): void {
    if (this.running) for (const loop of this.loops) loop.wake();
  }

  /** Resolves once nothing is due at the clock's present time, not before the start. Rejects as TimerLoop does. */
  async settle(): Promise<void> {
    await this.started;
    await Promise.all(this.loops.map((loop) => loop.settle()));
  }

  async stop(): Promise<void> {
    // Whoever waits for a start that no longer comes is let go: the loops say that they have ended.
    this.announceStart();
    await Promise.all(this.loops.map((loop) => loop.stop()));
  }
}
