import type { KmsError } from '#domain/errors';
import { ConflictError } from '#event-store/event-store';
import type { Call } from './operation';

/** How many of something there may be, where no one aggregate knows how many there are. */
export interface Limit {
  /** What the limit is of: one text for all that count against it. */
  of: string;
  max: number;
  /** How many the view has. */
  count(): number;
  /** Whether the view has this one. */
  has(id: string): boolean;
  refusal(): KmsError;
}

/** What is being made: how often at once, and a promise for the end of each. */
type Pending = Map<string, Set<Promise<unknown>>>;

/**
 * Keeps limits exact among the calls of this process: what is being made counts as if it were there. Another process
 * sees it only once it is in the log, so calls of two processes that race can pass a limit.
 */
export class Limits {
  private readonly pending = new Map<string, Pending>();

  /**
   * Runs `make`, which makes `id`, if there is room for it. Throws the refusal if there is none. Where only what is still being
   * made takes the room, it waits for the end of that and rejects with ConflictError: run-operation begins anew.
   */
  async within<T>(limit: Limit, id: string, call: Pick<Call, 'tenure'>, make: () => Promise<T>): Promise<T> {
    if (limit.has(id)) return make();
    const pending: Pending = this.pending.get(limit.of) ?? new Map();
    if (!pending.has(id) && !this.isRoom(limit, pending)) {
      if (limit.count() >= limit.max) throw limit.refusal();
      // A revoking write among what is waited for would itself wait for this tenure.
      call.tenure?.end();
      await Promise.allSettled([...pending.values()].flatMap((makings) => [...makings]));
      throw new ConflictError(`${limit.of}: there was no room while others were made`);
    }
    this.pending.set(limit.of, pending);
    const making = make();
    const makings = pending.get(id) ?? new Set();
    pending.set(id, makings.add(making));
    try {
      return await making;
    } finally {
      makings.delete(making);
      if (makings.size === 0) pending.delete(id);
      if (pending.size === 0) this.pending.delete(limit.of);
    }
  }

  private isRoom(limit: Limit, pending: Pending): boolean {
    const count = limit.count();
    if (count + pending.size < limit.max) return true;
    // What the view has already, though its call has not ended, is in `count` and in `pending`.
    let more = 0;
    for (const id of pending.keys()) if (!limit.has(id)) more++;
    return count + more < limit.max;
  }
}
