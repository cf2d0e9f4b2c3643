import { type AppendRequest, ConflictError, type EventStore, type Following, type FollowHandler, type StoredCommit } from './event-store';

/** The event log in memory, for tests of what is built on it. */
export class MemoryEventStore implements EventStore {
  private readonly log: StoredCommit[] = [];
  private readonly newest = new Map<string, number>();
  private readonly appended = new Map<string, number>();
  private readonly handlers = new Set<FollowHandler>();

  async append({ subject, bytes, expectedLastSeq, appendId }: AppendRequest): Promise<number> {
    const earlier = this.appended.get(appendId);
    if (earlier !== undefined) return earlier;
    if ((this.newest.get(subject) ?? 0) !== expectedLastSeq) {
      throw new ConflictError(`${subject} has moved on from position ${expectedLastSeq}`);
    }
    const commit = { seq: this.log.length + 1, subject, bytes: Uint8Array.from(bytes) };
    this.log.push(commit);
    this.newest.set(subject, commit.seq);
    this.appended.set(appendId, commit.seq);
    for (const handler of this.handlers) handler.onCommit(commit);
    return commit.seq;
  }

  async *read(from: number, filter?: string): AsyncIterable<StoredCommit> {
    const end = this.log.length;
    for (let seq = Math.max(from, 1); seq <= end; seq++) {
      const commit = this.log[seq - 1]!;
      if (filter === undefined || commit.subject === filter) yield commit;
    }
  }

  async follow(from: number, handler: FollowHandler): Promise<Following> {
    for await (const commit of this.read(from)) handler.onCommit(commit);
    this.handlers.add(handler);
    return {
      stop: async () => {
        this.handlers.delete(handler);
      },
    };
  }

  async lastPosition(): Promise<number> {
    return this.log.length;
  }
}
