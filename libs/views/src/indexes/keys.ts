import type { Change, ViewIndex } from '../folded';
import { OrderedIds, regionScope } from './ordered-ids';

/** Keys that are not yet deleted, by region and account. */
export class KeyIndex implements ViewIndex {
  readonly ids = new OrderedIds();

  readonly on = { key: (change: Change<'key'>): void => this.noteKey(change) };

  private noteKey({ before, after }: Change<'key'>): void {
    if (after.state.keyState === 'Deleted') this.ids.remove(regionScope(after.ref), after.ref.id);
    else if (!before) this.ids.set(regionScope(after.ref), after.ref.id, undefined);
  }
}
