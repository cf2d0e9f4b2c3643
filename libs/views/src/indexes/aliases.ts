import type { Alias } from '#domain/alias/alias';
import { type AggregateRef, eventSubject } from '#domain/subjects';
import type { Change, ViewIndex } from '../folded';
import { OrderedIds, regionScope } from './ordered-ids';

const NOTHING: ReadonlySet<string> = new Set();

/** Existing aliases by region and account, and by the key they point at. */
export class AliasIndex implements ViewIndex {
  readonly names = new OrderedIds();
  readonly on = { alias: (change: Change<'alias'>): void => this.noteAlias(change) };
  private readonly byKey = new Map<string, Set<string>>();

  namesOf(keySubject: string): ReadonlySet<string> {
    return this.byKey.get(keySubject) ?? NOTHING;
  }

  private noteAlias({ before, after }: Change<'alias'>): void {
    const { ref } = after;
    const was = before && targetOf(ref, before.state);
    const is = targetOf(ref, after.state);
    if (was !== is) {
      if (was !== undefined) this.drop(was, ref.id);
      if (is !== undefined) this.put(is, ref.id);
    }
    if (is === undefined) this.names.remove(regionScope(ref), ref.id);
    else this.names.set(regionScope(ref), ref.id, undefined);
  }

  private put(keySubject: string, name: string): void {
    const names = this.byKey.get(keySubject);
    if (names) names.add(name);
    else this.byKey.set(keySubject, new Set([name]));
  }

  private drop(keySubject: string, name: string): void {
    const names = this.byKey.get(keySubject);
    names?.delete(name);
    if (names?.size === 0) this.byKey.delete(keySubject);
  }
}

/** The subject of the key that the alias points at. */
const targetOf = ({ region, account }: AggregateRef, alias: Alias): string | undefined =>
  alias.aliasState === 'Active'
    ? eventSubject({ region, account, aggregate: 'key', id: alias.targetKeyId })
    : undefined;
