import { type AggregateType, aggregateOf, type CommandOf } from '#domain/aggregates';
import { type Commit, encodeCommit, NO_HASH } from '#domain/commit';
import { type AggregateRef, eventSubject } from '#domain/subjects';
import { type LogEntry, Projection } from '#views/projection';

/** A log in memory, and its projection kept up commit by commit. Time stands still, unless a test moves it. */
export class FoldedLog {
  readonly projection = new Projection();
  readonly entries: LogEntry[] = [];

  /** ISO 8601. */
  constructor(public now: string) {}

  /** Decides on the projection's state, appends and folds in. Throws what decide throws. */
  run<T extends AggregateType>(ref: AggregateRef<T>, command: CommandOf<T>): void {
    const folded = this.projection.folded(ref);
    const { initial, decide } = aggregateOf(ref.aggregate);
    const { region, account, id } = ref;
    const events = decide(command, folded?.state ?? initial, { region, account, id, now: this.now });
    if (events.length === 0) return;
    const commit: Commit = {
      schema: 1,
      ...ref,
      version: (folded?.version ?? 0) + 1,
      prevHash: folded?.hash ?? NO_HASH,
      time: this.now,
      principal: 'test',
      requestId: 'request',
      operation: command.type,
      events,
    };
    const entry = { seq: this.entries.length + 1, subject: eventSubject(ref), bytes: encodeCommit(commit) };
    this.projection.apply(entry);
    this.entries.push(entry);
  }
}
