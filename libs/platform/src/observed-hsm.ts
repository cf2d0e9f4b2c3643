import {
  type HsmProvider,
  HsmUnavailableError,
  type RootKeyRef,
  type Wrapped,
  WrappedMaterialError,
} from '#hsm/hsm-provider';
import type { Metrics } from './metrics';
import { traced } from './tracing';

export const HSM_FAILURES = ['unavailable', 'timeout', 'altered', 'other'] as const;
export type HsmFailure = (typeof HSM_FAILURES)[number];

/** How long an answer of a check is good for: whoever reads the metrics more often does not burden the provider. */
const CHECK_AGE_MS = 10_000;
/** A provider that does not answer within is down. */
const CHECK_WAIT_MS = 2_000;

const OPERATIONS = ['wrap', 'unwrap', 'random', 'check'] as const;
type HsmOperation = (typeof OPERATIONS)[number];

/** A provider with every call counted, timed and traced. Neither material nor AAD goes into any of it. */
export class ObservedHsmProvider implements HsmProvider {
  readonly name: string;
  private readonly duration: ReturnType<Metrics['histogram']>;
  private readonly errors: ReturnType<Metrics['counter']>;
  private up: { asked: number; answer: Promise<number> } | undefined;

  constructor(
    private readonly provider: HsmProvider,
    metrics: Metrics,
    private readonly limits = { ageMs: CHECK_AGE_MS, waitMs: CHECK_WAIT_MS },
  ) {
    this.name = provider.name;
    this.duration = metrics.histogram('keytrail_hsm_call_duration_seconds');
    this.errors = metrics.counter('keytrail_hsm_errors_total');
    for (const operation of OPERATIONS) {
      for (const reason of HSM_FAILURES) this.errors.inc({ provider: this.name, operation, reason }, 0);
    }
    metrics.gauge('keytrail_hsm_up', () => this.isUp());
  }

  currentEpoch(): Promise<number> {
    return this.provider.currentEpoch();
  }

  wrap(material: Uint8Array, aad: Uint8Array): Promise<Wrapped> {
    return this.call('wrap', () => this.provider.wrap(material, aad));
  }

  unwrap(wrapped: Wrapped, aad: Uint8Array): Promise<Buffer> {
    return this.call('unwrap', () => this.provider.unwrap(wrapped, aad));
  }

  random(length: number): Promise<Buffer> {
    return this.call('random', () => this.provider.random(length));
  }

  check(key?: RootKeyRef): Promise<void> {
    return this.call('check', () => this.provider.check(key));
  }

  makeEpoch(epoch: number): Promise<RootKeyRef> {
    return this.provider.makeEpoch(epoch);
  }

  use(key: RootKeyRef): void {
    this.provider.use(key);
  }

  destroyEpoch(epoch: number): Promise<void> {
    return this.provider.destroyEpoch(epoch);
  }

  close(): Promise<void> {
    return this.provider.close();
  }

  private call<T>(operation: HsmOperation, run: () => Promise<T>): Promise<T> {
    return traced(`hsm ${operation}`, { 'keytrail.hsm.provider': this.name }, async () => {
      const started = performance.now();
      try {
        return await run();
      } catch (error) {
        this.failed(operation, failureOf(error));
        throw error;
      } finally {
        this.duration.observe({ provider: this.name, operation }, (performance.now() - started) / 1000);
      }
    });
  }

  private failed(operation: HsmOperation, reason: HsmFailure): void {
    this.errors.inc({ provider: this.name, operation, reason });
  }

  /** A check of the provider, made when it is asked for. */
  private isUp(): Promise<number> {
    const now = performance.now();
    if (!this.up || now - this.up.asked > this.limits.ageMs) this.up = { asked: now, answer: this.ask() };
    return this.up.answer;
  }

  private ask(): Promise<number> {
    return new Promise((answer) => {
      const timer = setTimeout(() => {
        this.failed('check', 'timeout');
        answer(0);
      }, this.limits.waitMs);
      timer.unref();
      this.check()
        .then(
          () => answer(1),
          () => answer(0),
        )
        .finally(() => clearTimeout(timer));
    });
  }
}

function failureOf(error: unknown): HsmFailure {
  if (error instanceof WrappedMaterialError) return 'altered';
  if (error instanceof Error && /time(d)?[ _]?out/i.test(`${error.name} ${(error as NodeJS.ErrnoException).code}`))
    return 'timeout';
  return error instanceof HsmUnavailableError ? 'unavailable' : 'other';
}
