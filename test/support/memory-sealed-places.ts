import type { MaterialType } from '#hsm/material-record';

/** Stands in for the vault where what is stored is no backing key: in clear. */
export class MemorySealedPlaces {
  private readonly stored = new Map<string, { type: MaterialType; owner: string; bytes: Buffer }>();

  get names(): string[] {
    return [...this.stored.keys()];
  }

  readonly storeSealed = async (type: MaterialType, owner: string, place: string, bytes: Uint8Array): Promise<void> => {
    if (!this.stored.has(place)) this.stored.set(place, { type, owner, bytes: Buffer.from(bytes) });
  };

  readonly openSealed = async (type: MaterialType, owner: string, place: string): Promise<Buffer | undefined> => {
    const found = this.stored.get(place);
    return found?.type === type && found.owner === owner ? Buffer.from(found.bytes) : undefined;
  };

  readonly describe = async (place: string): Promise<{ type: MaterialType; owner: string } | undefined> =>
    this.stored.get(place);

  readonly destroy = async (place: string): Promise<void> => {
    this.stored.delete(place);
  };

  get ports() {
    const { storeSealed, openSealed, describe } = this;
    return { storeSealed, openSealed, describe };
  }
}
