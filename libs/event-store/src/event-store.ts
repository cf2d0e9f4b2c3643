/**
 * The event log as the rest of Keytrail sees it. Two adapters: JetStream, and in memory for tests of pure logic;
 * one suite runs on both.
 */
export interface StoredCommit {
  /** Position in the whole log: 1 for the first commit ever, then ascending (gaps are never skipped silently). */
  seq: number;
  subject: string;
  /** Exactly the bytes that were appended. */
  bytes: Uint8Array;
}

export interface AppendRequest {
  subject: string;
  bytes: Uint8Array;
  /** Position of the newest commit on this subject that the decision was made on; 0 for none. */
  expectedLastSeq: number;
  /** The same for every retry of one append, different for any other append. */
  appendId: string;
  /** Called right before each try to send it; what it throws forbids that try and ends the append. */
  mayTry?(): void;
}

export interface LogEnd {
  /** Position of the newest commit; 0 when the log is empty. */
  position: number;
  /** How long ago, in ms, the leader that says so last heard from a majority; 0 where it needs nobody. */
  majorityAgeMs: number;
}

export interface EventStore {
  /**
   * Appends durably and returns the position: a majority of the servers has it, each one on disk where it runs with
   * `sync_interval: always`, as the embedded server and deploy/nats do. NATS's default answers before the fsync.
   * Rejects with ConflictError if the subject's newest position is not `expectedLastSeq`, in which case nothing was
   * appended. Rejects with StoreUnavailableError when, after retries with the same id, the outcome is not known.
   * A repeat of an append that had succeeded returns the first one's position.
   */
  append(request: AppendRequest): Promise<number>;
  /** Commits from position `from` (inclusive) up to the newest at the time of the call, in order. */
  read(from: number, filter?: string): AsyncIterable<StoredCommit>;
  /**
   * Calls `onCommit` for every commit from `from` on, in order, for ever, each once; survives reconnects. A gap is an
   * error given to `onError`.
   */
  follow(from: number, handler: FollowHandler): Promise<Following>;
  /** Position of the newest commit in the log as the log's leader answers it now; 0 when empty. */
  lastPosition(): Promise<number>;
  /** As lastPosition, and how far the leader can be trusted to be still the leader. */
  end(): Promise<LogEnd>;
}

export interface FollowHandler {
  onCommit(commit: StoredCommit): void;
  /** The log can no longer be followed (corrupt, deleted, a handler threw): the service must stop serving. */
  onError(error: Error): void;
}

export interface Following {
  stop(): Promise<void>;
}

/** Another append on the subject came first: load again, decide again. */
export class ConflictError extends Error {
  override readonly name = 'ConflictError';
}

/** The log cannot be reached, or did not answer in time. Whether the append happened is not known. */
export class StoreUnavailableError extends Error {
  override readonly name = 'StoreUnavailableError';
}
