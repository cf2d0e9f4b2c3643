import type { HealthOutcome } from '#hsm/xks/health-poll';

/** How the proxies of external key stores were when they were last asked; says when one changes. */
export class ProxyHealth {
  private readonly unhealthy = new Map<string, string>();

  constructor(private readonly onChange: (storeId: string, problem: string | undefined) => void) {}

  readonly tell = (storeId: string, outcome: HealthOutcome): void => {
    const problem = problemOf(outcome);
    if (problem === this.unhealthy.get(storeId)) return;
    if (problem === undefined) this.unhealthy.delete(storeId);
    else this.unhealthy.set(storeId, problem);
    this.onChange(storeId, problem);
  };

  isHealthy(storeId: string): boolean {
    return !this.unhealthy.has(storeId);
  }
}

/** Of its key managers one that works is enough; health() rejects where none does. */
const problemOf = (outcome: HealthOutcome): string | undefined =>
  'error' in outcome ? outcome.error.message : undefined;
