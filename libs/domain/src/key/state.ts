import type { NamedIds } from '../named-ids';
import type { KeyOrigin, Tag } from './events';
import type { ImportStatus, PendingRotation, ReleasedCopy } from './imported/status';
import type { KeySpec, KeyUsage } from './key-kinds';
import type { ReplicaProperties } from './multi-region-events';

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

export interface AutomaticRotation {
  periodInDays: number;
  nextRotationDate: string;
}

/** A replica as its primary counts it. */
export interface Replica {
  region: string;
  generation: number;
  /** Of keys with imported material: that the replica has imported what waits for a rotation. */
  hasPending?: true;
  /** What it is to be made of, and since when, until the primary knows that it is there. */
  begun?: ReplicaProperties & { at: string };
}

/** What a multi-Region key is to its related keys. */
export interface Family {
  keyType: 'PRIMARY' | 'REPLICA';
  /** Counts the primaries that there have been, as far as this key knows. */
  term: number;
  /** Counts the keys of this id that there have been in this region. */
  generation: number;
  /** When the one before it in this region was deleted. */
  formerDeletedAt?: string;
  /** Of a primary. Of one that has handed over, as they were, until the next primary has them. */
  replicas: readonly Replica[];
  /** The region whose key this one has handed over to, until that is the primary. */
  handedTo?: string;
  /** Of keys with imported material: that of the SharedImports which this key knows; none is 0. */
  revision?: number;
}

export interface KeyFacts {
  createdAt: string;
  description: string;
  keyUsage: KeyUsage;
  keySpec: KeySpec;
  origin: KeyOrigin;
  multiRegion: boolean;
  /** Of multi-Region keys. */
  family?: Family;
  policy: string;
  /** Of the policy as it is. */
  namedIds?: NamedIds;
  tags: readonly Tag[];
  versions: readonly KeyVersion[];
  /** SubjectPublicKeyInfo (RFC 5280) in base64; of asymmetric keys. */
  publicKey?: string;
  /** Of a key in a custom key store. */
  customKeyStoreId?: string;
  /** Of a key in an external key store. */
  xksKeyId?: string;
  /** Set for an AWS managed key: nothing about it can be changed. */
  manager?: 'AWS';
  /** Automatic rotation; absent when it is off. */
  rotation?: AutomaticRotation;
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
/** To be deleted once it has no replicas any more, and a waiting period has gone by after that. */
export interface PendingReplicaDeletionKey extends KeyFacts {
  keyState: 'PendingReplicaDeletion';
  pendingWindowInDays: number;
}
/** A replica that its primary does not know to be there yet. */
export interface CreatingKey extends KeyFacts {
  keyState: 'Creating';
}
/** One that has handed over, or taken over, what a primary is; `restores` is its state before and after. */
export interface UpdatingKey extends KeyFacts {
  keyState: 'Updating';
  restores: 'Enabled' | 'Disabled';
}
/**
 * One whose custom key store is not connected, as callers see it: no key is folded to this. `restores` is its state as soon as the
 * store is connected.
 */
export interface UnavailableKey extends KeyFacts {
  keyState: 'Unavailable';
  restores: 'Enabled' | 'Disabled';
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
  /** Of a key that was in a custom key store. */
  customKeyStoreId?: string;
  /** Of a multi-Region key. */
  family?: Pick<Family, 'term' | 'generation'>;
}

export type LivingKey =
  | EnabledKey
  | DisabledKey
  | PendingImportKey
  | PendingDeletionKey
  | PendingReplicaDeletionKey
  | CreatingKey
  | UpdatingKey
  | UnavailableKey;
export type Key = NoKey | LivingKey | DeletedKey;

export const initialKey: Key = { keyState: 'None' };

export const isLiving = (key: Key): key is LivingKey => key.keyState !== 'None' && key.keyState !== 'Deleted';

/** Of a key that has been imported into, or was made with material. */
export const currentVersion = (key: KeyFacts): KeyVersion => key.versions[key.versions.length - 1]!;

/** With the next automatic rotation moved, where one is due at all. */
export const movedRotation = (key: LivingKey, nextRotationDate: string | undefined): Pick<LivingKey, 'rotation'> =>
  key.rotation && nextRotationDate ? { rotation: { ...key.rotation, nextRotationDate } } : {};

/** The facts alone, without what belongs to one state. */
export function factsOf(key: LivingKey): KeyFacts {
  switch (key.keyState) {
    case 'PendingDeletion': {
      const { keyState: _keyState, deletionDate: _date, pendingWindowInDays: _window, ...facts } = key;
      return facts;
    }
    case 'PendingReplicaDeletion': {
      const { keyState: _keyState, pendingWindowInDays: _window, ...facts } = key;
      return facts;
    }
    case 'Updating':
    case 'Unavailable': {
      const { keyState: _keyState, restores: _restores, ...facts } = key;
      return facts;
    }
    case 'Enabled':
    case 'Disabled':
    case 'PendingImport':
    case 'Creating': {
      const { keyState: _keyState, ...facts } = key;
      return facts;
    }
  }
}

export const settled = (key: LivingKey, keyState: 'Enabled' | 'Disabled'): LivingKey => ({ keyState, ...factsOf(key) });

/** Whether it is to be deleted, at a date or after its replicas. */
export const isPendingDeletion = ({ keyState }: Key): boolean =>
  keyState === 'PendingDeletion' || keyState === 'PendingReplicaDeletion';

/** Whether the key's rotation is its own to see to: a replica has what its primary has. */
export const isReplica = (key: KeyFacts): boolean => key.family?.keyType === 'REPLICA';
