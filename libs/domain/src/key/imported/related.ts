import { isReplica, type KeyFacts, type KeyVersion, type LivingKey } from '../state';
import { copyOf, inState } from './copies';
import type { SharedImports } from './status';

/** What a key of origin EXTERNAL shares with its related keys, as far as it knows. */
export const sharedImports = ({ origin, family, pendingRotation }: KeyFacts): { imports?: SharedImports } =>
  origin !== 'EXTERNAL' || !family
    ? {}
    : {
        imports: {
          revision: revisionOf({ family }),
          ...(pendingRotation && { pendingMaterialId: pendingRotation.materialId }),
        },
      };

export const revisionOf = ({ family }: Pick<KeyFacts, 'family'>): number => family?.revision ?? 0;

/** The versions as related keys share them: each has to import its own copies. */
export const sharedVersions = ({ origin, versions }: KeyFacts): readonly KeyVersion[] =>
  origin === 'EXTERNAL'
    ? versions.map(({ version, materialId, since, cause }) => ({
        ...{ version, materialId, since, cause },
        imported: { importState: 'PENDING_IMPORT' },
      }))
    : versions;

/** With what its primary shares by now; a copy that waited is that of its version once there is one. */
export function withSharedImports(
  key: LivingKey,
  { revision, pendingMaterialId }: SharedImports,
  since: string,
): LivingKey {
  const { pendingRotation: waited, released = [], family, ...rest } = key;
  const stays = waited !== undefined && waited.materialId === pendingMaterialId;
  const isTaken = ({ materialId, storedAs }: KeyVersion): boolean =>
    materialId === waited?.materialId && storedAs === undefined;
  const taken = key.versions.some(isTaken);
  const given = !stays && !taken && waited?.storedAs !== undefined ? [{ storedAs: waited.storedAs, since }] : [];
  const all = [...released, ...given];
  return inState({
    ...rest,
    ...(family && { family: { ...family, revision } }),
    versions: key.versions.map((version) => (isTaken(version) ? { ...version, ...copyOf(waited!) } : version)),
    ...(all.length > 0 && { released: all }),
    ...(stays && { pendingRotation: waited }),
    ...(!stays &&
      pendingMaterialId !== undefined && {
        pendingRotation: { materialId: pendingMaterialId, imported: { importState: 'PENDING_IMPORT' } },
      }),
  });
}

/**
 * Whether material that waits for a rotation is still to be imported into a related key. Of a primary: a replica that has
 * had it counts, even where its copy is gone again.
 */
export const awaitsRelated = ({ pendingRotation, family }: KeyFacts): boolean =>
  pendingRotation !== undefined &&
  (pendingRotation.storedAs === undefined || (family?.replicas ?? []).some(({ hasPending }) => !hasPending));

/** Whether the key has a copy of what waits, of which its primary is to know. */
export const hasImportedPending = (key: KeyFacts): boolean =>
  isReplica(key) && key.pendingRotation?.storedAs !== undefined;
