import { readdir, rm, stat } from 'node:fs/promises';
import type { ClusterReport } from '#domain/cluster/decide';
import { type Backup, backupsOf, type Cluster, type ExistingCluster, exists, type Hsm } from '#domain/cluster/state';
import { type AggregateRef, eventSubject } from '#domain/subjects';
import { backUp, isThere, restore } from '#hsm/cluster/cluster-backup';
import { usersOf } from '#hsm/cluster/cluster-users';
import { copyTokens, prepareFolder, tokensIn } from '#hsm/cluster/member-folder';
import type { LiveView } from '#views/live-view';
import { backupFolder, clusterFolder, hsmFolder } from './cluster-folders';
import { csrOf } from './cluster-identity';

export type ClusterRef = AggregateRef<'cluster'>;

export interface ProvisionerPorts {
  view: Pick<LiveView, 'onCommit' | 'projection'>;
  /** That of all clusters. */
  folder: string;
  /** Whether this machine has what it takes to make an HSM; to remove one takes nothing. */
  canMake(): boolean;
  /** Has a key-manager append it; returns once it is in the view. */
  report(ref: ClusterRef, report: ClusterReport): Promise<void>;
  /** Whether a connection of this process has the HSM, and cannot use it now: its files may be damaged. */
  isOut(ref: ClusterRef, hsmId: string): boolean;
  /** ms since the epoch. */
  now(): number;
  onError(error: unknown, what: string): void;
}

const DAY_MS = 86_400_000;
/** How often what no event tells of is looked at: users that the owner has made, and backups that have become too old. */
const WATCH_MS = 1_000;
/** A disk that is full now may have room in a moment; a folder that nobody may write to has not. */
const TRIES = 3;
const LEFT_OVER_MS = 60_000;

/**
 * Makes the HSMs of clusters, and removes them, as the log says: each step is harmless to repeat, so that it goes on after a
 * crash at any point, and several crypto-workers of one machine may do it at once.
 */
export class ClusterProvisioner {
  private readonly running = new Map<string, Promise<void>>();
  private readonly failures = new Map<string, number>();
  private timer: NodeJS.Timeout | undefined;
  private stopped = false;

  constructor(private readonly ports: ProvisionerPorts) {}

  start(): void {
    const { view } = this.ports;
    view.onCommit(({ aggregate, region, account, id }) => {
      if (aggregate === 'cluster') void this.settle({ region, account, aggregate, id });
    });
    this.watch(() => true);
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await Promise.all(this.running.values());
  }

  /** Does what there is to be done for a cluster, and resolves when that is done. Never rejects. */
  settle(ref: ClusterRef): Promise<void> {
    const name = eventSubject(ref);
    // A commit of its own wakes it up, too: what is under way looks at the state once more before it ends.
    const before = this.running.get(name) ?? Promise.resolve();
    const turn = before
      .then(() => (this.stopped ? undefined : this.steps(ref)))
      .catch((error) => this.ports.onError(error, `cluster ${ref.id}`))
      .finally(() => {
        if (this.running.get(name) === turn) this.running.delete(name);
      });
    this.running.set(name, turn);
    return turn;
  }

  /** At the start all clusters are seen to: what a deleted one has left behind, too. */
  private watch(isDue = (cluster: Cluster) => this.mayBeDue(cluster)): void {
    if (this.stopped) return;
    const due = [...this.ports.view.projection.all('cluster')].filter(({ state }) => isDue(state));
    void Promise.all(due.map(({ ref }) => this.settle(ref as ClusterRef))).then(() => {
      if (this.stopped) return;
      this.timer = setTimeout(() => this.watch(), WATCH_MS);
      this.timer.unref();
    });
  }

  private mayBeDue(cluster: Cluster): boolean {
    if (backupsOf(cluster).some((backup) => this.isOver(backup, cluster))) return true;
    if (!exists(cluster)) return false;
    const unsettled = ({ state }: Hsm): boolean => state === 'CREATE_IN_PROGRESS' || state === 'DELETE_IN_PROGRESS';
    return cluster.clusterState === 'INITIALIZED' || cluster.hsms.some(unsettled);
  }

  private async steps(ref: ClusterRef): Promise<void> {
    const state = this.ports.view.projection.folded(ref)?.state;
    if (!state || state.clusterState === 'None') return;
    for (const backup of backupsOf(state)) {
      if (!this.isOver(backup, state)) continue;
      await rm(backupFolder(this.ports.folder, backup.backupId), { recursive: true, force: true });
      await this.ports.report(ref, { type: 'RecordBackupDeleted', backupId: backup.backupId });
    }
    if (!exists(state)) {
      await rm(clusterFolder(this.ports.folder, ref.id), { recursive: true, force: true });
      return;
    }
    for (const hsm of state.hsms) {
      if (hsm.state === 'CREATE_IN_PROGRESS' && this.ports.canMake()) await this.create(ref, state, hsm);
      if (hsm.state === 'DELETE_IN_PROGRESS') await this.remove(ref, state, hsm);
    }
    await this.sweep(ref, state);
    if (state.clusterState !== 'INITIALIZED') return;
    const users = await usersOf(clusterFolder(this.ports.folder, ref.id));
    if (users.length > 0) await this.ports.report(ref, { type: 'RecordClusterActivated' });
  }

  private async create(ref: ClusterRef, cluster: ExistingCluster, { hsmId, backupId }: Hsm): Promise<void> {
    const { folder } = this.ports;
    try {
      const own = hsmFolder(folder, ref.id, hsmId);
      const source = await this.sourceOf(ref, cluster);
      let backedUp = false;
      if (source && 'member' in source) {
        await copyTokens(source.member, own);
        if (backupId) {
          await backUp(source.member, clusterFolder(folder, ref.id), backupFolder(folder, backupId));
          backedUp = true;
        }
      } else if (source) await restore(source.backup, clusterFolder(folder, ref.id), own);
      else await prepareFolder(own);
      const csr = cluster.csr === undefined ? { csr: await csrOf(clusterFolder(folder, ref.id), ref.id) } : {};
      await this.ports.report(ref, { type: 'RecordHsmCreated', hsmId, ...csr, backedUp });
    } catch (error) {
      const failures = (this.failures.get(hsmId) ?? 0) + 1;
      this.failures.set(hsmId, failures);
      if (failures >= TRIES) {
        const code = (error as NodeJS.ErrnoException).code ?? 'an error';
        const reason = `Its folder could not be made (${code}): see the log of the crypto-worker, and delete it.`;
        await this.ports.report(ref, { type: 'RecordHsmFailed', hsmId, reason });
      }
      throw error;
    }
  }

  private async remove(ref: ClusterRef, cluster: ExistingCluster, { hsmId, backupId }: Hsm): Promise<void> {
    const { folder } = this.ports;
    const own = hsmFolder(folder, ref.id, hsmId);
    let backedUp = false;
    if (backupId) {
      const backup = backupFolder(folder, backupId);
      const isWhole = (await tokensIn(own)).length > 0 || cluster.clusterState === 'INITIALIZED';
      const trusted = isWhole && !this.ports.isOut(ref, hsmId);
      const source = trusted ? own : ((await this.memberWithTokens(ref, cluster)) ?? (isWhole ? own : undefined));
      // Where another crypto-worker has removed it already, that one has made the backup.
      if (source && !(await isThere(backup))) await backUp(source, clusterFolder(folder, ref.id), backup);
      backedUp = await isThere(backup);
    }
    await rm(own, { recursive: true, force: true });
    await this.ports.report(ref, { type: 'RecordHsmDeleted', hsmId, backedUp });
  }

  /** A connection that had not heard of the end of a member yet may have restored its folder; a user that was not made leaves `new-`. */
  private async sweep(ref: ClusterRef, { hsms }: ExistingCluster): Promise<void> {
    const names = await readdir(clusterFolder(this.ports.folder, ref.id)).catch(() => []);
    for (const name of names) {
      if (!/^(hsm|new)-/.test(name) || hsms.some(({ hsmId }) => hsmId === name)) continue;
      const folder = hsmFolder(this.ports.folder, ref.id, name);
      // Of one that is being made, this process may not have heard yet.
      const { mtimeMs } = await stat(folder);
      if (Date.now() - mtimeMs > LEFT_OVER_MS) await rm(folder, { recursive: true, force: true });
    }
  }

  /** What a new member gets its users and keys from; undefined for the first of a cluster. */
  private async sourceOf(
    ref: ClusterRef,
    cluster: ExistingCluster,
  ): Promise<{ member: string } | { backup: string } | undefined> {
    const member = await this.memberWithTokens(ref, cluster);
    if (member) return { member };
    const own = cluster.backups.filter(({ state }) => state === 'READY').map(({ backupId }) => backupId);
    const backupId = own.at(-1) ?? cluster.restored?.backupId;
    return backupId === undefined ? undefined : { backup: backupFolder(this.ports.folder, backupId) };
  }

  /** Rather one that is in use than one that cannot be used, of which a copy might be as damaged. */
  private async memberWithTokens(ref: ClusterRef, { hsms }: ExistingCluster): Promise<string | undefined> {
    let last: string | undefined;
    for (const { hsmId, state } of hsms) {
      const folder = hsmFolder(this.ports.folder, ref.id, hsmId);
      if (state !== 'ACTIVE' || (await tokensIn(folder)).length === 0) continue;
      if (!this.ports.isOut(ref, hsmId)) return folder;
      last ??= folder;
    }
    return last;
  }

  /** Deleted, and past restoring; or older than its cluster keeps it, if another one is newer. */
  private isOver(backup: Backup, cluster: Cluster): boolean {
    const now = this.ports.now();
    if (backup.state === 'PENDING_DELETION') return Date.parse(backup.deleteAt!) <= now;
    if (backup.state !== 'READY' || backup.neverExpires) return false;
    const { backupRetentionDays } = exists(cluster) ? cluster : (cluster as { was: ExistingCluster }).was;
    const isNewest =
      backupsOf(cluster)
        .filter(({ state }) => state === 'READY')
        .at(-1) === backup;
    return !isNewest && Date.parse(backup.createdAt) + backupRetentionDays * DAY_MS <= now;
  }
}
