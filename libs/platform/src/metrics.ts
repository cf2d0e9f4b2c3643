import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { OPERATION_TABLE } from '#operations/table';
import type { LoginOutcome } from './auth-callout';
import { METRIC_TABLE, type MetricDefinition, type MetricName } from './metric-table';

/** One series of a figure: its labels and its value. */
export type Series = readonly [labels: Readonly<Record<string, string>>, value: number];

interface Answered {
  counter: { inc(): void };
  latency: { observe(seconds: number): void };
}

/** Everything that GET /metrics shows: of the table of metrics, what the parts of this process have to tell. */
export class Metrics {
  readonly registry = new Registry();
  private readonly requests = this.counter('keytrail_requests_total');
  private readonly latency = this.histogram('keytrail_request_duration_seconds');
  /** By operation and outcome: looked up for each request, which the labels themselves would make slower. */
  private readonly answers = new Map<string, Map<string, Answered>>();

  /** Counts one answered request. `Unknown` where it was not found out what was asked for. */
  answered(operation: string, outcome: string, seconds: number): void {
    let outcomes = this.answers.get(operation);
    if (!outcomes) {
      outcomes = new Map();
      this.answers.set(operation, outcomes);
    }
    let answered = outcomes.get(outcome);
    if (!answered) {
      const service = OPERATION_TABLE.get(operation)?.service ?? 'unknown';
      answered = {
        counter: this.requests.labels({ service, operation, outcome }),
        latency: this.latency.labels({ service, operation }),
      };
      outcomes.set(outcome, answered);
    }
    answered.counter.inc();
    answered.latency.observe(seconds);
  }

  /** Of a process that lets NATS clients in. */
  logins(): (outcome: LoginOutcome) => void {
    const logins = this.counter('keytrail_nats_logins_total');
    for (const outcome of ['accepted', 'refused', 'crowded_out']) logins.inc({ outcome }, 0);
    return (outcome) => logins.inc({ outcome });
  }

  /** The figures of the process and of Node: `process_*`, `nodejs_*`. */
  ofProcess(): void {
    collectDefaultMetrics({ register: this.registry });
  }

  counter(name: MetricName<'counter'>): Counter {
    return new Counter({ name, ...this.definition(name) });
  }

  histogram(name: MetricName<'histogram'>): Histogram {
    return new Histogram({ name, ...this.definition(name), buckets: [...METRIC_TABLE[name].buckets] });
  }

  /** A figure that is read when the metrics are; it is left out where `read` gives undefined. */
  gauge(name: MetricName<'gauge'>, read: () => number | undefined | Promise<number | undefined>): void {
    new Gauge({
      name,
      ...this.definition(name),
      async collect() {
        const value = await read();
        if (value === undefined) this.remove();
        else this.set(value);
      },
    });
  }

  /** The same of a figure with labels. */
  gauges(name: MetricName<'gauge'>, read: () => Iterable<Series>): void {
    new Gauge({
      name,
      ...this.definition(name),
      collect() {
        this.reset();
        for (const [labels, value] of read()) this.set(labels, value);
      },
    });
  }

  /** Counts that somebody else keeps, read when the metrics are. They never go down. */
  counts(name: MetricName<'counter'>, read: () => Iterable<Series>): void {
    new Counter({
      name,
      ...this.definition(name),
      collect() {
        this.reset();
        for (const [labels, value] of read()) this.inc(labels, value);
      },
    });
  }

  private definition(name: keyof typeof METRIC_TABLE) {
    const { help, labels = [] }: MetricDefinition = METRIC_TABLE[name];
    return { help, labelNames: [...labels], registers: [this.registry] };
  }
}
