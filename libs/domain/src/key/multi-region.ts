import { EvolveError } from '../aggregate';
import { keyArn as arnOf, parseKmsArn } from '../arn';
import { plusDays } from '../dates';
import { KmsError } from '../errors';
import { recordedIds } from '../named-ids';
import type { DecideContext } from './commands';
import type { KeyEvent } from './events';
import { type KeyDeciders, type KeyEvolvers, livingBefore } from './families';
import { cryptographicState, inState } from './imported/copies';
import { revisionOf, withSharedImports } from './imported/related';
import type { ReleasedCopy, SharedImports } from './imported/status';
import { keyNotFound, livingKeyAt } from './living';
import type { MultiRegionCommand } from './multi-region-commands';
import type { MultiRegionEvent } from './multi-region-events';
import { assertPrimary } from './primary';
import { assertTagCount } from './properties';
import {
  type AutomaticRotation,
  type DeletedKey,
  type Family,
  factsOf,
  type Key,
  type KeyVersion,
  type LivingKey,
  settled,
} from './state';
import { assertStateAllows } from './state-table';

/** How many keys of its id there have been in its region. */
export const generationOf = (key: Key): number => (key.keyState === 'None' ? 0 : (key.family?.generation ?? 1));

/** The ARN of the related key in another region. */
const arnIn = (region: string, keyArn: string): string => {
  const { account, resource } = parseKmsArn(keyArn)!;
  return arnOf(region, account, resource.slice('key/'.length));
};

/** A primary, of which it is asked. Throws KmsError. */
function primaryAt(key: Key, { keyArn, now }: DecideContext): { living: LivingKey; family: Family } {
  const living = livingKeyAt(key, now);
  if (!living) throw keyNotFound(keyArn);
  return { living, family: assertPrimary(living, keyArn) };
}

const sameRotation = (one: AutomaticRotation | null, other: AutomaticRotation | null): boolean =>
  one?.periodInDays === other?.periodInDays && one?.nextRotationDate === other?.nextRotationDate;

/** Whether a replica has all that it shares with its primary. */
export const isSynchronized = (replica: LivingKey, primary: LivingKey): boolean =>
  replica.versions.length === primary.versions.length &&
  revisionOf(replica) === revisionOf(primary) &&
  sameRotation(replica.rotation ?? null, primary.rotation ?? null);

export const multiRegionDeciders: KeyDeciders<MultiRegionCommand['type']> = {
  BeginReplication: ({ type: _type, namedIds, ...replica }, key, context) => {
    const { living, family } = primaryAt(key, context);
    const { keyArn } = context;
    assertStateAllows('ReplicateKey', living.keyState, keyArn);
    const replicaArn = arnIn(replica.replicaRegion, keyArn);
    if (replicaArn === keyArn || family.replicas.some(({ region }) => region === replica.replicaRegion)) {
      throw new KmsError('AlreadyExistsException', `${replicaArn} already exists`);
    }
    assertTagCount(replica.tags, replicaArn);
    return [{ type: 'KeyReplicationBegun', v: 1, ...replica, ...recordedIds(namedIds) }];
  },

  HandOverPrimary: ({ primaryRegion }, key, context) => {
    const { living, family } = primaryAt(key, context);
    const { keyArn } = context;
    const usable = cryptographicState(living);
    const state = usable === 'Updating' && living.keyState === 'Updating' ? living.restores : usable;
    assertStateAllows('UpdatePrimaryRegion', state, keyArn);
    const newPrimaryArn = arnIn(primaryRegion, keyArn);
    if (newPrimaryArn === keyArn) {
      throw new KmsError('UnsupportedOperationException', `${keyArn} is the multi-Region primary key already.`);
    }
    if (!family.replicas.some(({ region }) => region === primaryRegion)) throw keyNotFound(newPrimaryArn);
    const begun = family.replicas.find((replica) => replica.begun);
    if (begun) throw new KmsError('KMSInvalidStateException', `${arnIn(begun.region, keyArn)} is creating.`);
    return [{ type: 'KeyPrimaryHandedOver', v: 1, primaryRegion, term: family.term + 1 }];
  },

  CreateReplica: ({ type: _type, ...replica }, key) =>
    !isOver(key) || generationOf(key) >= replica.generation ? [] : [{ type: 'KeyReplicated', v: 1, ...replica }],

  CompleteReplication: ({ replicaRegion, generation }, key) => {
    const begun = countedBy(key, replicaRegion, generation)?.begun;
    return begun ? [{ type: 'KeyReplicationCompleted', v: 1, replicaRegion }] : [];
  },

  ReadyReplica: ({ generation }, key) =>
    key.keyState === 'Creating' && generationOf(key) === generation ? [{ type: 'KeyReplicaReady', v: 1 }] : [],

  BecomePrimary: ({ type: _type, ...command }, key, { now }) => {
    const living = livingKeyAt(key, now);
    if (!living?.family || living.family.term >= command.term) return [];
    return [{ type: 'KeyMadePrimary', v: 1, ...command, versions: command.versions.slice(living.versions.length) }];
  },

  CompleteUpdate: ({ term }, key) =>
    key.keyState === 'Updating' && key.family?.term === term ? [{ type: 'KeyPrimaryUpdated', v: 1 }] : [],

  Synchronize: ({ type: _type, ...command }, key, { now }) => {
    const { term, versions, rotation, imports } = command;
    const living = livingKeyAt(key, now);
    if (living?.family?.keyType !== 'REPLICA' || living.family.term > term) return [];
    const known = living.versions.length;
    if (versions.length < known) return [];
    // One that comes late must not take copies away that a newer one let the replica import.
    if (imports && imports.revision <= revisionOf(living)) return [];
    if (!imports && versions.length === known && sameRotation(living.rotation ?? null, rotation)) return [];
    return [{ type: 'KeySynchronized', v: 1, ...command, versions: versions.slice(known) }];
  },

  RecordReplicaImport: ({ replicaRegion, generation, revision }, key) => {
    const counted = countedBy(key, replicaRegion, generation);
    const { pendingRotation: waiting } = key as LivingKey;
    if (!counted || counted.hasPending || !waiting || revisionOf(key as LivingKey) !== revision) return [];
    return [{ type: 'KeyReplicaMaterialImported', v: 1, replicaRegion, materialId: waiting.materialId }];
  },

  RemoveReplica: ({ replicaRegion, generation }, key, { now }) => {
    const counted = countedBy(key, replicaRegion, generation);
    if (!counted || counted.begun) return [];
    const removed: KeyEvent = { type: 'KeyReplicaRemoved', v: 1, replicaRegion };
    if (key.keyState !== 'PendingReplicaDeletion' || (key.family?.replicas.length ?? 0) > 1) return [removed];
    const { pendingWindowInDays } = key;
    const deletionDate = plusDays(now, pendingWindowInDays);
    return [removed, { type: 'KeyDeletionScheduled', v: 1, pendingWindowInDays, deletionDate }];
  },
};

/** Whether there is no key, for callers or for good: a replica can be made. */
const isOver = (key: Key): boolean => key.keyState === 'None' || key.keyState === 'Deleted';

/** The replica as a primary counts it; undefined of what is no primary, or has no such replica. */
function countedBy(key: Key, replicaRegion: string, generation: number) {
  if (isOver(key)) return undefined;
  const { family } = key as LivingKey;
  if (family?.keyType !== 'PRIMARY') return undefined;
  return family.replicas.find((replica) => replica.region === replicaRegion && replica.generation === generation);
}

export const multiRegionEvolvers: KeyEvolvers<MultiRegionEvent['type']> = {
  KeyReplicationBegun: (key, { replicaRegion, generation, description, policy, namedIds, tags }, time) =>
    withFamily(key, 'KeyReplicationBegun', (family) => {
      const begun = { at: time, description, policy, ...recordedIds(namedIds), tags };
      return { ...family, replicas: [...family.replicas, { region: replicaRegion, generation, begun }] };
    }),

  KeyReplicated: (key, event, time) => {
    if (!isOver(key)) throw new EvolveError('KeyReplicated on a key that exists');
    const { description, policy, namedIds, tags, keyUsage, keySpec, origin, publicKey, versions, rotation } = event;
    const { term, generation, imports } = event;
    const created: LivingKey = {
      keyState: 'Creating',
      createdAt: time,
      ...{ description, keyUsage, keySpec, origin },
      multiRegion: true,
      family: {
        ...{ keyType: 'REPLICA', term, generation, replicas: [] },
        ...(key.keyState === 'Deleted' && { formerDeletedAt: key.deletedAt }),
      },
      policy,
      ...recordedIds(namedIds),
      tags,
      versions,
      ...(publicKey === undefined ? {} : { publicKey }),
      ...(rotation && { rotation }),
      ...(key.keyState === 'Deleted' && leftOf(key)),
    };
    return imports ? withSharedImports(created, imports, time) : created;
  },

  KeyReplicationCompleted: (key, { replicaRegion }) =>
    withFamily(key, 'KeyReplicationCompleted', (family) => ({
      ...family,
      replicas: family.replicas.map((replica) => {
        const { begun: _begun, ...counted } = replica;
        return replica.region === replicaRegion ? counted : replica;
      }),
    })),

  KeyReplicaReady: (key, event) => inState(settled(livingBefore(key, event), 'Enabled')),

  KeyPrimaryHandedOver: (key, { primaryRegion, term }) =>
    updating(
      withFamily(key, 'KeyPrimaryHandedOver', (family) => ({
        ...family,
        keyType: 'REPLICA',
        term,
        handedTo: primaryRegion,
      })),
    ),

  KeyMadePrimary: (key, { term, replicas, ...shared }, time) =>
    updating(
      withShared(
        withFamily(key, 'KeyMadePrimary', (family) => ({
          ...settledFamily(family),
          keyType: 'PRIMARY',
          term,
          replicas,
        })),
        shared,
        time,
      ),
    ),

  KeyPrimaryUpdated: (key, event) => {
    const living = livingBefore(key, event);
    if (living.keyState !== 'Updating') throw new EvolveError(`KeyPrimaryUpdated on a key that is ${living.keyState}`);
    const ended = withFamily(living, event.type, (family) => ({
      ...settledFamily(family),
      replicas: family.keyType === 'PRIMARY' ? family.replicas : [],
    }));
    return inState(settled(ended, living.restores));
  },

  KeySynchronized: (key, { term, ...shared }, time) =>
    withShared(
      withFamily(key, 'KeySynchronized', (family) => ({ ...family, term: Math.max(term, family.term) })),
      shared,
      time,
    ),

  KeyReplicaMaterialImported: (key, { replicaRegion }) =>
    withFamily(key, 'KeyReplicaMaterialImported', (family) => ({
      ...family,
      replicas: family.replicas.map((replica) =>
        replica.region === replicaRegion ? { ...replica, hasPending: true } : replica,
      ),
    })),

  KeyReplicaRemoved: (key, { replicaRegion }) =>
    withFamily(key, 'KeyReplicaRemoved', (family) => ({
      ...family,
      replicas: family.replicas.filter(({ region }) => region !== replicaRegion),
    })),

  KeyDeletionDeferred: (key, event) => ({
    keyState: 'PendingReplicaDeletion',
    ...factsOf(livingBefore(key, event)),
    pendingWindowInDays: event.pendingWindowInDays,
  }),
};

const settledFamily = ({ handedTo: _handedTo, ...family }: Family): Family => family;

function withFamily(key: Key, event: MultiRegionEvent['type'], change: (family: Family) => Family): LivingKey {
  if (isOver(key) || !(key as LivingKey).family) throw new EvolveError(`${event} on what is no multi-Region key`);
  const living = key as LivingKey;
  return { ...living, family: change(living.family!) };
}

interface Shared {
  /** Those that the key does not know yet. */
  versions: readonly KeyVersion[];
  rotation: AutomaticRotation | null;
  imports?: SharedImports;
}

function withShared(key: LivingKey, { versions: newer, rotation, imports }: Shared, time: string): LivingKey {
  if (newer.length > 0 && newer[0]!.version !== key.versions.length + 1) {
    throw new EvolveError(`version ${newer[0]!.version} does not follow version ${key.versions.length}`);
  }
  const { rotation: _rotation, ...rest } = key;
  const shared = { ...rest, versions: [...key.versions, ...newer], ...(rotation && { rotation }) };
  return imports ? withSharedImports(shared, imports, time) : shared;
}

/** Copies of a deleted key that may have to be erased yet, or again: the next one in its region sees to it. */
function leftOf({ materialIds, allMaterialIds, deletedAt }: DeletedKey): {
  released?: readonly ReleasedCopy[];
  erased?: readonly string[];
} {
  const erased = allMaterialIds.filter((place) => !materialIds.includes(place));
  return {
    ...(materialIds.length > 0 && { released: materialIds.map((storedAs) => ({ storedAs, since: deletedAt })) }),
    ...(erased.length > 0 && { erased }),
  };
}

/** Where the key was to be deleted it still is: of what has become a primary, after its replicas. */
function updating(key: LivingKey): LivingKey {
  switch (key.keyState) {
    case 'PendingDeletion':
      return { keyState: 'PendingReplicaDeletion', ...factsOf(key), pendingWindowInDays: key.pendingWindowInDays };
    case 'PendingReplicaDeletion':
    case 'PendingImport':
    case 'Updating':
    // No key of several regions is in a custom key store.
    case 'Unavailable':
      return key;
    case 'Creating':
      return { keyState: 'Updating', ...factsOf(key), restores: 'Enabled' };
    case 'Enabled':
    case 'Disabled':
      return { keyState: 'Updating', ...factsOf(key), restores: key.keyState };
  }
}
