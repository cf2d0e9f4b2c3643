import { type AppendRequest, ConflictError, type EventStore } from '#event-store/event-store';
import type { Metrics } from './metrics';
import { traced } from './tracing';

/** The event log of whoever appends, with its appends timed and in the trace of whoever asked for them. */
export function observedEventStore(store: EventStore, metrics: Metrics): EventStore {
  const duration = metrics.histogram('keytrail_event_append_duration_seconds');
  const append = async (request: AppendRequest): Promise<number> => {
    const started = performance.now();
    const took = (outcome: string): void => duration.observe({ outcome }, (performance.now() - started) / 1000);
    try {
      const position = await traced('event log append', {}, () => store.append(request));
      took('appended');
      return position;
    } catch (error) {
      took(error instanceof ConflictError ? 'conflict' : 'failed');
      throw error;
    }
  };
  return {
    append,
    read: (from, filter) => store.read(from, filter),
    follow: (from, handler) => store.follow(from, handler),
    lastPosition: () => store.lastPosition(),
    end: () => store.end(),
  };
}
