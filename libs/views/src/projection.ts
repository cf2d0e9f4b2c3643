import BTree from 'sorted-btree';
import { type Alias, evolveAlias, initialAlias } from '#domain/alias/alias';
import type { AliasEvent } from '#domain/alias/events';
import { type Commit, commitHash, NO_HASH } from '#domain/commit';
import { decodeCommit } from '#domain/commit-codec';
import type { KeyEvent } from '#domain/key/events';
import { evolveKey } from '#domain/key/evolve';
import { initialKey, type Key } from '#domain/key/state';
import { type AggregateRef, eventSubject } from '#domain/subjects';

/** One commit as it lies in the log. */
export interface LogEntry {
  seq: number;
  subject: string;
  bytes: Uint8Array;
}

/** The fold of one aggregate's history, and where that history ends. */
export interface Folded<S> {
  ref: AggregateRef;
  state: S;
  /** Version, position, hash and time of the newest commit; 0, 0, 64 zeros and '' before the first. */
  version: number;
  seq: number;
  hash: string;
  time: string;
}

/** The log does not fit: a hash, a version, a position or an event is not what must follow. */
export class LogCorruptError extends Error {
  override readonly name = 'LogCorruptError';

  constructor(
    readonly seq: number,
    readonly subject: string,
    reason: string,
    cause?: unknown,
  ) {
    super(`commit ${seq} (${subject}): ${reason}; restore the event log from a backup`, { cause });
  }
}

const scopeOf = (region: string, account: string): string => `${region}/${account}`;
const NOTHING: ReadonlySet<string> = new Set();

/**
 * All keys and aliases, folded from the log. Live services, replay and verify share this one code path.
 * Checks every commit's place in its hash chain as it goes.
 */
export class Projection {
  /** Position of the newest commit folded in. */
  position = 0;
  private readonly keys = new Map<string, Folded<Key>>();
  private readonly aliases = new Map<string, Folded<Alias>>();
  /** Names of the aliases of a key, by the key's subject. */
  private readonly aliasNames = new Map<string, Set<string>>();
  /** Ids in use by scope (region and account), in order, for listing. */
  private readonly keyIndex = new Map<string, BTree<string, undefined>>();
  private readonly aliasIndex = new Map<string, BTree<string, undefined>>();

  /** Folds the next commit in and returns it. Throws LogCorruptError, and changes nothing, if it does not fit. */
  apply(entry: LogEntry): Commit {
    const { seq, subject, bytes } = entry;
    if (seq !== this.position + 1) {
      throw new LogCorruptError(seq, subject, `follows position ${this.position}: commits are missing`);
    }
    try {
      const commit = decodeCommit(subject, bytes);
      if (commit.aggregate === 'key') this.applyToKey(seq, subject, bytes, commit as Commit<KeyEvent>);
      else this.applyToAlias(seq, subject, bytes, commit as Commit<AliasEvent>);
      this.position = seq;
      return commit;
    } catch (error) {
      if (error instanceof LogCorruptError) throw error;
      throw new LogCorruptError(seq, subject, (error as Error).message, error);
    }
  }

  /** Passes over the next commit, for a fold that stops at a moment in time. */
  skip(entry: LogEntry): void {
    this.position = entry.seq;
  }

  key(region: string, account: string, keyId: string): Folded<Key> | undefined {
    return this.keys.get(eventSubject({ region, account, aggregate: 'key', id: keyId }));
  }

  keyBySubject(subject: string): Folded<Key> | undefined {
    return this.keys.get(subject);
  }

  /** `name` without its `alias/` prefix. */
  alias(region: string, account: string, name: string): Folded<Alias> | undefined {
    return this.aliases.get(eventSubject({ region, account, aggregate: 'alias', id: name }));
  }

  /** Names, without `alias/`, of the aliases that point at the key. */
  aliasNamesOf(ref: AggregateRef): ReadonlySet<string> {
    return this.aliasNames.get(eventSubject(ref)) ?? NOTHING;
  }

  allKeys(): IterableIterator<Folded<Key>> {
    return this.keys.values();
  }

  allAliases(): IterableIterator<Folded<Alias>> {
    return this.aliases.values();
  }

  /** Ids of keys that are not yet deleted, ascending, after `after`. */
  keyIdsAfter(region: string, account: string, after: string | undefined): Iterable<string> {
    return idsAfter(this.keyIndex.get(scopeOf(region, account)), after);
  }

  /** Names of existing aliases, ascending, after `after`. */
  aliasNamesAfter(region: string, account: string, after: string | undefined): Iterable<string> {
    return idsAfter(this.aliasIndex.get(scopeOf(region, account)), after);
  }

  keyCount(region: string, account: string): number {
    return this.keyIndex.get(scopeOf(region, account))?.size ?? 0;
  }

  private applyToKey(seq: number, subject: string, bytes: Uint8Array, commit: Commit<KeyEvent>): void {
    const before = this.keys.get(subject);
    const folded = follow(before, initialKey, seq, subject, bytes, commit, evolveKey);
    this.keys.set(subject, folded);
    const index = indexOf(this.keyIndex, scopeOf(commit.region, commit.account));
    if (folded.state.keyState === 'Deleted') index.delete(commit.id);
    else if (!before) index.set(commit.id, undefined);
  }

  private applyToAlias(seq: number, subject: string, bytes: Uint8Array, commit: Commit<AliasEvent>): void {
    const before = this.aliases.get(subject);
    const folded = follow(before, initialAlias, seq, subject, bytes, commit, evolveAlias);
    this.aliases.set(subject, folded);
    const target = (alias: Alias | undefined): string | undefined =>
      alias?.aliasState === 'Active'
        ? eventSubject({ region: commit.region, account: commit.account, aggregate: 'key', id: alias.targetKeyId })
        : undefined;
    const was = target(before?.state);
    const is = target(folded.state);
    if (was !== is) {
      if (was !== undefined) this.aliasNames.get(was)?.delete(commit.id);
      if (is !== undefined) namesOf(this.aliasNames, is).add(commit.id);
    }
    const index = indexOf(this.aliasIndex, scopeOf(commit.region, commit.account));
    if (is === undefined) index.delete(commit.id);
    else index.set(commit.id, undefined);
  }
}

/** Checks the commit's place in its aggregate's chain, and folds its events. */
function follow<S, E>(
  before: Folded<S> | undefined,
  initial: S,
  seq: number,
  subject: string,
  bytes: Uint8Array,
  commit: Commit & { events: E[] },
  evolve: (state: S, event: E, time: string) => S,
): Folded<S> {
  const version = before?.version ?? 0;
  if (commit.version !== version + 1) {
    throw new LogCorruptError(seq, subject, `has version ${commit.version} where ${version + 1} must follow`);
  }
  if (commit.prevHash !== (before?.hash ?? NO_HASH)) {
    throw new LogCorruptError(seq, subject, `prevHash is not the hash of version ${version}`);
  }
  if (before && commit.time < before.time) throw new LogCorruptError(seq, subject, 'time runs backwards');
  let state = before?.state ?? initial;
  for (const event of commit.events) state = evolve(state, event, commit.time);
  const ref = before?.ref ?? {
    region: commit.region,
    account: commit.account,
    aggregate: commit.aggregate,
    id: commit.id,
  };
  return { ref, state, version: commit.version, seq, hash: commitHash(bytes), time: commit.time };
}

function indexOf(indexes: Map<string, BTree<string, undefined>>, scope: string): BTree<string, undefined> {
  let index = indexes.get(scope);
  if (!index) {
    index = new BTree<string, undefined>();
    indexes.set(scope, index);
  }
  return index;
}

function namesOf(names: Map<string, Set<string>>, subject: string): Set<string> {
  let set = names.get(subject);
  if (!set) {
    set = new Set();
    names.set(subject, set);
  }
  return set;
}

function* idsAfter(index: BTree<string, undefined> | undefined, after: string | undefined): Iterable<string> {
  if (!index) return;
  let next = after === undefined ? index.minKey() : index.nextHigherKey(after);
  while (next !== undefined) {
    yield next;
    next = index.nextHigherKey(next);
  }
}
