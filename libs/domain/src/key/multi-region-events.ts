import type { NamedIds } from '../named-ids';
import type { KeyOrigin, Tag } from './events';
import type { SharedImports } from './imported/status';
import type { KeySpec, KeyUsage } from './key-kinds';
import type { AutomaticRotation, KeyVersion, Replica } from './state';

/** What a replica has of its own. */
export interface ReplicaProperties {
  description: string;
  policy: string;
  /** Whom the policy meant; absent where it names nobody. */
  namedIds?: NamedIds;
  tags: Tag[];
}

/** Of a primary: there is to be a replica, and the primary counts it from now on. */
export interface KeyReplicationBegun extends ReplicaProperties {
  type: 'KeyReplicationBegun';
  v: 1;
  replicaRegion: string;
  /** How many keys of this id that region will have had. */
  generation: number;
}

/** A replica's first event. It has its material already: that of all related keys, unless it is to be imported. */
export interface KeyReplicated extends ReplicaProperties {
  type: 'KeyReplicated';
  v: 1;
  primaryRegion: string;
  term: number;
  generation: number;
  keyUsage: KeyUsage;
  keySpec: KeySpec;
  origin: KeyOrigin;
  /** SubjectPublicKeyInfo (RFC 5280) in base64; of asymmetric keys. */
  publicKey?: string;
  versions: readonly KeyVersion[];
  /** Null where automatic rotation is off. */
  rotation: AutomaticRotation | null;
  /** Of keys with imported material. */
  imports?: SharedImports;
}

/** Of a primary: it knows that the replica is there. */
export interface KeyReplicationCompleted {
  type: 'KeyReplicationCompleted';
  v: 1;
  replicaRegion: string;
}

/** Of a replica: it can be used. */
export interface KeyReplicaReady {
  type: 'KeyReplicaReady';
  v: 1;
}

/** Of a primary: it has ceased to be one, for the key in another region to become the primary of the next term. */
export interface KeyPrimaryHandedOver {
  type: 'KeyPrimaryHandedOver';
  v: 1;
  primaryRegion: string;
  term: number;
}

/** Of a replica: it is the primary of this term. */
export interface KeyMadePrimary {
  type: 'KeyMadePrimary';
  v: 1;
  term: number;
  /** Of which it took over. */
  formerPrimaryRegion: string;
  replicas: readonly Replica[];
  /** Those that it did not know yet. */
  versions: readonly KeyVersion[];
  rotation: AutomaticRotation | null;
  /** Of keys with imported material. */
  imports?: SharedImports;
}

/** Of the former primary and of the new one: the change is over. */
export interface KeyPrimaryUpdated {
  type: 'KeyPrimaryUpdated';
  v: 1;
}

/** Of a replica: what it shares with its primary is as there. */
export interface KeySynchronized {
  type: 'KeySynchronized';
  v: 1;
  primaryRegion: string;
  term: number;
  /** Those that it did not know yet. */
  versions: readonly KeyVersion[];
  rotation: AutomaticRotation | null;
  /** Of keys with imported material. */
  imports?: SharedImports;
}

/** Of a primary: a replica has imported the material that waits for a rotation. */
export interface KeyReplicaMaterialImported {
  type: 'KeyReplicaMaterialImported';
  v: 1;
  replicaRegion: string;
  materialId: string;
}

/** Of a primary: a replica has been deleted. */
export interface KeyReplicaRemoved {
  type: 'KeyReplicaRemoved';
  v: 1;
  replicaRegion: string;
}

/** Of a primary: it is to be deleted, and its waiting period begins once it has no replica any more. */
export interface KeyDeletionDeferred {
  type: 'KeyDeletionDeferred';
  v: 1;
  pendingWindowInDays: number;
}

export type MultiRegionEvent =
  | KeyReplicationBegun
  | KeyReplicated
  | KeyReplicationCompleted
  | KeyReplicaReady
  | KeyPrimaryHandedOver
  | KeyMadePrimary
  | KeyPrimaryUpdated
  | KeySynchronized
  | KeyReplicaMaterialImported
  | KeyReplicaRemoved
  | KeyDeletionDeferred;
