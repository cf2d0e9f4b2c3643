import BTree from 'sorted-btree';
import type { AggregateRef } from '#domain/subjects';
import { eventSubject } from '#domain/subjects';
import type { Projection } from './projection';

/**
 * `Rotation`: an automatic rotation. `Deletion`: the end of a waiting period.
 * `Cleanup`: a deleted key whose aliases or material are not gone yet (a crash came between); due since its deletion.
 */
export type TimerKind = 'Rotation' | 'Deletion' | 'Cleanup';

export interface Timer {
  kind: TimerKind;
  ref: AggregateRef<'key'>;
  /** ISO 8601. */
  deadline: string;
}

/** The next timer of a key: a pure function of its folded state. A key has at most one at a time. */
export function timerOf(projection: Projection, keySubject: string): Timer | undefined {
  const folded = projection.keyBySubject(keySubject);
  if (!folded) return undefined;
  const { ref, state } = folded;
  switch (state.keyState) {
    case 'Enabled':
      return state.rotation && { kind: 'Rotation', ref, deadline: state.rotation.nextRotationDate };
    case 'PendingDeletion':
      return { kind: 'Deletion', ref, deadline: state.deletionDate };
    case 'Deleted':
      return state.materialIds.length > 0 || projection.aliasNamesOf(ref).size > 0
        ? { kind: 'Cleanup', ref, deadline: state.deletedAt }
        : undefined;
    case 'None':
    case 'Disabled':
      return undefined;
  }
}

/** All timers of the given kinds, ordered by deadline; kept up to date commit by commit. */
export class DueTimes {
  private readonly byDeadline = new BTree<string, Timer>();
  private readonly orderOf = new Map<string, string>();

  constructor(private readonly kinds: ReadonlySet<TimerKind>) {}

  /** To be called for every commit after the projection has folded it in. */
  noteCommit(projection: Projection, commit: AggregateRef, keySubjects: Iterable<string>): void {
    if (commit.aggregate === 'key') this.refresh(projection, eventSubject(commit));
    else for (const subject of keySubjects) this.refresh(projection, subject);
  }

  refresh(projection: Projection, keySubject: string): void {
    const old = this.orderOf.get(keySubject);
    if (old !== undefined) {
      this.byDeadline.delete(old);
      this.orderOf.delete(keySubject);
    }
    const timer = timerOf(projection, keySubject);
    if (!timer || !this.kinds.has(timer.kind)) return;
    const order = `${timer.deadline} ${keySubject}`;
    this.byDeadline.set(order, timer);
    this.orderOf.set(keySubject, order);
  }

  get size(): number {
    return this.byDeadline.size;
  }

  /** The timer with the earliest deadline. */
  first(): Timer | undefined {
    const key = this.byDeadline.minKey();
    return key === undefined ? undefined : this.byDeadline.get(key);
  }

  /** Timers whose deadline is not after `now`, earliest first, at most `limit`. */
  due(now: string, limit: number): Timer[] {
    const found: Timer[] = [];
    for (const timer of this.byDeadline.values()) {
      if (timer.deadline > now || found.length >= limit) break;
      found.push(timer);
    }
    return found;
  }
}
