/** What is known of imported material besides its id. */
export interface ImportStatus {
  /** Whether Keytrail has a copy now. */
  importState: 'IMPORTED' | 'PENDING_IMPORT';
  /** When the copy expires; absent where it never does, or there is none. */
  validTo?: string;
  /** As its owner describes it, by the last import that did. */
  description?: string;
}

/** Imported material that the next rotation takes; until then it is not its key's for ever. */
export interface PendingRotation {
  materialId: string;
  storedAs: string;
  imported: ImportStatus;
}

/** A copy that no key uses any more, to be erased. */
export interface ReleasedCopy {
  storedAs: string;
  since: string;
}

const MATERIAL_ID_LENGTH = 64;

/** Where a copy lies in the material store: the material's id, and something that no copy had before. */
export const placeOfCopy = (materialId: string, unique: string): string => `${materialId}-${unique}`;

/** The id of the material that lies there, a copy of imported material or not. */
export const materialIdIn = (place: string): string => place.slice(0, MATERIAL_ID_LENGTH);
