import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ClusterOptions, connectCluster, type FolderCluster } from '#hsm/cluster/cluster-connection';
import { createUser } from '#hsm/cluster/cluster-users';
import type { MemberPlace } from '#hsm/cluster/member';
import { copyTokens, prepareFolder } from '#hsm/cluster/member-folder';

export const KMSUSER = { user: 'kmsuser', password: 'kmsuser-password' };

/** A cluster's folder with members and `kmsuser`, as its owner leaves it. */
export class TestCluster {
  readonly members: MemberPlace[];
  private readonly connections: FolderCluster[] = [];

  private constructor(
    readonly module: string,
    readonly folder: string,
    zones: readonly string[],
  ) {
    this.members = zones.map((zone, nth) => this.place(`hsm-${nth + 1}`, zone));
  }

  static async make(module: string, zones: readonly string[] = ['eu-a', 'eu-b']): Promise<TestCluster> {
    const cluster = new TestCluster(module, mkdtempSync(join(tmpdir(), 'keytrail-cluster-')), zones);
    for (const { folder } of cluster.members) await prepareFolder(folder);
    await cluster.addUser(KMSUSER.user, KMSUSER.password);
    return cluster;
  }

  place(hsmId: string, zone: string): MemberPlace {
    return { hsmId, zone, folder: join(this.folder, hsmId) };
  }

  get folders(): string[] {
    return this.members.map(({ folder }) => folder);
  }

  addUser(user: string, password: string): Promise<void> {
    return createUser({ module: this.module, folder: this.folder, members: this.folders }, user, password);
  }

  /** As CreateHsm leaves it. */
  async addMember(hsmId: string, zone: string): Promise<MemberPlace> {
    const place = this.place(hsmId, zone);
    await copyTokens(this.folders[0]!, place.folder);
    this.members.push(place);
    return place;
  }

  async connect(options: Partial<ClusterOptions> = {}): Promise<FolderCluster> {
    const connection = await connectCluster({
      ...{ module: this.module, members: this.members, ...KMSUSER },
      upkeep: { pauseMs: 10, maxPauseMs: 100, watchMs: 50 },
      ...options,
    });
    this.connections.push(connection);
    return connection;
  }

  async remove(): Promise<void> {
    for (const connection of this.connections) await connection.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
