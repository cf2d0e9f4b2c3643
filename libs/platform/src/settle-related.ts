import type { RelatedKeyCommand } from '#domain/key/multi-region-commands';
import type { AggregateRef } from '#domain/subjects';
import type { CommandOrigin } from '#event-store/run-command';
import { dueStepsOf } from '#views/related-keys';
import type { KeyManager } from './key-manager';

/** Who makes the steps that follow from a caller's change of one key at the keys related to it. */
export const MULTI_REGION_PRINCIPAL = 'keytrail:multi-region-keys';

/** What each step belongs to, as AWS calls it. */
const OPERATIONS: Record<RelatedKeyCommand['type'], string> = {
  CreateReplica: 'ReplicateKey',
  CompleteReplication: 'ReplicateKey',
  ReadyReplica: 'ReplicateKey',
  BecomePrimary: 'UpdatePrimaryRegion',
  CompleteUpdate: 'UpdatePrimaryRegion',
  Synchronize: 'SynchronizeMultiRegionKey',
  RecordReplicaImport: 'SynchronizeMultiRegionKey',
  RemoveReplica: 'KeyDeletion',
};

/** Steps in a row, of one change of one key, that are more than there can be. */
const MAX_ROUNDS = 100;

/**
 * Has the multi-Region keys of an id agree: makes each step that is due among them, until none is, or none can be made yet.
 * Whether anything changed. A crash between two steps leaves the next one due, which a timer makes.
 */
export async function settleRelated(
  manager: Pick<KeyManager, 'projection' | 'runUnchecked'>,
  ref: AggregateRef<'key'>,
  { now, requestId }: Pick<CommandOrigin, 'now' | 'requestId'>,
): Promise<boolean> {
  let changed = false;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    let moved = false;
    // Each step may make others needless: those decide again, and do nothing.
    for (const { region, command } of dueStepsOf(manager.projection, ref)) {
      const operation = OPERATIONS[command.type];
      const origin = { principal: MULTI_REGION_PRINCIPAL, requestId, operation, now };
      moved = (await manager.runUnchecked({ ...ref, region }, command, origin)).events.length > 0 || moved;
    }
    if (!moved) return changed;
    changed = true;
  }
  return changed;
}
