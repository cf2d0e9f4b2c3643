import type { KnownUse, LastUses } from './last-uses';

/** Not an error: a policy asks when the key was last used, which must be looked up first. */
export class LastUseNotKnown extends Error {
  override readonly name = 'LastUseNotKnown';

  constructor(readonly keyArn: string) {
    super('the last use of the key must be looked up first');
  }
}

/** When keys were last used, as decisions on them ask for it: looked up only then, once for each time it is begun. */
export class AskedUses {
  private readonly known = new Map<string, KnownUse>();

  /** Throws LastUseNotKnown, on which run-operation looks it up and begins anew. */
  of(keyArn: string): KnownUse {
    const known = this.known.get(keyArn);
    if (!known) throw new LastUseNotKnown(keyArn);
    return known;
  }

  async learn({ keyArn }: LastUseNotKnown, lastUses: LastUses): Promise<void> {
    this.known.set(keyArn, await lastUses.lastUse('key', keyArn));
  }

  forget(): void {
    this.known.clear();
  }
}
