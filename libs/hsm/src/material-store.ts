export interface StoredMaterial {
  materialId: string;
  bytes: Uint8Array;
}

export interface MaterialEntry {
  materialId: string;
  /** When it was stored, in ms since the epoch. */
  storedAt: number;
  /** How far the event log had come by then, as whoever stored it knew; 0 where that was not said. */
  logPosition: number;
}

/**
 * Where wrapped material lies. Only a crypto-worker holds one. All calls reject with MaterialStoreUnavailableError when,
 * after retries, the outcome is not known. A material id must be a subject token: no `.`, `*`, `>` or white space.
 */
export interface MaterialStore {
  /**
   * Durably stores; where the id is there already nothing changes and the answer is `exists`. After a time-out within,
   * `exists` may mean this very call. `logPosition` is kept beside it, for `list`.
   */
  put(materialId: string, bytes: Uint8Array, logPosition?: number): Promise<'stored' | 'exists'>;
  get(materialId: string): Promise<StoredMaterial | undefined>;
  /** Overwrites it on disk and sees that it is gone. Whether there was anything to erase. */
  erase(materialId: string): Promise<boolean>;
  /** All that is stored, oldest first. */
  list(): Promise<MaterialEntry[]>;
}

export class MaterialStoreUnavailableError extends Error {
  override readonly name = 'MaterialStoreUnavailableError';
}
