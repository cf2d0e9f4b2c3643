import { placeOfClusterCopy } from '../material-id';
import { isPendingDeletion, isReplica, type KeyVersion, type LivingKey } from '../state';
import type { KeyStateName } from '../state-table';
import type { ImportStatus, PendingRotation, ReleasedCopy } from './status';

/** The material with this id that belongs to the key, or waits to. */
export const materialOf = (key: LivingKey, materialId: string): KeyVersion | PendingRotation | undefined =>
  key.versions.find((version) => version.materialId === materialId) ??
  (key.pendingRotation?.materialId === materialId ? key.pendingRotation : undefined);

/** Whether material is missing without which the key cannot be used: any that was ever current, or the first. */
const misses = ({ versions }: LivingKey): boolean =>
  versions.length === 0 || versions.some(({ imported }) => imported?.importState === 'PENDING_IMPORT');

/** The state that cryptographic operations go by: one that is Updating can be used, unless its material is missing. */
export const cryptographicState = (key: LivingKey): KeyStateName =>
  key.keyState === 'Updating' && misses(key) ? 'PendingImport' : key.keyState;

/** The key in the state that its material lets it have. One that is pending deletion stays so, and one in between two states. */
export function inState(key: LivingKey): LivingKey {
  if (key.origin !== 'EXTERNAL' || isPendingDeletion(key)) return key;
  if (key.keyState === 'Creating' || key.keyState === 'Updating') return key;
  if (misses(key)) return key.keyState === 'PendingImport' ? key : { ...key, keyState: 'PendingImport' };
  return key.keyState === 'PendingImport' ? { ...key, keyState: 'Enabled' } : key;
}

/**
 * The key without its copy of a material, which is released. What only waits for a rotation goes with its copy, unless it is
 * the primary's.
 */
export function withoutCopy(key: LivingKey, materialId: string, since: string): LivingKey {
  const place = materialOf(key, materialId)?.storedAs;
  const without =
    place === undefined ? key : { ...key, released: [...(key.released ?? []), { storedAs: place, since }] };
  const { pendingRotation, ...rest } = without;
  if (pendingRotation?.materialId === materialId) {
    return isReplica(key) ? { ...rest, pendingRotation: withoutPlace(pendingRotation) } : revised(rest);
  }
  return inState({
    ...without,
    versions: key.versions.map((version) => (version.materialId === materialId ? withoutPlace(version) : version)),
  });
}

function withoutPlace<T extends KeyVersion | PendingRotation>({ storedAs: _storedAs, ...rest }: T) {
  const description = rest.imported?.description;
  const imported: ImportStatus = {
    importState: 'PENDING_IMPORT',
    ...(description === undefined ? {} : { description }),
  };
  return { ...rest, imported };
}

/** What a version takes over of the material that waited for it. */
export const copyOf = ({ storedAs, imported }: PendingRotation): Pick<KeyVersion, 'storedAs' | 'imported'> => ({
  ...(storedAs === undefined ? {} : { storedAs }),
  imported,
});

/** A key of several regions that has had material come, go or become current, of which no replica has imported what waits. */
export function revised(key: LivingKey): LivingKey {
  const { family } = key;
  if (!family) return key;
  const replicas = family.replicas.map(({ hasPending: _hasPending, ...replica }) => replica);
  return { ...key, family: { ...family, revision: (family.revision ?? 0) + 1, replicas } };
}

/** Ids of the materials whose copies are over at `now`, the earliest first; those of which the log says so are no more among them. */
export function overdue(key: LivingKey, now: string): string[] {
  return [...expiring(key)]
    .filter(({ validTo }) => validTo <= now)
    .sort((a, b) => (a.validTo < b.validTo ? -1 : 1))
    .map(({ materialId }) => materialId);
}

/** When the first copy expires, if any does. */
export function nextExpiry(key: LivingKey): string | undefined {
  let next: string | undefined;
  for (const { validTo } of expiring(key)) if (next === undefined || validTo < next) next = validTo;
  return next;
}

export function* expiring({
  versions,
  pendingRotation,
}: LivingKey): Generator<{ materialId: string; validTo: string }> {
  for (const { materialId, imported } of versions) {
    if (imported?.validTo !== undefined) yield { materialId, validTo: imported.validTo };
  }
  if (pendingRotation?.imported.validTo !== undefined) {
    yield { materialId: pendingRotation.materialId, validTo: pendingRotation.imported.validTo };
  }
}

/** The key as it is at `now`: what is over by its date is gone, fired or not. Most keys come back as they are. */
export function asOf(key: LivingKey, now: string): LivingKey {
  const next = nextExpiry(key);
  if (next === undefined || next > now) return key;
  return overdue(key, now).reduce((left, materialId) => withoutCopy(left, materialId, now), key);
}

/** Where the key's material lies in the store now, what waits for a rotation included. */
export function placesOf({ versions, pendingRotation, origin }: LivingKey): string[] {
  if (origin === 'AWS_CLOUDHSM') {
    return versions.flatMap(({ materialId }) => [materialId, placeOfClusterCopy(materialId)]);
  }
  const places = versions.flatMap(({ storedAs, materialId, imported }) =>
    imported?.importState === 'PENDING_IMPORT' ? [] : [storedAs ?? materialId],
  );
  return pendingRotation?.storedAs === undefined ? places : [...places, pendingRotation.storedAs];
}

/** Copies that may be erased, or have been. */
export const releasedPlaces = ({ released = [], erased = [] }: Releases): string[] => [
  ...released.map(({ storedAs }) => storedAs),
  ...erased,
];

type Releases = { released?: readonly ReleasedCopy[]; erased?: readonly string[] };
