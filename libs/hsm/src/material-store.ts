export interface StoredMaterial {
  materialId: string;
  bytes: Uint8Array;
  /** Of this very copy, ascending in the order of storing. */
  sequence: number;
}

/**
 * Where a copy of material lies. New material is stored without an epoch; a rotation of the root key moves it to the place of the
 * epoch that it is wrapped under then.
 */
export interface MaterialPlace {
  materialId: string;
  epoch?: number;
}

export interface MaterialEntry extends MaterialPlace {
  /** When it was stored, in ms since the epoch. */
  storedAt: number;
  /** How far the event log had come by then, as whoever stored it knew; 0 where that was not said. */
  logPosition: number;
}

/** One copy, met on the way through all of them. */
export interface MaterialOnTheWay extends StoredMaterial, MaterialPlace {}

/**
 * Where wrapped material lies. Only a crypto-worker holds one. All calls reject with MaterialStoreUnavailableError when,
 * after retries, the outcome is not known. A material id must be a subject token: no `.`, `*`, `>` or white space.
 */
export interface MaterialStore {
  /**
   * Durably stores; where the place is taken already nothing changes and the answer is `exists`. After a time-out within,
   * `exists` may mean this very call. `logPosition` is kept beside it, for `list`.
   */
  put(materialId: string, bytes: Uint8Array, logPosition?: number, epoch?: number): Promise<'stored' | 'exists'>;
  get(materialId: string, epoch?: number): Promise<StoredMaterial | undefined>;
  /**
   * Overwrites it on disk and sees that it is gone. Whether there was anything to erase; with a sequence, that copy alone, and not
   * what may have been put in its place.
   */
  erase(materialId: string, epoch?: number, sequence?: number): Promise<boolean>;
  /** All copies that are stored, oldest first. */
  list(): Promise<MaterialEntry[]>;
  /** The first copy that was stored after that one: nothing that was there before the call is passed over. */
  next(after: number): Promise<MaterialOnTheWay | undefined>;
  /** How many copies there are. */
  count(): Promise<number>;
}

export class MaterialStoreUnavailableError extends Error {
  override readonly name = 'MaterialStoreUnavailableError';
}
