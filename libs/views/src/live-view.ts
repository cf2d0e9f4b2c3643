import type { Commit } from '#domain/commit';
import { KmsError } from '#domain/errors';
import { type LogEntry, Projection } from './projection';

/** What a live view follows: the event store's part that it needs. */
export interface FollowedLog {
  follow(
    from: number,
    handler: { onCommit(entry: LogEntry): void; onError(error: Error): void },
  ): Promise<{ stop(): Promise<void> }>;
  lastPosition(): Promise<number>;
}

interface Waiter {
  position: number;
  resolve(): void;
  reject(error: Error): void;
  timer: NodeJS.Timeout;
}

/** Called after a commit has been folded in. */
export type CommitListener = (commit: Commit, seq: number) => void;

/** A projection that follows the log as it grows, and can be waited for. */
export class LiveView {
  readonly projection = new Projection();
  private readonly waiters = new Set<Waiter>();
  private readonly listeners: CommitListener[] = [];
  private following: { stop(): Promise<void> } | undefined;
  private failure: Error | undefined;

  /** `onFailure` is called once if the log stops fitting or cannot be followed: the service must stop serving. */
  constructor(private readonly onFailure: (error: Error) => void = () => {}) {}

  get position(): number {
    return this.projection.position;
  }

  /** Whether the view can still be trusted. */
  get failed(): Error | undefined {
    return this.failure;
  }

  onCommit(listener: CommitListener): void {
    this.listeners.push(listener);
  }

  /** Follows the log from its start, and resolves once everything that was in it has been folded in. */
  async start(log: FollowedLog): Promise<void> {
    const target = await log.lastPosition();
    this.following = await log.follow(this.position + 1, {
      onCommit: (entry) => this.take(entry),
      onError: (error) => this.fail(error),
    });
    await this.waitFor(target, 600_000);
  }

  async stop(): Promise<void> {
    await this.following?.stop();
    this.settleWaiters(new KmsError('DependencyTimeoutException', 'The service is shutting down.'));
  }

  /**
   * Folds our own append in at once if it is the next commit. One already folded in is ignored, and so is one behind
   * another process's commit that has not arrived yet: the follower brings both, in order.
   */
  offer(entry: LogEntry): void {
    if (entry.seq === this.position + 1) this.take(entry);
  }

  /** Folds in what the log says comes next; a gap is damage. What our own append brought earlier is passed over. */
  private take(entry: LogEntry): void {
    if (this.failure || entry.seq <= this.position) return;
    try {
      const commit = this.projection.apply(entry);
      for (const listener of this.listeners) listener(commit, entry.seq);
    } catch (error) {
      this.fail(error as Error);
      throw error;
    }
    if (this.waiters.size > 0) this.releaseWaiters();
  }

  /** Resolves once the view has reached `position`; rejects with DependencyTimeoutException after `timeoutMs`. */
  waitFor(position: number, timeoutMs = 10_000): Promise<void> {
    if (this.failure) return Promise.reject(unusable(this.failure));
    if (this.position >= position) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.waiters.delete(entry);
        reject(
          new KmsError('DependencyTimeoutException', `The event log has not reached position ${position} in time.`),
        );
      }, timeoutMs);
      const entry: Waiter = { position, resolve, reject, timer };
      this.waiters.add(entry);
    });
  }

  /** Resolves once everything that the log holds now has been folded in. */
  async catchUp(log: Pick<FollowedLog, 'lastPosition'>): Promise<void> {
    await this.waitFor(await log.lastPosition());
  }

  private releaseWaiters(): void {
    for (const waiter of this.waiters) {
      if (waiter.position > this.position) continue;
      this.waiters.delete(waiter);
      clearTimeout(waiter.timer);
      waiter.resolve();
    }
  }

  private fail(error: Error): void {
    if (this.failure) return;
    this.failure = error;
    this.settleWaiters(unusable(error));
    this.onFailure(error);
  }

  private settleWaiters(error: Error): void {
    const waiters = [...this.waiters];
    this.waiters.clear();
    for (const waiter of waiters) {
      clearTimeout(waiter.timer);
      waiter.reject(error);
    }
  }
}

const unusable = (cause: Error): KmsError =>
  new KmsError('KMSInternalException', 'The event log cannot be read.', cause);
