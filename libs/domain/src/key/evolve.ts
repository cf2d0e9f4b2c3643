import { EvolveError, type Evolvers, evolveBy, isEventOf } from '../aggregate';
import { recordedIds } from '../named-ids';
import type { KeyCreated, KeyEvent, KeyRotated, Tag } from './events';
import { isLiving, type Key, type LivingKey } from './state';

const created = (key: Key, event: KeyCreated, time: string): Key => {
  if (key.keyState !== 'None') throw new EvolveError('KeyCreated on a key that exists');
  return {
    keyState: 'Enabled',
    createdAt: time,
    description: event.description,
    keyUsage: event.keyUsage,
    keySpec: event.keySpec,
    origin: event.origin,
    multiRegion: event.multiRegion,
    policy: event.policy,
    ...recordedIds(event.namedIds),
    tags: event.tags,
    versions: [{ version: 1, materialId: event.materialId, since: time, cause: 'CREATED' }],
  };
};

const rotated = (key: LivingKey, event: KeyRotated): LivingKey => {
  if (event.keyVersion !== key.versions.length + 1) throw new EvolveError('KeyRotated out of order');
  const next = {
    version: event.keyVersion,
    materialId: event.materialId,
    since: event.rotationDate,
    cause: event.rotationType,
  };
  return { ...key, versions: [...key.versions, next], ...movedRotation(key, event.nextRotationDate) };
};

const movedRotation = (key: LivingKey, nextRotationDate: string | undefined): Pick<LivingKey, 'rotation'> =>
  key.rotation && nextRotationDate ? { rotation: { ...key.rotation, nextRotationDate } } : {};

const withTags = (tags: readonly Tag[], added: readonly Tag[]): Tag[] => [
  ...tags.map((tag) => added.find((newer) => newer.key === tag.key) ?? tag),
  ...added.filter((newer) => !tags.some((tag) => tag.key === newer.key)),
];

/** The facts alone, without what belongs to PendingDeletion. */
const settled = (key: LivingKey, keyState: 'Enabled' | 'Disabled'): LivingKey => {
  if (key.keyState !== 'PendingDeletion') return { ...key, keyState };
  const { deletionDate: _deletionDate, pendingWindowInDays: _pendingWindowInDays, ...facts } = key;
  return { ...facts, keyState };
};

/** THE table of key events. An event that is not in it is an error, never skipped. */
const evolvers: Evolvers<Key, KeyEvent> = {
  KeyCreated: created,
  KeyEnabled: (key, event) => {
    const enabled = settled(living(key, event), 'Enabled');
    return { ...enabled, ...movedRotation(enabled, event.nextRotationDate) };
  },
  KeyDisabled: (key, event) => settled(living(key, event), 'Disabled'),
  KeyDescriptionUpdated: (key, event) => ({ ...living(key, event), description: event.description }),
  KeyTagged: (key, event) => {
    const current = living(key, event);
    return { ...current, tags: withTags(current.tags, event.tags) };
  },
  KeyUntagged: (key, event) => {
    const current = living(key, event);
    return { ...current, tags: current.tags.filter((tag) => !event.tagKeys.includes(tag.key)) };
  },
  KeyPolicyPut: (key, event) => {
    const { namedIds: _namedIds, ...rest } = living(key, event);
    return { ...rest, policy: event.policy, ...recordedIds(event.namedIds) };
  },
  KeyRotationEnabled: (key, event) => ({
    ...living(key, event),
    rotation: { periodInDays: event.rotationPeriodInDays, nextRotationDate: event.nextRotationDate },
  }),
  KeyRotationDisabled: (key, event) => {
    const { rotation: _rotation, ...rest } = living(key, event);
    return rest;
  },
  KeyRotated: (key, event) => rotated(living(key, event), event),
  KeyDeletionScheduled: (key, event) => ({
    ...living(key, event),
    keyState: 'PendingDeletion',
    deletionDate: event.deletionDate,
    pendingWindowInDays: event.pendingWindowInDays,
  }),
  KeyDeletionCancelled: (key, event) => settled(living(key, event), 'Disabled'),
  KeyDeleted: (key, event, time) => {
    const current = living(key, event);
    const materialIds = current.versions.map((version) => version.materialId);
    return {
      keyState: 'Deleted',
      createdAt: current.createdAt,
      deletedAt: time,
      materialIds,
      allMaterialIds: materialIds,
    };
  },
  KeyMaterialDestroyed: (key, event) => {
    if (key.keyState !== 'Deleted') throw new EvolveError('KeyMaterialDestroyed on a key that is not deleted');
    return { ...key, materialIds: key.materialIds.filter((id) => !event.materialIds.includes(id)) };
  },
};

function living(key: Key, event: KeyEvent): LivingKey {
  if (!isLiving(key)) throw new EvolveError(`${event.type} on a key that is ${key.keyState}`);
  return key;
}

export const isKeyEvent = (type: string): type is KeyEvent['type'] => isEventOf(evolvers, type);

/** `time` is that of the commit the event is in. */
export const evolveKey = (key: Key, event: KeyEvent, time: string): Key => evolveBy('key', evolvers, key, event, time);
