import BTree from 'sorted-btree';
import { nextExpiry } from '#domain/key/imported/copies';
import { isLiving, isReplica, type LivingKey } from '#domain/key/state';
import { type AggregateRef, eventSubject } from '#domain/subjects';
import { canDestroy } from './key-store';
import type { Projection } from './projection';
import { dueStepsOf } from './related-keys';

/**
 * `Rotation`: an automatic rotation. `Deletion`: the end of a waiting period.
 * `Cleanup`: a deleted key whose aliases or material are not gone yet (a crash came between, or its custom key store was not
 * connected); due since its deletion.
 * `MaterialExpiry`: the date up to which imported material is valid. `MaterialErasure`: a copy of imported material that is
 * not gone yet, due since its key released it.
 * `MultiRegion`: what a change of this key asks of a related key, or of itself, is not done yet; due since the change.
 */
export const TIMER_KINDS = [
  'Rotation',
  'Deletion',
  'Cleanup',
  'MaterialExpiry',
  'MaterialErasure',
  'MultiRegion',
] as const;
export type TimerKind = (typeof TIMER_KINDS)[number];

export interface Timer {
  kind: TimerKind;
  ref: AggregateRef<'key'>;
  /** ISO 8601. */
  deadline: string;
}

/** The next timer of a key: a pure function of its folded state. Of several the earliest: one scheduler has all that a key can have at once. */
export function timerOf(projection: Projection, keySubject: string): Timer | undefined {
  const folded = projection.keyBySubject(keySubject);
  if (!folded) return undefined;
  const { ref, state } = folded;
  const step = isLiving(state) && state.family && nextStep(projection, ref);
  if (step) return { kind: 'MultiRegion', ref, deadline: step.since };
  switch (state.keyState) {
    case 'Enabled':
      return earliest(
        state.rotation && !isReplica(state)
          ? { kind: 'Rotation', ref, deadline: state.rotation.nextRotationDate }
          : undefined,
        ...ofImports(ref, state),
      );
    case 'PendingDeletion':
      return earliest({ kind: 'Deletion', ref, deadline: state.deletionDate }, ...ofImports(ref, state));
    case 'Deleted':
      return (state.materialIds.length > 0 && canDestroy(projection, ref, state)) ||
        projection.aliasNamesOf(ref).size > 0
        ? { kind: 'Cleanup', ref, deadline: state.deletedAt }
        : undefined;
    case 'Disabled':
    case 'PendingImport':
    case 'Creating':
    case 'Updating':
    case 'PendingReplicaDeletion':
      return earliest(...ofImports(ref, state));
    case 'Unavailable':
    case 'None':
      return undefined;
  }
}

function ofImports(ref: AggregateRef<'key'>, key: LivingKey): (Timer | undefined)[] {
  if (key.origin !== 'EXTERNAL') return [];
  const expiry = nextExpiry(key);
  const released = key.released?.[0]?.since;
  return [
    expiry === undefined ? undefined : { kind: 'MaterialExpiry', ref, deadline: expiry },
    released === undefined ? undefined : { kind: 'MaterialErasure', ref, deadline: released },
  ];
}

const earliest = (...timers: (Timer | undefined)[]): Timer | undefined =>
  timers.reduce((first, timer) => (timer && (!first || timer.deadline < first.deadline) ? timer : first), undefined);
const nextStep = (projection: Projection, ref: AggregateRef<'key'>) =>
  dueStepsOf(projection, ref).find(({ askedBy }) => askedBy === ref.region);

const NONE: { has(keySubject: string): boolean } = { has: () => false };

/** All timers of the given kinds, ordered by deadline; kept up to date commit by commit. */
export class DueTimes {
  private readonly byDeadline = new BTree<string, Timer>();
  private readonly orderOf = new Map<string, string>();
  private readonly counts = new Map<TimerKind, number>();
  /** The key that an alias points at, by the alias's subject: a commit says only where it points from now on. */
  private readonly targetOf = new Map<string, string>();

  constructor(private readonly kinds: ReadonlySet<TimerKind>) {}

  /** To be called once, for all that the projection holds. */
  build(projection: Projection): void {
    for (const { ref } of projection.allAliases()) this.noteTarget(projection, ref);
    for (const { ref } of projection.allKeys()) this.refresh(projection, eventSubject(ref));
  }

  /** To be called for every commit after the projection has folded it in. Returns the keys that it may concern. */
  note(projection: Projection, ref: AggregateRef): string[] {
    const keys = this.concerned(projection, ref);
    for (const key of keys) this.refresh(projection, key);
    return keys;
  }

  refresh(projection: Projection, keySubject: string): void {
    const old = this.orderOf.get(keySubject);
    if (old !== undefined) {
      const before = this.byDeadline.get(old);
      if (before) this.counts.set(before.kind, this.countOf(before.kind) - 1);
      this.byDeadline.delete(old);
      this.orderOf.delete(keySubject);
    }
    const timer = timerOf(projection, keySubject);
    if (!timer || !this.kinds.has(timer.kind)) return;
    const order = `${timer.deadline} ${keySubject}`;
    this.byDeadline.set(order, timer);
    this.orderOf.set(keySubject, order);
    this.counts.set(timer.kind, this.countOf(timer.kind) + 1);
  }

  countOf(kind: TimerKind): number {
    return this.counts.get(kind) ?? 0;
  }

  of(keySubject: string): Timer | undefined {
    const order = this.orderOf.get(keySubject);
    return order === undefined ? undefined : this.byDeadline.get(order);
  }

  /** The timer with the earliest deadline, of the keys that are not in `except`. */
  first(except = NONE): Timer | undefined {
    for (const timer of this.byDeadline.values()) if (!except.has(eventSubject(timer.ref))) return timer;
    return undefined;
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

  private concerned(projection: Projection, ref: AggregateRef): string[] {
    if (ref.aggregate === 'alias') return this.noteTarget(projection, ref);
    if (ref.aggregate === 'customKeyStore') return this.deletedIn(projection, ref as AggregateRef<'customKeyStore'>);
    if (ref.aggregate !== 'key') return [];
    const related = Array.from(projection.relatedKeys(ref), (key) => eventSubject(key.ref));
    return related.length > 0 ? related : [eventSubject(ref)];
  }

  /** Deleted keys whose material could be destroyed, or can be no more, now that the store has changed. */
  private deletedIn(projection: Projection, ref: AggregateRef<'customKeyStore'>): string[] {
    const keys: string[] = [];
    for (const { ref: key, state } of projection.keysInStore(ref)) {
      if (state.keyState === 'Deleted') keys.push(eventSubject(key));
    }
    return keys;
  }

  /** The key that the alias pointed at, and the one it points at now. */
  private noteTarget(projection: Projection, { region, account, id }: AggregateRef): string[] {
    const subject = eventSubject({ region, account, aggregate: 'alias', id });
    const alias = projection.alias(region, account, id)?.state;
    const was = this.targetOf.get(subject);
    const is =
      alias?.aliasState === 'Active'
        ? eventSubject({ region, account, aggregate: 'key', id: alias.targetKeyId })
        : undefined;
    if (is === undefined) this.targetOf.delete(subject);
    else this.targetOf.set(subject, is);
    return [was, is].filter((key) => key !== undefined);
  }
}
