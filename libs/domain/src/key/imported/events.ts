/** A copy of the material is stored: the first that the key has, one that the next rotation takes, or again one that it had. */
export interface KeyMaterialImported {
  type: 'KeyMaterialImported';
  v: 1;
  importType: ImportType;
  materialId: string;
  /** Where the copy lies; stored before this event is appended. */
  storedAs: string;
  /** When it expires; absent where it never does. */
  validTo?: string;
  /** Absent where the import gave none: the one before stays. */
  description?: string;
  /** SubjectPublicKeyInfo (RFC 5280) in base64; of asymmetric keys. */
  publicKey?: string;
}

/** The material is over by its date. The copy is erased next. */
export interface KeyMaterialExpired {
  type: 'KeyMaterialExpired';
  v: 1;
  materialId: string;
}

/** Somebody deleted it. The copy is erased next. */
export interface ImportedKeyMaterialDeleted {
  type: 'ImportedKeyMaterialDeleted';
  v: 1;
  materialId: string;
}

/** Copies that expiry, deletion or a newer import released have been erased from the store. */
export interface ReleasedMaterialErased {
  type: 'ReleasedMaterialErased';
  v: 1;
  storedAs: string[];
  /** How many erased copies are remembered from now on, the newest; all of them where it is absent. */
  remembered?: number;
}

export type ImportType = 'NEW_KEY_MATERIAL' | 'EXISTING_KEY_MATERIAL';

export type ImportEvent =
  | KeyMaterialImported
  | KeyMaterialExpired
  | ImportedKeyMaterialDeleted
  | ReleasedMaterialErased;
