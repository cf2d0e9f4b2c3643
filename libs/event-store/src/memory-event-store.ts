import {
  type AppendRequest,
  ConflictError,
  type EventStore,
  type FollowHandler,
  type Following,
  type LogEnd,
  type StoredCommit,
} from './event-store';
import { lostTail } from './log-damage';
import { subjectMatcher } from './subject-filter';

/** The event log in memory, for tests of what stands on it. Lost with the object. */
export class MemoryEventStore implements EventStore {
  private readonly log: StoredCommit[] = [];
  private readonly newest = new Map<string, number>();
  private readonly appended = new Map<string, number>();
  private readonly followers = new Set<() => void>();

  async append({ subject, bytes, expectedLastSeq, appendId, mayTry }: AppendRequest): Promise<number> {
    mayTry?.();
    const earlier = this.appended.get(appendId);
    if (earlier !== undefined) return earlier;
    const newest = this.newest.get(subject) ?? 0;
    if (newest !== expectedLastSeq) {
      throw new ConflictError(`${subject}: expected position ${expectedLastSeq} to be the newest, it is ${newest}`);
    }
    const seq = this.log.length + 1;
    this.log.push({ seq, subject, bytes: Uint8Array.from(bytes) });
    this.newest.set(subject, seq);
    this.appended.set(appendId, seq);
    for (const deliver of this.followers) queueMicrotask(deliver);
    return seq;
  }

  async *read(from: number, filter?: string): AsyncIterable<StoredCommit> {
    const last = this.log.length;
    const matches = subjectMatcher(filter);
    for (let seq = Math.max(1, from); seq <= last; seq++) {
      const commit = this.log[seq - 1]!;
      if (matches(commit.subject)) yield { ...commit };
    }
  }

  async follow(from: number, handler: FollowHandler): Promise<Following> {
    let next = Math.max(1, from);
    if (next > this.log.length + 1) throw lostTail('the log in memory', this.log.length, next - 1);
    const deliver = () => {
      while (this.followers.has(deliver) && next <= this.log.length) {
        const commit = this.log[next - 1]!;
        next++;
        try {
          handler.onCommit({ ...commit });
        } catch (error) {
          this.followers.delete(deliver);
          handler.onError(error as Error);
        }
      }
    };
    this.followers.add(deliver);
    queueMicrotask(deliver);
    return {
      stop: async () => {
        this.followers.delete(deliver);
      },
    };
  }

  async lastPosition(): Promise<number> {
    return this.log.length;
  }

  async end(): Promise<LogEnd> {
    return { position: this.log.length, majorityAgeMs: 0 };
  }
}
