import type { KeyObject } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { SealedScope, SealingKeys } from '../recording/sealing-keys';

export type KeysToUnseal = Pick<SealingKeys, 'toUnseal'>;

const REMEMBERED_KEYS = 1_000;

/** Keys that records are read with, each asked for once; undefined for one that is shredded, as soon as this process has heard. */
export class RememberedKeys implements KeysToUnseal {
  private readonly keys = new LRUCache<string, KeyObject>({ max: REMEMBERED_KEYS });

  constructor(
    private readonly sealingKeys: KeysToUnseal,
    /** Up to which generation keys of a scope are shredded, as this process has heard. */
    private readonly shredded: (account: string, month: string) => number = () => 0,
  ) {}

  async toUnseal(scope: SealedScope): Promise<KeyObject | undefined> {
    if (this.shredded(scope.account, scope.month) >= scope.generation) return undefined;
    const name = `${scope.account} ${scope.month} ${scope.generation} ${scope.writer}`;
    const known = this.keys.get(name);
    if (known) return known;
    const key = await this.sealingKeys.toUnseal(scope);
    if (key) this.keys.set(name, key);
    return key;
  }

  /** No key stays in memory. */
  forget(): void {
    this.keys.clear();
  }
}
