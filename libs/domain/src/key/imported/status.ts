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
  /** Absent where a related key has brought the material, and this one has no copy of it. */
  storedAs?: string;
  imported: ImportStatus;
}

/** What related keys share of their imported materials: which there are, and no copy of any. */
export interface SharedImports {
  /** Counts the changes of which materials there are; of two the higher is the newer. */
  revision: number;
  /** What waits for a rotation. */
  pendingMaterialId?: string;
}

/** A copy that no key uses any more, to be erased. */
export interface ReleasedCopy {
  storedAs: string;
  since: string;
}

/** Where a copy lies in the material store: the material's id, and something that no copy had before. */
export const placeOfCopy = (materialId: string, unique: string): string => `${materialId}-${unique}`;
