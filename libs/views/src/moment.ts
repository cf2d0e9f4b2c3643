import type { Commit } from '#domain/commit';
import { type LogEntry, Projection } from './projection';

/**
 * From when on the log had the commit, and the service answered by it. A timer that fired late is dated by its deadline:
 * between deadline and recording the service did not know of a rotation yet, and of a deletion by the deadline alone
 * (`livingKeyAt`).
 */
export const recordedTime = ({ time, recordedAt }: Pick<Commit, 'time' | 'recordedAt'>): string => recordedAt ?? time;

/**
 * The log as it was at a past moment: of each aggregate, the commits that had been recorded by then. A commit after the
 * moment ends its aggregate's history, and no other's: the clocks of two processes never agree quite.
 */
export class MomentFold {
  /** The latest recorded time that was folded in, '' for none. */
  until = '';
  private readonly ended = new Set<string>();

  /** Without `at` the whole log. `projection` may be one that was restored from before the moment. */
  constructor(
    readonly at: string | undefined,
    readonly projection = new Projection(),
  ) {}

  /** Whether nothing was left out so far: then this is the fold of the log up to the projection's position. */
  get isWhole(): boolean {
    return this.ended.size === 0;
  }

  /** Takes the next commit of the log, and returns it if it is of the moment. Throws LogCorruptError. */
  take(entry: LogEntry): Commit | undefined {
    return this.projection.applyIf(entry, (commit) => this.isOfTheMoment(entry.subject, commit));
  }

  /** The same of a commit of a part of the log, in which others lie between. */
  takeApart(entry: LogEntry): Commit | undefined {
    this.projection.skipTo(entry.seq - 1);
    return this.take(entry);
  }

  private isOfTheMoment(subject: string, commit: Commit): boolean {
    const recorded = recordedTime(commit);
    if (this.at !== undefined && (recorded > this.at || this.ended.has(subject))) {
      this.ended.add(subject);
      return false;
    }
    if (recorded > this.until) this.until = recorded;
    return true;
  }
}
