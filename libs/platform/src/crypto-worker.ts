import { NoncePool } from '#crypto/nonce-pool';
import { keyArn } from '#domain/arn';
import { KmsError } from '#domain/errors';
import { hasAccessKeys } from '#domain/principal/state';
import type { AggregateRef } from '#domain/subjects';
import type { BackingKey } from '#hsm/backing-key';
import type { MaterialVault } from '#hsm/material-vault';
import type { DataPorts } from '#operations/operation';
import type { LiveView } from '#views/live-view';
import type { MaterialCustodian } from './key-manager';
import type { Lease } from './lease';

/** More orphans than crashes explain: the log and the store may not belong together, so nothing is erased. */
const MAX_ORPHANS = 100;

export interface SweepReport {
  erased: number;
  kept: number;
}

/** Serves data operations and looks after material. The only part that ever holds a backing key. */
export class CryptoWorker implements DataPorts, MaterialCustodian {
  private readonly pool = new NoncePool();

  constructor(
    private readonly view: LiveView,
    private readonly vault: MaterialVault,
    private readonly lease: Lease,
  ) {
    // Backing keys of a deleted key leave memory in every worker as soon as it hears of the deletion.
    view.onCommit((commit) => {
      if (commit.aggregate !== 'key' || !commit.events.some((event) => event.type === 'KeyDeleted')) return;
      const key = view.projection.key(commit.region, commit.account, commit.id)?.state;
      if (key?.keyState === 'Deleted') for (const materialId of key.materialIds) this.vault.evict(materialId);
    });
  }

  get projection() {
    return this.view.projection;
  }

  peekBackingKey(materialId: string): BackingKey | undefined {
    this.lease.assertHeld();
    return this.vault.peek(materialId);
  }

  loadBackingKey(arn: string, materialId: string): Promise<BackingKey> {
    return this.vault.load(arn, materialId);
  }

  random(length: number): Buffer {
    return this.pool.take(length);
  }

  create(arn: string, materialId: string): Promise<void> {
    return this.vault.create(arn, materialId);
  }

  /** Refuses while the log, as this worker knows it, still has the key alive: erasing is for ever. */
  async destroy(ref: AggregateRef, materialId: string): Promise<void> {
    const key = this.projection.key(ref.region, ref.account, ref.id)?.state;
    if (key?.keyState !== 'Deleted' || !key.allMaterialIds.includes(materialId)) {
      throw new KmsError(
        'KMSInternalException',
        `${keyArn(ref.region, ref.account, ref.id)} is not known to be deleted`,
      );
    }
    await this.vault.destroy(materialId);
  }

  /**
   * Erases material that no living key or access key needs: of deleted keys at once (a backup brought it back), of no known key once
   * it is older than the grace (a crash came between storing it and the event that names it).
   */
  async sweep(now: number, graceMs: number, caughtUp: () => Promise<void>): Promise<SweepReport> {
    // First the list, then the log up to now: material that is listed and in use is then known to be.
    const listed = await this.vault.list();
    await caughtUp();
    const living = new Set<string>();
    const deleted = new Set<string>();
    for (const { state } of this.projection.allKeys()) {
      if (state.keyState === 'Deleted') for (const id of state.allMaterialIds) deleted.add(id);
      else if (state.keyState !== 'None') for (const version of state.versions) living.add(version.materialId);
    }
    for (const { state } of this.projection.all('principal')) {
      if (hasAccessKeys(state)) for (const accessKey of state.accessKeys) living.add(accessKey.materialId);
    }
    const stored = listed.filter(({ materialId }) => !living.has(materialId));
    const orphans = stored.filter(({ materialId, storedAt }) => !deleted.has(materialId) && storedAt + graceMs <= now);
    const leftOver = stored.filter(({ materialId }) => deleted.has(materialId));
    const doomed = orphans.length > MAX_ORPHANS ? leftOver : [...leftOver, ...orphans];
    for (const { materialId } of doomed) await this.vault.destroy(materialId);
    return { erased: doomed.length, kept: stored.length - doomed.length };
  }
}
