import BTree from 'sorted-btree';

/** Ids in ascending order for each scope (an account, or a region of it), for lists that are read in pages. */
export class OrderedIds {
  private readonly scopes = new Map<string, BTree<string, undefined>>();

  add(scope: string, id: string): void {
    let ids = this.scopes.get(scope);
    if (!ids) {
      ids = new BTree<string, undefined>();
      this.scopes.set(scope, ids);
    }
    ids.set(id, undefined);
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

  /** Ids that come after `after`, ascending; all of them without it. */
  *after(scope: string, after: string | undefined): Iterable<string> {
    const ids = this.scopes.get(scope);
    if (!ids) return;
    let next = after === undefined ? ids.minKey() : ids.nextHigherKey(after);
    while (next !== undefined) {
      yield next;
      next = ids.nextHigherKey(next);
    }
  }
}

export const regionScope = (ref: { region: string; account: string }): string => `${ref.region}/${ref.account}`;
