import { EvolveError } from '../aggregate';
import { plusDays } from '../dates';
import { type KeyDeciders, type KeyEvolvers, livingBefore } from './families';
import { inState, placesOf, releasedPlaces } from './imported/copies';
import { usableKey } from './living';
import { sharesMaterial } from './material-owner';
import { factsOf, isReplica, settled } from './state';

export const DEFAULT_PENDING_WINDOW_IN_DAYS = 30;

export const deletionDeciders: KeyDeciders<
  'ScheduleKeyDeletion' | 'CancelKeyDeletion' | 'FireDeletion' | 'RecordMaterialDestroyed'
> = {
  ScheduleKeyDeletion: ({ pendingWindowInDays }, key, context) => {
    const { family } = usableKey('ScheduleKeyDeletion', key, context);
    if (family && family.replicas.length > 0) return [{ type: 'KeyDeletionDeferred', v: 1, pendingWindowInDays }];
    const deletionDate = plusDays(context.now, pendingWindowInDays);
    return [{ type: 'KeyDeletionScheduled', v: 1, pendingWindowInDays, deletionDate }];
  },

  CancelKeyDeletion: (_command, key, context) => {
    usableKey('CancelKeyDeletion', key, context);
    return [{ type: 'KeyDeletionCancelled', v: 1 }];
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

export const deletionEvolvers: KeyEvolvers<
  'KeyDeletionScheduled' | 'KeyDeletionCancelled' | 'KeyDeleted' | 'KeyMaterialDestroyed'
> = {
  KeyDeletionScheduled: (key, event) => ({
    keyState: 'PendingDeletion',
    ...factsOf(livingBefore(key, event)),
    deletionDate: event.deletionDate,
    pendingWindowInDays: event.pendingWindowInDays,
  }),
  KeyDeletionCancelled: (key, event) => inState(settled(livingBefore(key, event), 'Disabled')),
  KeyDeleted: (key, event, time) => {
    const current = livingBefore(key, event);
    const { family } = current;
    // What related keys share is the primary's to take with it: it goes last.
    const shared = isReplica(current) && sharesMaterial(current);
    const released = (current.released ?? []).map(({ storedAs }) => storedAs);
    const materialIds = shared ? [] : [...placesOf(current), ...released];
    return {
      keyState: 'Deleted',
      createdAt: current.createdAt,
      deletedAt: time,
      materialIds,
      allMaterialIds: [...new Set([...materialIds, ...releasedPlaces(current)])],
      ...(current.customKeyStoreId === undefined ? {} : { customKeyStoreId: current.customKeyStoreId }),
      ...(family && { family: { term: family.term, generation: family.generation } }),
    };
  },
  KeyMaterialDestroyed: (key, event) => {
    if (key.keyState !== 'Deleted') throw new EvolveError('KeyMaterialDestroyed on a key that is not deleted');
    return { ...key, materialIds: key.materialIds.filter((id) => !event.materialIds.includes(id)) };
  },
};
