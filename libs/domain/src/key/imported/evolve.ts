import { EvolveError } from '../../aggregate';
import { type KeyEvolvers, livingBefore } from '../families';
import type { LivingKey } from '../state';
import { inState, materialOf, revised, withoutCopy } from './copies';
import type { ImportEvent, KeyMaterialImported } from './events';
import type { ImportStatus, ReleasedCopy } from './status';

export const importEvolvers: KeyEvolvers<ImportEvent['type']> = {
  KeyMaterialImported: (key, event, time) => imported(livingBefore(key, event), event, time),
  KeyMaterialExpired: (key, event, time) => withoutCopy(livingBefore(key, event), event.materialId, time),
  ImportedKeyMaterialDeleted: (key, event, time) => withoutCopy(livingBefore(key, event), event.materialId, time),
  ReleasedMaterialErased: (key, event) => {
    const { released = [], erased = [], ...rest } = livingBefore(key, event);
    const left = released.filter(({ storedAs }) => !event.storedAs.includes(storedAs));
    const all = [...erased, ...event.storedAs];
    const { remembered = all.length } = event;
    return {
      ...rest,
      ...(left.length === 0 ? {} : { released: left }),
      erased: all.slice(Math.max(0, all.length - remembered)),
    };
  },
};

function imported(key: LivingKey, event: KeyMaterialImported, time: string): LivingKey {
  if (key.origin !== 'EXTERNAL') throw new EvolveError(`KeyMaterialImported on a key of origin ${key.origin}`);
  const { materialId, storedAs } = event;
  const before = materialOf(key, materialId);
  const status = statusOf(event, before?.imported);
  const copy = { materialId, storedAs, imported: status };
  const released = before?.storedAs === undefined ? key.released : releasing(key, before.storedAs, time);
  const facts = { ...key, ...(released ? { released } : {}) };
  if (before && before !== key.pendingRotation) {
    const versions = key.versions.map((version) => (version === before ? { ...version, ...copy } : version));
    return inState({ ...facts, versions });
  }
  if (key.versions.length === 0) {
    const first = { version: 1, ...copy, since: time, cause: 'CREATED' } as const;
    const { publicKey } = event;
    return revised(inState({ ...facts, versions: [first], ...(publicKey === undefined ? {} : { publicKey }) }));
  }
  if (key.pendingRotation && !before) throw new EvolveError('KeyMaterialImported where other material waits');
  const waiting = { ...facts, pendingRotation: copy };
  return before ? waiting : revised(waiting);
}

const releasing = (key: LivingKey, storedAs: string, since: string): ReleasedCopy[] => [
  ...(key.released ?? []),
  { storedAs, since },
];

function statusOf({ validTo, description }: KeyMaterialImported, before: ImportStatus | undefined): ImportStatus {
  const described = description ?? before?.description;
  return {
    importState: 'IMPORTED',
    ...(validTo === undefined ? {} : { validTo }),
    ...(described === undefined ? {} : { description: described }),
  };
}
