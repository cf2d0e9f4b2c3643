import BTree from 'sorted-btree';

/** Ids in ascending order for each scope (an account, a region of it, a key), for lists that are read in pages. */
export class OrderedIds<V = undefined> {
  private readonly scopes = new Map<string, BTree<string, V>>();

  set(scope: string, id: string, value: V): void {
    let ids = this.scopes.get(scope);
    if (!ids) {
      ids = new BTree<string, V>();
      this.scopes.set(scope, ids);
    }
    ids.set(id, value);
  }

  remove(scope: string, id: string): void {
    const ids = this.scopes.get(scope);
    ids?.delete(id);
    if (ids?.size === 0) this.scopes.delete(scope);
  }

  removeAll(scope: string): void {
    this.scopes.delete(scope);
  }

  count(scope: string): number {
    return this.scopes.get(scope)?.size ?? 0;
  }

  /** Ids with their values that come after `after`, ascending; all of them without it. */
  *after(scope: string, after: string | undefined): Iterable<[string, V]> {
    const ids = this.scopes.get(scope);
    let next = ids?.nextHigherPair(after);
    while (next !== undefined) {
      yield next;
      next = ids?.nextHigherPair(next[0]);
    }
  }

  *idsAfter(scope: string, after: string | undefined): Iterable<string> {
    for (const [id] of this.after(scope, after)) yield id;
  }
}

export const regionScope = (ref: { region: string; account: string }): string => `${ref.region}/${ref.account}`;
