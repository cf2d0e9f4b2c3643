import { AGGREGATE_TYPES, type AggregateType, aggregateOf, type EventOf, type StateOf } from '#domain/aggregates';
import { type Commit, commitHash, NO_HASH } from '#domain/commit';
import { decodeCommit } from '#domain/commit-codec';
import { accountRef, roleRef, userRef } from '#domain/principal/principal-id';
import type { NamedPrincipal, RolePrincipal, UserPrincipal } from '#domain/principal/state';
import { initialRoot, ROOT_REF, type Root } from '#domain/root/root';
import { type AggregateRef, eventSubject } from '#domain/subjects';
import { trailRef } from '#domain/trail/trail';
import type { Change, FoldedOf, ViewIndex } from './folded';
import { AliasIndex } from './indexes/aliases';
import { type FoldedGrant, GrantIndex } from './indexes/grants';
import { KeyCensus } from './indexes/key-census';
import { type FoldedStore, KeyStoreIndex } from './indexes/key-stores';
import { KeyIndex } from './indexes/keys';
import { regionScope } from './indexes/ordered-ids';
import { type FoldedNamed, type FoundAccessKey, PrincipalIndex } from './indexes/principals';

/** One commit as it lies in the log. */
export interface LogEntry {
  seq: number;
  subject: string;
  bytes: Uint8Array;
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

type Histories = { [T in AggregateType]: Map<string, FoldedOf<T>> };
type Listener = (change: Change<AggregateType>) => void;

/**
 * Every aggregate there is, folded from the log, and the indexes over them. Live services, replay and verify share
 * this one code path. Checks every commit's place in its hash chain as it goes.
 */
export class Projection {
  /** Position of the newest commit folded in. */
  position = 0;
  private readonly histories = byType(() => new Map()) as Histories;
  readonly keyCensus = new KeyCensus();
  private readonly keyIndex = new KeyIndex();
  private readonly aliasIndex = new AliasIndex();
  private readonly principalIndex = new PrincipalIndex();
  private readonly grantIndex = new GrantIndex((keySubject) => this.histories.key.get(keySubject)?.state);
  private readonly keyStoreIndex = new KeyStoreIndex();
  private readonly listeners = listenersOf([
    this.keyCensus,
    this.keyIndex,
    this.aliasIndex,
    this.principalIndex,
    this.grantIndex,
    this.keyStoreIndex,
  ]);

  /** Folds the next commit in and returns it. Throws LogCorruptError if it does not fit; nothing can be folded in after that. */
  apply(entry: LogEntry): Commit {
    return this.applyIf(entry, everyCommit)!;
  }

  /** As apply, but passes over a commit that is not wanted: whoever leaves one out leaves out what follows it, too. */
  applyIf(entry: LogEntry, isWanted: (commit: Commit) => boolean): Commit | undefined {
    const { seq, subject, bytes } = entry;
    if (seq !== this.position + 1) {
      throw new LogCorruptError(seq, subject, `follows position ${this.position}: commits are missing`);
    }
    try {
      const commit = decodeCommit(subject, bytes);
      const wanted = isWanted(commit);
      if (wanted) this.fold(commit.aggregate, entry, commit);
      this.position = seq;
      return wanted ? commit : undefined;
    } catch (error) {
      if (error instanceof LogCorruptError) throw error;
      throw new LogCorruptError(seq, subject, (error as Error).message, error);
    }
  }

  /** Passes over what lies before a position in the log, for a fold of a part of it. */
  skipTo(position: number): void {
    this.position = position;
  }

  /** Takes what a fold of the log up to `position` had come to. To be called on a new projection. */
  restore(folded: Iterable<FoldedOf<AggregateType>>, position: number): void {
    for (const one of folded) this.put(one.ref.aggregate, eventSubject(one.ref), undefined, one);
    this.position = position;
  }

  /** The fold of any aggregate; undefined before its first commit. */
  folded<T extends AggregateType>(ref: AggregateRef<T>): FoldedOf<T> | undefined {
    return this.histories[ref.aggregate].get(eventSubject(ref));
  }

  /** All aggregates of a type that ever had a commit, the deleted ones too. */
  all<T extends AggregateType>(type: T): IterableIterator<FoldedOf<T>> {
    return this.histories[type].values();
  }

  key(region: string, account: string, keyId: string): FoldedOf<'key'> | undefined {
    return this.folded({ region, account, aggregate: 'key', id: keyId });
  }

  keyBySubject(subject: string): FoldedOf<'key'> | undefined {
    return this.histories.key.get(subject);
  }

  /** `name` without its `alias/` prefix. */
  alias(region: string, account: string, name: string): FoldedOf<'alias'> | undefined {
    return this.folded({ region, account, aggregate: 'alias', id: name });
  }

  /** Names, without `alias/`, of the aliases that point at the key. */
  aliasNamesOf(ref: AggregateRef): ReadonlySet<string> {
    return this.aliasIndex.namesOf(eventSubject(ref));
  }

  allKeys(): IterableIterator<FoldedOf<'key'>> {
    return this.all('key');
  }

  allAliases(): IterableIterator<FoldedOf<'alias'>> {
    return this.all('alias');
  }

  /** Ids of keys that are not yet deleted, ascending, after `after`. */
  keyIdsAfter(region: string, account: string, after: string | undefined): Iterable<string> {
    return this.keyIndex.ids.idsAfter(regionScope({ region, account }), after);
  }

  /** The multi-Region keys of an id, in all regions that ever had one, the deleted ones too. */
  relatedKeys({ account, id }: Pick<AggregateRef, 'account' | 'id'>): Iterable<FoldedOf<'key'>> {
    return this.keyIndex.related(account, id).values();
  }

  /** Names of existing aliases, ascending, after `after`. */
  aliasNamesAfter(region: string, account: string, after: string | undefined): Iterable<string> {
    return this.aliasIndex.names.idsAfter(regionScope({ region, account }), after);
  }

  keyCount(region: string, account: string): number {
    return this.keyIndex.ids.count(regionScope({ region, account }));
  }

  /** The account's own history: whether it exists, and its root access keys. */
  account(account: string): FoldedOf<'principal'> | undefined {
    return this.folded(accountRef(account));
  }

  /** The user of a name, whatever its case; its history too where it has been deleted. */
  user(account: string, name: string): FoldedOf<'principal'> | undefined {
    return this.folded(userRef(account, name));
  }

  /** The role of a name, whatever its case; its history too where it has been deleted. */
  role(account: string, name: string): FoldedOf<'principal'> | undefined {
    return this.folded(roleRef(account, name));
  }

  /** The existing user or role with the unique id (`AIDA...`, `AROA...`). */
  principalByUniqueId(account: string, uniqueId: string): FoldedNamed | undefined {
    return this.principalIndex.withUniqueId(account, uniqueId);
  }

  /** Whether an existing user or role, of any account, has the unique id. */
  hasUniqueId(uniqueId: string): boolean {
    return this.principalIndex.hasUniqueId(uniqueId);
  }

  /** The existing access key, active or not, with its owner: a user, or an account for a root access key. */
  accessKey(accessKeyId: string): FoundAccessKey | undefined {
    return this.principalIndex.accessKey(accessKeyId);
  }

  /** Users whose path begins with `pathPrefix`, in the order of their names without case, after the name `after`. */
  usersAfter(account: string, after: string | undefined, pathPrefix = '/'): Iterable<FoldedNamed<UserPrincipal>> {
    return this.principalIndex.listed<UserPrincipal>('User', account, pathPrefix, after);
  }

  rolesAfter(account: string, after: string | undefined, pathPrefix = '/'): Iterable<FoldedNamed<RolePrincipal>> {
    return this.principalIndex.listed<RolePrincipal>('Role', account, pathPrefix, after);
  }

  principalCount(kind: NamedPrincipal['kind'], account: string): number {
    return this.principalIndex.count(kind, account);
  }

  grant(region: string, account: string, grantId: string): FoldedOf<'grant'> | undefined {
    return this.folded({ region, account, aggregate: 'grant', id: grantId });
  }

  /** The active grants of a key that is not deleted, by grantee principal: as they are now, to be read and not kept. */
  grantsByGrantee(keyRef: AggregateRef<'key'>): ReadonlyMap<string, readonly FoldedGrant[]> {
    return this.grantIndex.byGranteeOf(eventSubject(keyRef));
  }

  /** The active grants of a key that is not deleted, in the order of their ids, after the id `after`. */
  grantsOf(keyRef: AggregateRef<'key'>, after: string | undefined): Iterable<FoldedGrant> {
    return this.grantIndex.ofKey(eventSubject(keyRef), after);
  }

  grantCount(keyRef: AggregateRef<'key'>): number {
    return this.grantIndex.count(eventSubject(keyRef));
  }

  /** The active grants in a region, of keys of any account, that a principal is to retire; in the order of their ids. */
  retirableGrants(region: string, retiringPrincipal: string, after: string | undefined): Iterable<FoldedGrant> {
    return this.grantIndex.retirableBy(region, retiringPrincipal, after);
  }

  /** The custom key store, also where it has been deleted. */
  customKeyStore(region: string, account: string, storeId: string): FoldedOf<'customKeyStore'> | undefined {
    return this.folded({ region, account, aggregate: 'customKeyStore', id: storeId });
  }

  /** Existing custom key stores in the order of their ids, after the id `after`. */
  *customKeyStoresAfter(region: string, account: string, after: string | undefined): Iterable<FoldedStore> {
    const scope = regionScope({ region, account });
    for (const [, store] of this.keyStoreIndex.stores.after(scope, after)) yield store;
  }

  /** Keys of a custom key store that are not deleted, or that have material in it yet: as they are now, to be read and not kept. */
  keysInStore(storeRef: AggregateRef<'customKeyStore'>): Iterable<FoldedOf<'key'>> {
    return this.keyStoreIndex.keysIn(eventSubject(storeRef));
  }

  /** Which root key wraps material, and how far its rotation is. */
  get root(): Root {
    return this.folded(ROOT_REF)?.state ?? initialRoot;
  }

  /** Up to which of their sealing keys the records of an account and month (`2026-11`) are shredded; 0 for none. */
  shredded(account: string, month: string): number {
    return this.folded(trailRef(account, month))?.state.shredded ?? 0;
  }

  private fold<T extends AggregateType>(type: T, entry: LogEntry, commit: Commit): void {
    const before: FoldedOf<T> | undefined = this.histories[type].get(entry.subject);
    this.put(type, entry.subject, before, follow(type, before, entry, commit));
  }

  private put<T extends AggregateType>(
    type: T,
    subject: string,
    before: FoldedOf<T> | undefined,
    after: FoldedOf<T>,
  ): void {
    this.histories[type].set(subject, after);
    const change = { subject, before, after } as unknown as Change<AggregateType>;
    for (const listener of this.listeners[type]) listener(change);
  }
}

const everyCommit = (): boolean => true;

/** Checks the commit's place in its aggregate's chain, and folds its events. */
function follow<T extends AggregateType>(
  type: T,
  before: FoldedOf<T> | undefined,
  { seq, subject, bytes }: LogEntry,
  commit: Commit,
): FoldedOf<T> {
  const version = before?.version ?? 0;
  if (commit.version !== version + 1) {
    throw new LogCorruptError(seq, subject, `has version ${commit.version} where ${version + 1} must follow`);
  }
  if (commit.prevHash !== (before?.hash ?? NO_HASH)) {
    throw new LogCorruptError(seq, subject, `prevHash is not the hash of version ${version}`);
  }
  if (before && commit.time < before.time) throw new LogCorruptError(seq, subject, 'time runs backwards');
  const { initial, evolve } = aggregateOf(type);
  let state: StateOf<T> = before?.state ?? initial;
  for (const event of commit.events) state = evolve(state, event as EventOf<T>, commit.time);
  const ref = before?.ref ?? { region: commit.region, account: commit.account, aggregate: type, id: commit.id };
  return { ref, state, version: commit.version, seq, hash: commitHash(bytes), time: commit.time };
}

const byType = <V>(make: (type: AggregateType) => V): Record<AggregateType, V> =>
  Object.fromEntries(AGGREGATE_TYPES.map((type) => [type, make(type)])) as Record<AggregateType, V>;

const listenersOf = (indexes: readonly ViewIndex[]): Record<AggregateType, Listener[]> =>
  byType((type) =>
    indexes.flatMap(({ on }) => {
      const listener = on[type] as Listener | undefined;
      return listener ? [listener] : [];
    }),
  );
