import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { LoginOutcome } from './auth-callout';

const LATENCY_BUCKETS_SECONDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5];

/** Everything that GET /metrics shows. Labels hold operation names and error codes, never anything of a request. */
export class Metrics {
  readonly registry = new Registry();
  readonly requests = new Counter({
    name: 'keytrail_requests_total',
    help: 'Requests by operation and outcome (OK or an error code).',
    labelNames: ['operation', 'outcome'] as const,
    registers: [this.registry],
  });
  readonly latency = new Histogram({
    name: 'keytrail_request_seconds',
    help: 'Time from a whole request to its reply.',
    labelNames: ['operation'] as const,
    buckets: LATENCY_BUCKETS_SECONDS,
    registers: [this.registry],
  });
  private readonly logins = new Counter({
    name: 'keytrail_nats_logins_total',
    help: 'Logins of NATS clients, by outcome.',
    labelNames: ['outcome'] as const,
    registers: [this.registry],
  });
  private readonly timersFired = new Counter({
    name: 'keytrail_timers_fired_total',
    help: 'Timers that changed something, by kind.',
    labelNames: ['kind'] as const,
    registers: [this.registry],
  });
  private readonly counters = new Map<string, { inc(): void }>();

  /** Counts one answered request. */
  answered(operation: string, outcome: string, seconds: number): void {
    const key = `${operation} ${outcome}`;
    let counter = this.counters.get(key);
    if (!counter) {
      counter = this.requests.labels(operation, outcome);
      this.counters.set(key, counter);
    }
    counter.inc();
    this.latency.observe({ operation }, seconds);
  }

  loggedIn(outcome: LoginOutcome): void {
    this.logins.inc({ outcome });
  }

  timerFired(kind: string): void {
    this.timersFired.inc({ kind });
  }

  /** A figure that is read when the metrics are. */
  gauge(name: string, help: string, read: () => number | Promise<number>): void {
    new Gauge({
      name,
      help,
      registers: [this.registry],
      async collect() {
        this.set(await read());
      },
    });
  }
}
