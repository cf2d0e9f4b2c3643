import { createHistogram } from 'node:perf_hooks';

/** What one case gave. Times and CPU are for one request, commit or whatever the case counts. */
export interface Measured {
  perSecond: number;
  p50Ms?: number;
  p99Ms?: number;
  /** CPU of the serving processes, nats-server included, in us. Absent where it was not taken. */
  cpuUs?: number;
}

/** Latencies, kept in whole microseconds. */
export class Latencies {
  private readonly histogram = createHistogram();

  add(ms: number): void {
    this.histogram.record(Math.max(1, Math.round(ms * 1000)));
  }

  get percentiles(): { p50Ms: number; p99Ms: number } {
    return { p50Ms: this.histogram.percentile(50) / 1000, p99Ms: this.histogram.percentile(99) / 1000 };
  }
}
