import { eventSubject } from '#domain/subjects';
import type { Change, FoldedOf, ViewIndex } from '../folded';
import { OrderedIds, regionScope } from './ordered-ids';

const NONE: ReadonlyMap<string, FoldedOf<'key'>> = new Map();

/** Keys that are not yet deleted, by region and account; multi-Region keys, the deleted ones too, by account and id. */
export class KeyIndex implements ViewIndex {
  readonly ids = new OrderedIds();
  private readonly families = new Map<string, Map<string, FoldedOf<'key'>>>();

  readonly on = { key: (change: Change<'key'>): void => this.noteKey(change) };

  /** By subject: as they are now, to be read and not kept. */
  related(account: string, keyId: string): ReadonlyMap<string, FoldedOf<'key'>> {
    return this.families.get(familyOf(account, keyId)) ?? NONE;
  }

  private noteKey({ before, after }: Change<'key'>): void {
    const { ref, state } = after;
    if (state.keyState === 'Deleted') this.ids.remove(regionScope(ref), ref.id);
    // A replica may be made anew where one was deleted.
    else if (!before || before.state.keyState === 'Deleted') this.ids.set(regionScope(ref), ref.id, undefined);
    if (state.keyState !== 'None' && state.family) {
      const family = familyOf(ref.account, ref.id);
      const related = this.families.get(family) ?? new Map<string, FoldedOf<'key'>>();
      this.families.set(family, related.set(eventSubject(ref), after));
    }
  }
}

const familyOf = (account: string, keyId: string): string => `${account}/${keyId}`;
