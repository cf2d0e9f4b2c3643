import { EvolveError } from '../aggregate';
import { plusDays } from '../dates';
import { KmsError } from '../errors';
import type { DecideContext } from './commands';
import type { KeyRotated } from './events';
import { type KeyDeciders, type KeyEvolvers, livingBefore } from './families';
import { copyOf, revised } from './imported/copies';
import { awaitsRelated } from './imported/related';
import { isSymmetricEncryption } from './key-kinds';
import { assertChangeable, keyNotFound, livingKeyAt } from './living';
import { materialIdOf } from './material-id';
import { materialOwner } from './material-owner';
import { assertPrimary } from './primary';
import { currentVersion, isReplica, type Key, type LivingKey, movedRotation } from './state';
import { assertStateAllows, type KeyOperation } from './state-table';

export const ROTATION_LIMITS = {
  onDemandRotations: 25,
  defaultPeriodInDays: 365,
} as const;

/** Throws UnsupportedOperationException, to which AWS gives no message, for a key whose material is never replaced. */
export function assertRotatable(keySpec: LivingKey['keySpec']): void {
  if (!isSymmetricEncryption(keySpec)) throw new KmsError('UnsupportedOperationException', '');
}

/** Throws UnsupportedOperationException for a key whose owner alone can bring the next material. */
function assertMakesItsMaterial({ origin }: LivingKey, keyArn: string): void {
  if (origin === 'AWS_KMS') return;
  throw new KmsError(
    'UnsupportedOperationException',
    `${keyArn} origin is ${origin} which is not valid for this operation.`,
  );
}

/** In AWS's order. A key that never rotates may be told not to. */
function rotatable(operation: KeyOperation, key: Key, { keyArn, now }: DecideContext): LivingKey {
  const living = livingKeyAt(key, now);
  if (!living) throw keyNotFound(keyArn);
  assertChangeable(living, keyArn);
  // Of imported material the next version may wait for it.
  if (operation !== 'RotateKeyOnDemand' || living.origin !== 'EXTERNAL') assertMakesItsMaterial(living, keyArn);
  if (living.multiRegion && isSymmetricEncryption(living.keySpec)) assertPrimary(living, keyArn);
  assertStateAllows(operation, living.keyState, keyArn);
  if (operation !== 'DisableKeyRotation') assertRotatable(living.keySpec);
  return living;
}

export const rotationDeciders: KeyDeciders<
  'EnableKeyRotation' | 'DisableKeyRotation' | 'RotateKeyOnDemand' | 'FireRotation'
> = {
  EnableKeyRotation: ({ rotationPeriodInDays }, key, context) => {
    const living = rotatable('EnableKeyRotation', key, context);
    // Rotation that is on keeps its own period where the request names none, as AWS does.
    const period = rotationPeriodInDays ?? living.rotation?.periodInDays ?? ROTATION_LIMITS.defaultPeriodInDays;
    if (living.rotation?.periodInDays === period) return [];
    const nextRotationDate = plusDays(context.now, period);
    return [{ type: 'KeyRotationEnabled', v: 1, rotationPeriodInDays: period, nextRotationDate }];
  },

  DisableKeyRotation: (_command, key, context) =>
    rotatable('DisableKeyRotation', key, context).rotation ? [{ type: 'KeyRotationDisabled', v: 1 }] : [],

  RotateKeyOnDemand: (_command, key, context) => {
    const living = rotatable('RotateKeyOnDemand', key, context);
    const done = living.versions.filter((version) => version.cause === 'ON_DEMAND').length;
    if (done >= ROTATION_LIMITS.onDemandRotations) {
      throw new KmsError(
        'LimitExceededException',
        `The on-demand rotations limit has been reached for the given keyId. No more on-demand rotations can be performed for this key: ${context.keyArn}`,
      );
    }
    return [nextVersion(living, context, 'ON_DEMAND', context.now)];
  },

  FireRotation: ({ deadline }, key, context) => {
    if (key.keyState !== 'Enabled' || isReplica(key)) return [];
    if (key.rotation?.nextRotationDate !== deadline || context.now < deadline) return [];
    const rotated = nextVersion(key, context, 'AUTOMATIC', deadline);
    return [{ ...rotated, nextRotationDate: plusDays(deadline, key.rotation.periodInDays) }];
  },
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
    materialId:
      key.origin === 'EXTERNAL' ? waitingMaterial(key, keyArn) : materialIdOf(materialOwner(keyArn, key), keyVersion),
  };
};

/** Keys with imported material rotate to what was imported for it. */
function waitingMaterial(key: LivingKey, keyArn: string): string {
  if (!key.pendingRotation) {
    throw new KmsError(
      'KMSInvalidStateException',
      `No available key material pending rotation for the key: ${keyArn}.`,
    );
  }
  if (!awaitsRelated(key)) return key.pendingRotation.materialId;
  throw new KmsError(
    'KMSInvalidStateException',
    `${keyArn} has key material that is pending multi-Region import and rotation.`,
  );
}

export const rotationEvolvers: KeyEvolvers<'KeyRotationEnabled' | 'KeyRotationDisabled' | 'KeyRotated'> = {
  KeyRotationEnabled: (key, event) => ({
    ...livingBefore(key, event),
    rotation: { periodInDays: event.rotationPeriodInDays, nextRotationDate: event.nextRotationDate },
  }),
  KeyRotationDisabled: (key, event) => {
    const { rotation: _rotation, ...rest } = livingBefore(key, event);
    return rest;
  },
  KeyRotated: (key, event) => rotated(livingBefore(key, event), event),
};

const rotated = (key: LivingKey, event: KeyRotated): LivingKey => {
  if (event.keyVersion !== key.versions.length + 1) throw new EvolveError('KeyRotated out of order');
  const { pendingRotation, ...rest } = key;
  const waiting = pendingRotation?.materialId === event.materialId ? pendingRotation : undefined;
  if (key.origin === 'EXTERNAL' && !waiting) throw new EvolveError('KeyRotated to material that is not imported');
  const next = {
    version: event.keyVersion,
    materialId: event.materialId,
    since: event.rotationDate,
    cause: event.rotationType,
    ...(waiting && copyOf(waiting)),
  };
  const done = { ...rest, versions: [...key.versions, next], ...movedRotation(key, event.nextRotationDate) };
  return waiting ? revised(done) : done;
};
