import { type Ask, type Asking, named, type Place } from './ask';
import { DAY_MS, type ModelKey } from './model-key';
import { refusalByState } from './refusals';
import { REGIONS, type World } from './world';

const ON_DEMAND_ROTATIONS = 25;

const change =
  (done: (key: ModelKey, place: Place) => void, more: (pick: number) => object = () => ({})): Asking =>
  (place) => ({ input: { ...named(place), ...more(place.pick) }, done: () => done(place.key, place) });

const enable = change((key, { world }) => {
  const { now } = world.kms;
  // A rotation that came due while it was disabled is made up for.
  const isOverdue = key.state === 'Disabled' && key.role !== 'REPLICA' && key.rotation && key.rotation.next <= now;
  if (isOverdue) key.rotation!.next = now;
  key.state = 'Enabled';
});

const schedule: Asking = (place) => {
  const { key, world, pick } = place;
  const PendingWindowInDays = 7 + (pick % 24);
  return {
    input: { ...named(place), PendingWindowInDays },
    done: ({ DeletionDate }) => {
      key.schedule(world.kms.now, PendingWindowInDays);
      const hasReplicas = world.keys.some((other) => other !== key && other.isRecorded);
      if (key.role === 'PRIMARY' && hasReplicas) key.state = 'PendingReplicaDeletion';
      else if (!world.isUnsettled) expect(DeletionDate).toBe(key.deletionDate / 1000);
    },
  };
};

const cancel = change((key) => {
  key.state = 'Disabled';
  key.settleState();
});

const PERIODS = [undefined, 90, 100, 2560];

const enableRotation: Asking = (place) => {
  const { key, world, pick } = place;
  const asked = PERIODS[pick % PERIODS.length];
  return {
    input: { ...named(place), ...(asked && { RotationPeriodInDays: asked }) },
    done: () => {
      const periodInDays = asked ?? key.rotation?.periodInDays ?? 365;
      if (key.rotation?.periodInDays === periodInDays) return;
      key.rotation = { periodInDays, next: world.kms.now + periodInDays * DAY_MS };
    },
  };
};

/** Once each of the related keys has, or has had, what is to be current. */
const isReadyToRotate = ({ keys }: World): boolean =>
  keys.every(
    ({ role, isRecorded, waiting }) => !isRecorded || (role === 'REPLICA' ? waiting?.wasThere : waiting?.isThere),
  );

const rotateNow: Asking = (place) => {
  const { key, world } = place;
  const late =
    world.onDemand >= ON_DEMAND_ROTATIONS
      ? 'LimitExceededException'
      : world.kind.origin === 'EXTERNAL' && !isReadyToRotate(world)
        ? 'KMSInvalidStateException'
        : undefined;
  return {
    input: named(place),
    late,
    done: () => {
      world.rotations++;
      world.onDemand++;
      if (!key.waiting) return;
      // Of a replica that has no copy of it any more it is missing from now on.
      for (const related of world.keys) {
        if (!related.exists || !related.waiting) continue;
        related.materials.push(related.waiting);
        related.waiting = undefined;
        related.settleState();
      }
    },
  };
};

const replicate: Asking = (place) => {
  const { world, at } = place;
  const replica = world.keys[1 - at]!;
  return {
    input: { ...named(place), ReplicaRegion: REGIONS[1 - at] },
    late: replica.isRecorded ? 'AlreadyExistsException' : undefined,
    done: () => world.begin(1 - at, 'REPLICA'),
  };
};

const updatePrimary: Asking = (place) => {
  const { world, at, key, pick } = place;
  if (pick % 5 === 0) {
    return { input: { ...named(place), PrimaryRegion: key.region }, late: 'UnsupportedOperationException' };
  }
  const replica = world.keys[1 - at]!;
  const refused = replica.exists ? refusalByState('UpdatePrimaryRegion', replica.state) : 'NotFoundException';
  const ask: Ask = {
    input: { ...named(place), PrimaryRegion: replica.region },
    done: () => {
      key.role = 'REPLICA';
      replica.role = 'PRIMARY';
    },
  };
  // The replica is looked at before the state of the primary is.
  return key.role === 'PRIMARY' && key.exists ? { ...ask, early: refused } : ask;
};

export const LIFE_CYCLE_ASKS: Readonly<Record<string, Asking>> = {
  EnableKey: enable,
  DisableKey: change((key) => {
    key.state = 'Disabled';
  }),
  ScheduleKeyDeletion: schedule,
  CancelKeyDeletion: cancel,
  EnableKeyRotation: enableRotation,
  DisableKeyRotation: change((key) => {
    key.rotation = undefined;
  }),
  RotateKeyOnDemand: rotateNow,
  ReplicateKey: replicate,
  UpdatePrimaryRegion: updatePrimary,
};
