import type { FollowHandler, StoredCommit } from './event-store';
import type { OrderedDelivery } from './ordered-delivery';

/** Commits that are kept ahead of the reader before the server is asked to hold back. */
const READ_AHEAD = 20_000;
/** The same by their bytes: a batch of records is a hundred times as long as a commit. */
const READ_AHEAD_BYTES = 16_000_000;

export interface BulkReadOptions {
  /** First position wanted. */
  from: number;
  /** Tells the last position wanted, when the read begins. */
  end(): Promise<number>;
  deliver(until: number, handler: FollowHandler): OrderedDelivery;
  /** Whether a commit on the subject is wanted. Asked of each: only an unfiltered delivery shows that no position is missing. */
  matches(subject: string): boolean;
}

/**
 * The commits up to the end of the log, as they come in. No generator: what has arrived is handed out without being waited for,
 * which saves the reader a microsecond of CPU a commit (docs/performance.md).
 */
export class BulkRead implements AsyncIterableIterator<StoredCommit> {
  private wanted: number;
  private until: number | undefined;
  private delivery: OrderedDelivery | undefined;
  private arrived: StoredCommit[] = [];
  private arrivedBytes = 0;
  private chunk: StoredCommit[] = [];
  private taken = 0;
  private failure: Error | undefined;
  private wake = (): void => {};

  constructor(private readonly options: BulkReadOptions) {
    this.wanted = options.from;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<StoredCommit, undefined>> {
    const commit = this.inStock();
    return commit ? Promise.resolve({ done: false, value: commit }) : this.arrival();
  }

  async return(): Promise<IteratorResult<StoredCommit, undefined>> {
    this.delivery?.stop();
    return { done: true, value: undefined };
  }

  private inStock(): StoredCommit | undefined {
    for (;;) {
      while (this.taken < this.chunk.length) {
        const commit = this.chunk[this.taken++]!;
        if (this.options.matches(commit.subject)) return commit;
      }
      if (this.arrived.length === 0) return undefined;
      this.chunk = this.arrived;
      this.arrived = [];
      this.arrivedBytes = 0;
      this.taken = 0;
      this.wanted += this.chunk.length;
      this.delivery?.resume();
    }
  }

  private async arrival(): Promise<IteratorResult<StoredCommit, undefined>> {
    this.until ??= await this.options.end();
    for (;;) {
      const commit = this.inStock();
      if (commit) return { done: false, value: commit };
      if (this.wanted > this.until) return this.return();
      if (this.failure) throw this.failure;
      if (this.delivery) {
        await new Promise<void>((resume) => {
          this.wake = resume;
        });
      } else await this.open(this.until);
    }
  }

  private async open(until: number): Promise<void> {
    const delivery = this.options.deliver(until, {
      onCommit: (commit) => {
        this.arrived.push(commit);
        this.arrivedBytes += commit.bytes.length;
        if (this.arrived.length >= READ_AHEAD || this.arrivedBytes >= READ_AHEAD_BYTES) delivery.pause();
        this.wake();
      },
      onError: (error) => {
        this.failure = error;
        this.wake();
      },
    });
    this.delivery = delivery;
    await delivery.start();
  }
}
