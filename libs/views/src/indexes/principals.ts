import {
  type AccessKey,
  hasAccessKeys,
  isNamed,
  type NamedPrincipal,
  type Principal,
  type PrincipalWithAccessKeys,
} from '#domain/principal/state';
import type { Change, Folded, FoldedOf, ViewIndex } from '../folded';
import { OrderedIds } from './ordered-ids';

export type FoldedNamed<P extends NamedPrincipal = NamedPrincipal> = Folded<P, 'principal'>;

/** An access key that exists, and whose it is. */
export interface FoundAccessKey {
  accessKey: AccessKey;
  account: string;
  owner: Folded<PrincipalWithAccessKeys, 'principal'>;
}

type NamedKind = NamedPrincipal['kind'];

/** Users and roles by unique id and in the order of their names, and access keys by their ids. */
export class PrincipalIndex implements ViewIndex {
  readonly on = { principal: (change: Change<'principal'>): void => this.notePrincipal(change) };
  private readonly byName: Record<NamedKind, OrderedIds<FoldedNamed>> = {
    User: new OrderedIds(),
    Role: new OrderedIds(),
  };
  /** By account, then by unique id: on the path of every request, so that no name has to be put together. */
  private readonly byUniqueId = new Map<string, Map<string, FoldedNamed>>();
  private readonly byAccessKeyId = new Map<string, FoundAccessKey>();

  /** The user or role that has the unique id now; none for one that was deleted. */
  withUniqueId(account: string, uniqueId: string): FoldedNamed | undefined {
    return this.byUniqueId.get(account)?.get(uniqueId);
  }

  /** Whether anybody of any account has it now. */
  hasUniqueId(uniqueId: string): boolean {
    for (const inAccount of this.byUniqueId.values()) if (inAccount.has(uniqueId)) return true;
    return false;
  }

  accessKey(accessKeyId: string): FoundAccessKey | undefined {
    return this.byAccessKeyId.get(accessKeyId);
  }

  /** Those whose path begins with `pathPrefix`, in the order of their names (without case), after the name `after`. */
  *listed<P extends NamedPrincipal>(
    kind: P['kind'],
    account: string,
    pathPrefix: string,
    after: string | undefined,
  ): Iterable<FoldedNamed<P>> {
    for (const [, folded] of this.byName[kind].after(account, after?.toLowerCase())) {
      if (folded.state.path.startsWith(pathPrefix)) yield folded as FoldedNamed<P>;
    }
  }

  count(kind: NamedKind, account: string): number {
    return this.byName[kind].count(account);
  }

  private notePrincipal({ before, after }: Change<'principal'>): void {
    if (before) this.drop(before);
    const { account } = after.ref;
    if (isFolded(after, isNamed)) {
      const { kind, name, uniqueId } = after.state;
      const inAccount = this.byUniqueId.get(account) ?? new Map<string, FoldedNamed>();
      this.byUniqueId.set(account, inAccount.set(uniqueId, after));
      this.byName[kind].set(account, name.toLowerCase(), after);
    }
    if (isFolded(after, hasAccessKeys)) {
      for (const accessKey of after.state.accessKeys) {
        this.byAccessKeyId.set(accessKey.accessKeyId, { accessKey, account, owner: after });
      }
    }
  }

  private drop(before: FoldedOf<'principal'>): void {
    const { ref, state } = before;
    if (isNamed(state)) {
      this.byUniqueId.get(ref.account)?.delete(state.uniqueId);
      this.byName[state.kind].remove(ref.account, state.name.toLowerCase());
    }
    if (hasAccessKeys(state)) for (const { accessKeyId } of state.accessKeys) this.byAccessKeyId.delete(accessKeyId);
  }
}

const isFolded = <P extends Principal>(
  folded: FoldedOf<'principal'>,
  is: (principal: Principal) => principal is P,
): folded is Folded<P, 'principal'> => is(folded.state);
