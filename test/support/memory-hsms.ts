import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { clusterCsr } from '#crypto/cluster-certificate';
import { exists } from '#domain/cluster/state';
import type { AggregateRef } from '#domain/subjects';
import type { KeyManager } from '#platform/key-manager';

let privateKey: KeyObject | undefined;

/** What a crypto-worker does about the HSMs of a cluster, without any. */
export async function settleHsms(manager: KeyManager, ref: AggregateRef<'cluster'>, now: string): Promise<void> {
  const origin = { principal: 'keytrail:crypto-worker', requestId: 'test', operation: 'Test', now };
  const state = manager.projection.folded(ref)?.state;
  if (!state || !exists(state)) return;
  for (const { hsmId, state: of } of state.hsms) {
    if (of === 'CREATE_IN_PROGRESS') {
      privateKey ??= generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
      const csr = clusterCsr(ref.id, privateKey);
      await manager.runFor(ref, { type: 'RecordHsmCreated', hsmId, csr, backedUp: false }, origin);
    }
    if (of === 'DELETE_IN_PROGRESS') {
      await manager.runFor(ref, { type: 'RecordHsmDeleted', hsmId, backedUp: true }, origin);
    }
  }
}
