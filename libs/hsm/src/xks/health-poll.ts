import type { ProxyHealth } from '#xks/replies';
import { StoreError } from '../key-store/store-connection';
import type { XksProxyConnection } from './xks-connection';

/** What a proxy says of itself, or why it says nothing. */
export type HealthOutcome = { health: ProxyHealth } | { error: StoreError };

/**
 * Asks for health now, and again `everyMs` after each answer, which `tell` is told. Gives what ends it; then nothing more is told. It keeps
 * no process alive.
 */
export function pollHealth(
  connection: Pick<XksProxyConnection, 'health'>,
  everyMs: number,
  tell: (outcome: HealthOutcome) => void,
): () => void {
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  const ask = async (): Promise<void> => {
    const outcome = await connection.health('KmsHealthCheck').then(
      (health): HealthOutcome => ({ health }),
      (error: unknown): HealthOutcome => {
        if (error instanceof StoreError) return { error };
        return { error: new StoreError('internal', 'health could not be asked for', { cause: error }) };
      },
    );
    if (stopped) return;
    timer = setTimeout(() => void ask(), everyMs).unref();
    tell(outcome);
  };
  void ask();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}
