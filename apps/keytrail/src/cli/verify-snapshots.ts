import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { AGGREGATE_TYPES, type AggregateType } from '#domain/aggregates';
import { type Commit, commitHash } from '#domain/commit';
import { eventSubject } from '#domain/subjects';
import type { StoredCommit } from '#event-store/event-store';
import type { FoldedOf } from '#views/folded';
import { recordedTime } from '#views/moment';
import type { Projection } from '#views/projection';
import { decodeSnapshot, type Snapshot } from '#views/snapshot';
import { snapshotPath, snapshotPositions } from './snapshots';

/** Compares the snapshots of a data folder with a fold of the whole log, as it comes to their positions. */
export class SnapshotCheck {
  /** What does not fit, a line each. */
  readonly faults: string[] = [];
  private readonly pending: number[];
  private checked = 0;
  private until = '';

  constructor(private readonly dataDir: string) {
    this.pending = snapshotPositions(dataDir);
  }

  /** To be told of each commit once it has been folded in. */
  folded(projection: Projection, commit: Commit, { bytes }: StoredCommit): void {
    const recorded = recordedTime(commit);
    if (recorded > this.until) this.until = recorded;
    if (this.pending.at(-1) !== projection.position) return;
    this.pending.pop();
    this.checked++;
    this.compare(projection, commitHash(bytes));
  }

  /** To be called at the end of the log. Returns what there is to say of snapshots that fit. */
  ended(position: number): string | undefined {
    for (const beyond of this.pending) this.refuse(beyond, `the log ends at position ${position}`);
    const many = this.checked + this.pending.length;
    return many > 0 && this.faults.length === 0 ? `snapshots: ${many}, each what the log gives there` : undefined;
  }

  private compare(projection: Projection, newest: string): void {
    const { position } = projection;
    let snapshot: Snapshot;
    try {
      snapshot = decodeSnapshot(readFileSync(snapshotPath(this.dataDir, position)));
    } catch (error) {
      this.refuse(position, (error as Error).message);
      return;
    }
    if (snapshot.position !== position) this.refuse(position, `it is of position ${snapshot.position}`);
    else if (snapshot.commitHash !== newest) this.refuse(position, 'it is of another log');
    else if (snapshot.until !== this.until) {
      this.refuse(position, `its latest time is ${snapshot.until}, where the log has ${this.until}`);
    } else {
      const other = firstOther(snapshot.folded, projection);
      if (other !== undefined) this.refuse(position, `${other} is not what the log gives there`);
    }
  }

  private refuse(position: number, why: string): void {
    this.faults.push(`snapshot ${snapshotPath(this.dataDir, position)}: ${why}; delete it`);
  }
}

/** Subject of the first aggregate that is not the same in both. */
function firstOther(folded: readonly FoldedOf<AggregateType>[], projection: Projection): string | undefined {
  const kept = new Map(folded.map((one) => [eventSubject(one.ref), one]));
  for (const type of AGGREGATE_TYPES) {
    for (const one of projection.all(type)) {
      const subject = eventSubject(one.ref);
      if (!isDeepStrictEqual(kept.get(subject), JSON.parse(JSON.stringify(one)))) return subject;
      kept.delete(subject);
    }
  }
  return [...kept.keys()][0];
}
