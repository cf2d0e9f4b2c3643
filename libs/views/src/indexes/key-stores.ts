import type { ExistingStore } from '#domain/custom-key-store/state';
import { isLiving, type Key } from '#domain/key/state';
import { type AggregateRef, eventSubject } from '#domain/subjects';
import type { Change, Folded, FoldedOf, ViewIndex } from '../folded';
import { OrderedIds, regionScope } from './ordered-ids';

export type FoldedStore = Folded<ExistingStore, 'customKeyStore'>;

/** Existing custom key stores by region and account, and what keys there are in each. */
export class KeyStoreIndex implements ViewIndex {
  readonly stores = new OrderedIds<FoldedStore>();
  private readonly keys = new Map<string, Map<string, FoldedOf<'key'>>>();

  readonly on = {
    customKeyStore: (change: Change<'customKeyStore'>): void => this.noteStore(change),
    key: (change: Change<'key'>): void => this.noteKey(change),
  };

  keysIn(storeSubject: string): Iterable<FoldedOf<'key'>> {
    return this.keys.get(storeSubject)?.values() ?? [];
  }

  private noteStore({ after }: Change<'customKeyStore'>): void {
    const { ref, state } = after;
    if (state.storeState === 'Existing') this.stores.set(regionScope(ref), ref.id, { ...after, state });
    else this.stores.remove(regionScope(ref), ref.id);
  }

  private noteKey({ subject, after }: Change<'key'>): void {
    const storeSubject = storeOf(after.ref, after.state);
    if (storeSubject === undefined) return;
    const keys = this.keys.get(storeSubject) ?? new Map<string, FoldedOf<'key'>>();
    if (hasMaterial(after.state)) this.keys.set(storeSubject, keys.set(subject, after));
    else if (keys.delete(subject) && keys.size === 0) this.keys.delete(storeSubject);
  }
}

function storeOf({ region, account }: AggregateRef, key: Key): string | undefined {
  const id = key.keyState === 'None' ? undefined : key.customKeyStoreId;
  return id === undefined ? undefined : eventSubject({ region, account, aggregate: 'customKeyStore', id });
}

const hasMaterial = (key: Key): boolean => isLiving(key) || (key.keyState === 'Deleted' && key.materialIds.length > 0);
