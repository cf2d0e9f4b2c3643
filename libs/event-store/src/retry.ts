import type { NatsConnection } from 'nats';
import { StoreUnavailableError } from './event-store';

const FIRST_PAUSE_MS = 25;
const LONGEST_PAUSE_MS = 1000;
const LONGEST_ATTEMPT_MS = 2000;

/**
 * Repeats `attempt` while it rejects with StoreUnavailableError, with doubling pauses, for at most `limitMs`; then rejects
 * with the last StoreUnavailableError. `attempt` gets the milliseconds that it may take. A closed connection never
 * comes back, so it ends the retries at once.
 */
export async function retryWhileUnavailable<T>(
  nc: NatsConnection,
  limitMs: number,
  attempt: (timeoutMs: number) => Promise<T>,
  isCancelled: () => boolean = () => false,
): Promise<T> {
  const deadline = performance.now() + limitMs;
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    if (nc.isClosed() || nc.isDraining()) throw new StoreUnavailableError('the connection to NATS is closed');
    try {
      return await attempt(Math.max(1, Math.min(LONGEST_ATTEMPT_MS, deadline - performance.now())));
    } catch (error) {
      const left = deadline - performance.now();
      if (!(error instanceof StoreUnavailableError) || nc.isClosed() || left <= pause || isCancelled()) throw error;
    }
    await new Promise((resume) => setTimeout(resume, pause));
  }
}
