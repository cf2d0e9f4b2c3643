import type { NamedIds } from '../named-ids';
import type { KeyOrigin, Tag } from './events';
import type { ImportStatus, PendingRotation, ReleasedCopy } from './imported/status';
import type { KeySpec, KeyUsage } from './key-kinds';

/** One generation of a key's material. The current one is the last of the list. */
export interface KeyVersion {
  version: number;
  materialId: string;
  /** When it became current: creation for version 1, else the rotation's date. */
  since: string;
  /** How it came; `CREATED` for version 1. */
  cause: 'CREATED' | 'AUTOMATIC' | 'ON_DEMAND';
  /** Where it lies in the material store, where that is not under its id; absent too while there is no copy. */
  storedAs?: string;
  /** Of imported material. */
  imported?: ImportStatus;
}

export interface KeyFacts {
  createdAt: string;
  description: string;
  keyUsage: KeyUsage;
  keySpec: KeySpec;
  origin: KeyOrigin;
  multiRegion: boolean;
  policy: string;
  /** Of the policy as it is. */
  namedIds?: NamedIds;
  tags: readonly Tag[];
  versions: readonly KeyVersion[];
  /** SubjectPublicKeyInfo (RFC 5280) in base64; of asymmetric keys. */
  publicKey?: string;
  /** Set for an AWS managed key: nothing about it can be changed. */
  manager?: 'AWS';
  /** Automatic rotation; absent when it is off. */
  rotation?: { periodInDays: number; nextRotationDate: string };
  /** Of keys with imported material. */
  pendingRotation?: PendingRotation;
  /** Copies of material to be erased; absent where there are none. */
  released?: readonly ReleasedCopy[];
  /** Copies that were: should a backup bring one back, it is erased again. */
  erased?: readonly string[];
}

export interface NoKey {
  keyState: 'None';
}
export interface EnabledKey extends KeyFacts {
  keyState: 'Enabled';
}
export interface DisabledKey extends KeyFacts {
  keyState: 'Disabled';
}
/** Without material that it needs, or with none yet. */
export interface PendingImportKey extends KeyFacts {
  keyState: 'PendingImport';
}
export interface PendingDeletionKey extends KeyFacts {
  keyState: 'PendingDeletion';
  deletionDate: string;
  pendingWindowInDays: number;
}
/** What is left of a key: enough to erase its material and to tell its history. */
export interface DeletedKey {
  keyState: 'Deleted';
  createdAt: string;
  deletedAt: string;
  /** Materials not yet recorded as erased; empty once KeyMaterialDestroyed is in the log. */
  materialIds: readonly string[];
  /** Every material the key ever had: should a backup bring one back, it is erased again. */
  allMaterialIds: readonly string[];
}

export type LivingKey = EnabledKey | DisabledKey | PendingImportKey | PendingDeletionKey;
export type Key = NoKey | LivingKey | DeletedKey;

export const initialKey: Key = { keyState: 'None' };

export const isLiving = (key: Key): key is LivingKey => key.keyState !== 'None' && key.keyState !== 'Deleted';

/** Of a key that has been imported into, or was made with material. */
export const currentVersion = (key: KeyFacts): KeyVersion => key.versions[key.versions.length - 1]!;

/** With the next automatic rotation moved, where one is due at all. */
export const movedRotation = (key: LivingKey, nextRotationDate: string | undefined): Pick<LivingKey, 'rotation'> =>
  key.rotation && nextRotationDate ? { rotation: { ...key.rotation, nextRotationDate } } : {};

/** The facts alone, without what belongs to PendingDeletion. */
export const settled = (key: LivingKey, keyState: 'Enabled' | 'Disabled'): LivingKey => {
  if (key.keyState !== 'PendingDeletion') return { ...key, keyState };
  const { deletionDate: _deletionDate, pendingWindowInDays: _pendingWindowInDays, ...facts } = key;
  return { ...facts, keyState };
};
