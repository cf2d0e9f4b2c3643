import type { NamedIds } from '../named-ids';
import type { ImportEvent } from './imported/events';
import type { KeySpec, KeyUsage } from './key-kinds';
import type { MultiRegionEvent } from './multi-region-events';

/**
 * What can happen to a key. Past tense; each carries all that evolve needs, so that replay reads no clock and repeats
 * no side effect. `v` is the event's own version: a changed shape gets a higher one and an upcaster.
 * Dates are ISO 8601 in UTC with milliseconds. Never any key material, not even wrapped.
 */
export interface KeyCreated {
  type: 'KeyCreated';
  v: 1;
  description: string;
  keyUsage: KeyUsage;
  keySpec: KeySpec;
  origin: KeyOrigin;
  multiRegion: boolean;
  policy: string;
  /** Whom the policy meant; absent where it names nobody. */
  namedIds?: NamedIds;
  tags: Tag[];
  /** Version 1 of the backing key; stored before this event is appended. Absent where it is to be imported. */
  materialId?: string;
  /** SubjectPublicKeyInfo (RFC 5280) in base64; of asymmetric keys. */
  publicKey?: string;
  /** Of a key in a custom key store. */
  customKeyStoreId?: string;
  /** Which external key it is encrypted under as well; of a key in an external key store. */
  xksKeyId?: string;
  /** Set for an AWS managed key; the customer's otherwise. */
  manager?: 'AWS';
}

export interface KeyEnabled {
  type: 'KeyEnabled';
  v: 1;
  /** Set where a rotation came due while the key was disabled: it is made up for once, now. */
  nextRotationDate?: string;
}

export interface KeyDisabled {
  type: 'KeyDisabled';
  v: 1;
}

export interface KeyDescriptionUpdated {
  type: 'KeyDescriptionUpdated';
  v: 1;
  description: string;
}

export interface KeyTagged {
  type: 'KeyTagged';
  v: 1;
  tags: Tag[];
}

export interface KeyUntagged {
  type: 'KeyUntagged';
  v: 1;
  tagKeys: string[];
}

export interface KeyPolicyPut {
  type: 'KeyPolicyPut';
  v: 1;
  policy: string;
  namedIds?: NamedIds;
}

export interface KeyRotationEnabled {
  type: 'KeyRotationEnabled';
  v: 1;
  rotationPeriodInDays: number;
  nextRotationDate: string;
}

export interface KeyRotationDisabled {
  type: 'KeyRotationDisabled';
  v: 1;
}

export interface KeyRotated {
  type: 'KeyRotated';
  v: 1;
  rotationType: 'AUTOMATIC' | 'ON_DEMAND';
  /** An automatic rotation is dated by its deadline, however late it fired. */
  rotationDate: string;
  /** Set for an automatic rotation. */
  nextRotationDate?: string;
  /** Version of the new backing key. */
  keyVersion: number;
  materialId: string;
}

export interface KeyDeletionScheduled {
  type: 'KeyDeletionScheduled';
  v: 1;
  pendingWindowInDays: number;
  deletionDate: string;
}

export interface KeyDeletionCancelled {
  type: 'KeyDeletionCancelled';
  v: 1;
}

/** The key is gone for every caller. Its material is erased next. */
export interface KeyDeleted {
  type: 'KeyDeleted';
  v: 1;
}

/** Every version of the material has been erased from the store. */
export interface KeyMaterialDestroyed {
  type: 'KeyMaterialDestroyed';
  v: 1;
  materialIds: string[];
}

export type KeyEvent =
  | KeyCreated
  | KeyEnabled
  | KeyDisabled
  | KeyDescriptionUpdated
  | KeyTagged
  | KeyUntagged
  | KeyPolicyPut
  | KeyRotationEnabled
  | KeyRotationDisabled
  | KeyRotated
  | KeyDeletionScheduled
  | KeyDeletionCancelled
  | KeyDeleted
  | KeyMaterialDestroyed
  | ImportEvent
  | MultiRegionEvent;

export interface Tag {
  key: string;
  value: string;
}

export type KeyOrigin = 'AWS_KMS' | 'EXTERNAL' | 'AWS_CLOUDHSM' | 'EXTERNAL_KEY_STORE';
