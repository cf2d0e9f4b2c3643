import { plusDays } from '../dates';
import { KmsError } from '../errors';
import { recordedIds, sameIds } from '../named-ids';
import type { DecideContext, KeyCommand } from './commands';
import type { KeyEvent, KeyRotated, Tag } from './events';
import { materialIdOf } from './material-id';
import { currentVersion, isLiving, type Key, type LivingKey } from './state';
import { assertStateAllows, type KeyOperation } from './state-table';

export const LIMITS = {
  tagsPerKey: 50,
  onDemandRotations: 25,
  defaultRotationPeriodInDays: 365,
  defaultPendingWindowInDays: 30,
} as const;

type Decider<C> = (command: C, key: Key, context: DecideContext) => KeyEvent[];
type Deciders = { [T in KeyCommand['type']]: Decider<Extract<KeyCommand, { type: T }>> };

/** THE table of key commands. No events means that there is nothing to change, which is a success. */
const deciders: Deciders = {
  CreateKey: (command, key, { keyArn }) => {
    if (key.keyState !== 'None') throw new KmsError('AlreadyExistsException', `${keyArn} already exists`);
    assertTagCount(command.tags, keyArn);
    const { type: _type, namedIds, ...facts } = command;
    const materialId = materialIdOf(keyArn, 1);
    return [{ type: 'KeyCreated', v: 1, ...facts, ...recordedIds(namedIds), origin: 'AWS_KMS', materialId }];
  },

  EnableKey: (_command, key, context) => {
    const living = usable('EnableKey', key, context);
    if (living.keyState === 'Enabled') return [];
    const overdue = living.rotation !== undefined && living.rotation.nextRotationDate <= context.now;
    return [{ type: 'KeyEnabled', v: 1, ...(overdue ? { nextRotationDate: context.now } : {}) }];
  },

  DisableKey: (_command, key, context) =>
    usable('DisableKey', key, context).keyState === 'Disabled' ? [] : [{ type: 'KeyDisabled', v: 1 }],

  UpdateKeyDescription: ({ description }, key, context) =>
    usable('UpdateKeyDescription', key, context).description === description
      ? []
      : [{ type: 'KeyDescriptionUpdated', v: 1, description }],

  TagResource: ({ tags }, key, context) => {
    const living = usable('TagResource', key, context);
    const changed = tags.filter((tag) => !living.tags.some((old) => old.key === tag.key && old.value === tag.value));
    const added = changed.filter((tag) => !living.tags.some((old) => old.key === tag.key));
    assertTagCount([...living.tags, ...added], context.keyArn);
    return changed.length === 0 ? [] : [{ type: 'KeyTagged', v: 1, tags: changed }];
  },

  UntagResource: ({ tagKeys }, key, context) => {
    const living = usable('UntagResource', key, context);
    const asked = new Set(tagKeys);
    const present = living.tags.flatMap((tag) => (asked.has(tag.key) ? [tag.key] : []));
    return present.length === 0 ? [] : [{ type: 'KeyUntagged', v: 1, tagKeys: present }];
  },

  PutKeyPolicy: ({ policy, namedIds }, key, context) => {
    const living = usable('PutKeyPolicy', key, context);
    // The same text means others once a principal that it names has been deleted and created anew.
    if (living.policy === policy && sameIds(living.namedIds, namedIds)) return [];
    return [{ type: 'KeyPolicyPut', v: 1, policy, ...recordedIds(namedIds) }];
  },

  EnableKeyRotation: ({ rotationPeriodInDays }, key, context) => {
    const living = usable('EnableKeyRotation', key, context);
    // Rotation that is on keeps its own period where the request names none, as AWS does.
    const period = rotationPeriodInDays ?? living.rotation?.periodInDays ?? LIMITS.defaultRotationPeriodInDays;
    if (living.rotation?.periodInDays === period) return [];
    const nextRotationDate = plusDays(context.now, period);
    return [{ type: 'KeyRotationEnabled', v: 1, rotationPeriodInDays: period, nextRotationDate }];
  },

  DisableKeyRotation: (_command, key, context) =>
    usable('DisableKeyRotation', key, context).rotation ? [{ type: 'KeyRotationDisabled', v: 1 }] : [],

  RotateKeyOnDemand: (_command, key, context) => {
    const living = usable('RotateKeyOnDemand', key, context);
    const done = living.versions.filter((version) => version.cause === 'ON_DEMAND').length;
    if (done >= LIMITS.onDemandRotations) {
      throw new KmsError(
        'LimitExceededException',
        `The on-demand rotations limit has been reached for the given keyId. No more on-demand rotations can be performed for this key: ${context.keyArn}`,
      );
    }
    return [nextVersion(living, context, 'ON_DEMAND', context.now)];
  },

  ScheduleKeyDeletion: ({ pendingWindowInDays }, key, context) => {
    usable('ScheduleKeyDeletion', key, context);
    const deletionDate = plusDays(context.now, pendingWindowInDays);
    return [{ type: 'KeyDeletionScheduled', v: 1, pendingWindowInDays, deletionDate }];
  },

  CancelKeyDeletion: (_command, key, context) => {
    usable('CancelKeyDeletion', key, context);
    return [{ type: 'KeyDeletionCancelled', v: 1 }];
  },

  FireRotation: ({ deadline }, key, context) => {
    if (key.keyState !== 'Enabled' || key.rotation?.nextRotationDate !== deadline || context.now < deadline) return [];
    const rotated = nextVersion(key, context, 'AUTOMATIC', deadline);
    return [{ ...rotated, nextRotationDate: plusDays(deadline, key.rotation.periodInDays) }];
  },

  FireDeletion: ({ deadline }, key, context) =>
    key.keyState === 'PendingDeletion' && key.deletionDate === deadline && context.now >= deadline
      ? [{ type: 'KeyDeleted', v: 1 }]
      : [],

  RecordMaterialDestroyed: (_command, key) =>
    key.keyState === 'Deleted' && key.materialIds.length > 0
      ? [{ type: 'KeyMaterialDestroyed', v: 1, materialIds: [...key.materialIds] }]
      : [],
};

const nextVersion = (
  key: LivingKey,
  { keyArn }: DecideContext,
  rotationType: KeyRotated['rotationType'],
  rotationDate: string,
): KeyRotated => {
  const keyVersion = currentVersion(key).version + 1;
  return {
    type: 'KeyRotated',
    v: 1,
    rotationType,
    rotationDate,
    keyVersion,
    materialId: materialIdOf(keyArn, keyVersion),
  };
};

function usable(operation: KeyOperation, key: Key, context: DecideContext): LivingKey {
  const living = livingKeyAt(key, context.now);
  if (!living) throw keyNotFound(context.keyArn);
  assertStateAllows(operation, living.keyState, context.keyArn);
  return living;
}

function assertTagCount(tags: readonly Tag[], keyArn: string): void {
  if (tags.length > LIMITS.tagsPerKey) {
    throw new KmsError('LimitExceededException', `${keyArn} can have at most ${LIMITS.tagsPerKey} tags`);
  }
}

export const keyNotFound = (keyArn: string): KmsError =>
  new KmsError('NotFoundException', `Key '${keyArn}' does not exist`);

/** The key as callers see it at `now`: once its waiting period is over it is gone, fired or not. */
export const livingKeyAt = (key: Key, now: string): LivingKey | undefined =>
  !isLiving(key) || (key.keyState === 'PendingDeletion' && key.deletionDate <= now) ? undefined : key;

/** The events that `command` causes on `key`; throws KmsError where AWS would refuse. Pure. */
export function decideKey(command: KeyCommand, key: Key, context: DecideContext): KeyEvent[] {
  return (deciders[command.type] as Decider<KeyCommand>)(command, key, context);
}
