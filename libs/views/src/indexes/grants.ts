import type { ActiveGrant } from '#domain/grant/grant';
import { isLiving, type Key } from '#domain/key/state';
import { type AggregateRef, eventSubject } from '#domain/subjects';
import type { Change, Folded, FoldedOf, ViewIndex } from '../folded';
import { OrderedIds } from './ordered-ids';

export type FoldedGrant = Folded<ActiveGrant, 'grant'>;

const NONE: ReadonlyMap<string, readonly FoldedGrant[]> = new Map();

/** Active grants of keys that are not deleted: by key, by key and grantee, and by retiring principal. */
export class GrantIndex implements ViewIndex {
  readonly on = {
    grant: (change: Change<'grant'>): void => this.noteGrant(change),
    key: (change: Change<'key'>): void => this.noteKey(change),
  };
  private readonly byKey = new OrderedIds<FoldedGrant>();
  private readonly byGrantee = new Map<string, Map<string, FoldedGrant[]>>();
  private readonly byRetiring = new OrderedIds<FoldedGrant>();

  constructor(private readonly keyOf: (keySubject: string) => Key | undefined) {}

  /** On the path of every decision: one look-up in a map, and nothing made. */
  byGranteeOf(keySubject: string): ReadonlyMap<string, readonly FoldedGrant[]> {
    return this.byGrantee.get(keySubject) ?? NONE;
  }

  *ofKey(keySubject: string, after: string | undefined): Iterable<FoldedGrant> {
    for (const [, grant] of this.byKey.after(keySubject, after)) yield grant;
  }

  count(keySubject: string): number {
    return this.byKey.count(keySubject);
  }

  *retirableBy(region: string, principal: string, after: string | undefined): Iterable<FoldedGrant> {
    for (const [, grant] of this.byRetiring.after(retiringScope(region, principal), after)) yield grant;
  }

  private noteGrant({ before, after }: Change<'grant'>): void {
    if (before && isActive(before)) this.drop(before);
    if (isActive(after)) this.put(after);
  }

  /** The grants of a deleted key are gone with it, though no event says so. */
  private noteKey({ subject, after }: Change<'key'>): void {
    if (after.state.keyState !== 'Deleted' || this.byKey.count(subject) === 0) return;
    for (const grant of [...this.ofKey(subject, undefined)]) this.drop(grant);
  }

  private put(grant: FoldedGrant): void {
    const keySubject = keySubjectOf(grant);
    // CreateGrant had seen the key before it was deleted; or it is another key by now, made where that one was deleted.
    const key = this.keyOf(keySubject);
    if (key?.keyState === 'Deleted' || (key && isOfFormer(grant, key))) return;
    const { granteePrincipal, retiringPrincipal } = grant.state;
    this.byKey.set(keySubject, grant.ref.id, grant);
    if (retiringPrincipal !== undefined) {
      this.byRetiring.set(retiringScope(grant.ref.region, retiringPrincipal), grant.ref.id, grant);
    }
    const grantees = this.byGrantee.get(keySubject) ?? new Map<string, FoldedGrant[]>();
    this.byGrantee.set(keySubject, grantees);
    const grants = grantees.get(granteePrincipal);
    if (grants) grants.push(grant);
    else grantees.set(granteePrincipal, [grant]);
  }

  private drop(grant: FoldedGrant): void {
    const keySubject = keySubjectOf(grant);
    const { granteePrincipal, retiringPrincipal } = grant.state;
    this.byKey.remove(keySubject, grant.ref.id);
    if (retiringPrincipal !== undefined) {
      this.byRetiring.remove(retiringScope(grant.ref.region, retiringPrincipal), grant.ref.id);
    }
    const grantees = this.byGrantee.get(keySubject);
    const grants = grantees?.get(granteePrincipal);
    if (!grantees || !grants) return;
    const at = grants.indexOf(grant);
    if (at >= 0) grants.splice(at, 1);
    if (grants.length === 0) grantees.delete(granteePrincipal);
    if (grantees.size === 0) this.byGrantee.delete(keySubject);
  }
}

/** Whether the grant was of a key of this id that was deleted before this one was made. */
const isOfFormer = ({ state }: FoldedGrant, key: Key): boolean =>
  isLiving(key) && key.family?.formerDeletedAt !== undefined && state.createdAt <= key.family.formerDeletedAt;

const isActive = (grant: FoldedOf<'grant'>): grant is FoldedGrant => grant.state.grantState === 'Active';

const keySubjectOf = ({ ref, state }: FoldedGrant): string => {
  const { region, account } = ref;
  return eventSubject({ region, account, aggregate: 'key', id: state.keyId } satisfies AggregateRef);
};

const retiringScope = (region: string, principal: string): string => `${region} ${principal}`;
