import type { KeyVersion, LivingKey } from '../state';
import type { PendingRotation, ReleasedCopy } from './status';

/** The material with this id that belongs to the key, or waits to. */
export const materialOf = (key: LivingKey, materialId: string): KeyVersion | PendingRotation | undefined =>
  key.versions.find((version) => version.materialId === materialId) ??
  (key.pendingRotation?.materialId === materialId ? key.pendingRotation : undefined);

/** Whether material is missing without which the key cannot be used: any that was ever current, or the first. */
const misses = ({ versions }: LivingKey): boolean =>
  versions.length === 0 || versions.some(({ imported }) => imported?.importState === 'PENDING_IMPORT');

/** The key in the state that its material lets it have. One that is pending deletion stays so. */
export function inState(key: LivingKey): LivingKey {
  if (key.origin !== 'EXTERNAL' || key.keyState === 'PendingDeletion') return key;
  if (misses(key)) return key.keyState === 'PendingImport' ? key : { ...key, keyState: 'PendingImport' };
  return key.keyState === 'PendingImport' ? { ...key, keyState: 'Enabled' } : key;
}

/** The key without its copy of a material, which is released. What only waits for a rotation goes with its copy. */
export function withoutCopy(key: LivingKey, materialId: string, since: string): LivingKey {
  const place = materialOf(key, materialId)?.storedAs;
  if (place === undefined) return key;
  const released = [...(key.released ?? []), { storedAs: place, since }];
  if (key.pendingRotation?.materialId === materialId) {
    const { pendingRotation: _pendingRotation, ...rest } = key;
    return { ...rest, released };
  }
  return inState({
    ...key,
    released,
    versions: key.versions.map((version) => (version.materialId === materialId ? withoutPlace(version) : version)),
  });
}

function withoutPlace({ storedAs: _storedAs, ...version }: KeyVersion): KeyVersion {
  const description = version.imported?.description;
  return {
    ...version,
    imported: { importState: 'PENDING_IMPORT', ...(description === undefined ? {} : { description }) },
  };
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
export function placesOf({ versions, pendingRotation }: LivingKey): string[] {
  const places = versions.flatMap(({ storedAs, materialId, imported }) =>
    imported?.importState === 'PENDING_IMPORT' ? [] : [storedAs ?? materialId],
  );
  return pendingRotation ? [...places, pendingRotation.storedAs] : places;
}

/** Copies that may be erased, or have been. */
export const releasedPlaces = ({ released = [], erased = [] }: Releases): string[] => [
  ...released.map(({ storedAs }) => storedAs),
  ...erased,
];

type Releases = { released?: readonly ReleasedCopy[]; erased?: readonly string[] };
