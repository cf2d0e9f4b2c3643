import type { NatsConnection } from 'nats';
import { watchConnection } from './connection-watch';
import { StoreUnavailableError } from './event-store';

const FIRST_PAUSE_MS = 25;
const LONGEST_PAUSE_MS = 1000;
const LONGEST_ATTEMPT_MS = 2000;

/**
 * Repeats `attempt` while it rejects with StoreUnavailableError, with doubling pauses, for at most `limitMs`; then rejects
 * with the last StoreUnavailableError. `attempt` gets the milliseconds that it may take; it is abandoned, and may still have
 * its effect, when the connection is re-established, as its answer was lost with the old one. A closed connection never
 * comes back, so it ends the retries at once.
 */
export async function retryWhileUnavailable<T>(
  nc: NatsConnection,
  limitMs: number,
  attempt: (timeoutMs: number) => Promise<T>,
  isCancelled: () => boolean = () => false,
): Promise<T> {
  const deadline = performance.now() + limitMs;
  for (let next = FIRST_PAUSE_MS; ; next = Math.min(next * 2, LONGEST_PAUSE_MS)) {
    let pause = next;
    if (nc.isClosed() || nc.isDraining()) throw new StoreUnavailableError('the connection to NATS is closed');
    try {
      const timeoutMs = Math.max(1, Math.min(LONGEST_ATTEMPT_MS, deadline - performance.now()));
      return await unlessReconnected(nc, attempt(timeoutMs));
    } catch (error) {
      const left = deadline - performance.now();
      // The last attempt gets as long as the wait before it, not what a doubled pause happens to leave.
      pause = Math.max(FIRST_PAUSE_MS, Math.min(next, left / 2));
      if (!(error instanceof StoreUnavailableError) || nc.isClosed() || left <= pause || isCancelled()) throw error;
    }
    await new Promise((resume) => setTimeout(resume, pause));
  }
}

async function unlessReconnected<T>(nc: NatsConnection, attempt: Promise<T>): Promise<T> {
  let unwatch = () => {};
  const interrupted = new Promise<never>((_, reject) => {
    const lost = (what: string) => () => reject(new StoreUnavailableError(`the connection to NATS was ${what}`));
    unwatch = watchConnection(nc, { reconnected: lost('lost and re-established'), closed: lost('closed') });
  });
  try {
    return await Promise.race([attempt, interrupted]);
  } finally {
    unwatch();
  }
}
