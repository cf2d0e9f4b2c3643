import { randomUUID } from 'node:crypto';
import type { ClusterReport, CreateHsm } from '#domain/cluster/decide';
import { type ExistingCluster, exists } from '#domain/cluster/state';
import { isoDate } from '#domain/dates';
import { eventSubject } from '#domain/subjects';
import { type ClusterOptions, connectCluster, type FolderCluster } from '#hsm/cluster/cluster-connection';
import { ConnectError } from '#hsm/key-store/store-connection';
import type { Call, HsmPorts } from '#operations/operation';
import type { LiveView } from '#views/live-view';
import type { Clock } from '../clock';
import type { Metrics } from '../metrics';
import type { WorkerCommands } from '../worker-commands';
import { clusterFolder, membersOf } from './cluster-folders';
import { type ClusterSettings, obstacleOf } from './cluster-settings';
import { ClusterFigures, type HsmStatus } from './figures';
import { ClusterProvisioner, type ClusterRef } from './provisioner';

export interface ClustersPorts {
  settings: ClusterSettings;
  view: LiveView;
  commands: WorkerCommands;
  clock: Clock;
  metrics: Metrics;
  onError(error: unknown, what: string): void;
}

const KMSUSER = 'kmsuser';

/** A crypto-worker's clusters of HSMs: it makes their members, and connects to them as `kmsuser`. */
export class Clusters implements HsmPorts {
  private readonly provisioner: ClusterProvisioner;
  private readonly connections = new Map<string, Set<FolderCluster>>();
  private readonly figures: ClusterFigures;

  constructor(private readonly ports: ClustersPorts) {
    const { view, settings, clock, onError, metrics } = ports;
    this.figures = new ClusterFigures(metrics, view.projection, () => this.all());
    this.provisioner = new ClusterProvisioner({
      ...{ view, onError, folder: settings.folder },
      report: (ref, report) => this.report(ref, report),
      canMake: () => this.obstacle() === undefined,
      isOut: (ref, hsmId) => this.isOut(ref, hsmId),
      now: () => clock.now(),
    });
    view.onCommit(({ aggregate, region, account, id }) => {
      if (aggregate === 'cluster') this.follow({ region, account, aggregate, id });
    });
  }

  start(): void {
    this.provisioner.start();
  }

  async stop(): Promise<void> {
    await this.provisioner.stop();
    await Promise.all([...this.all()].map((connection) => connection.close()));
  }

  status(): HsmStatus[] {
    return this.figures.hsms();
  }

  obstacle(): string | undefined {
    return obstacleOf(this.ports.settings);
  }

  runCommand(ref: ClusterRef, command: CreateHsm, call: Call): Promise<void> {
    return this.ports.commands.run(ref, command, call);
  }

  /**
   * Connects as `kmsuser`; what members the cluster has is followed until it is closed. Rejects with ConnectError. `maskedKeys` as
   * ClusterOptions has it.
   */
  async connect(ref: ClusterRef, password: string, maskedKeys?: ClusterOptions['maskedKeys']): Promise<FolderCluster> {
    const cluster = this.existing(ref);
    if (!cluster) throw new ConnectError('CLUSTER_NOT_FOUND', `there is no cluster ${ref.id}`);
    const { folder, module } = this.ports.settings;
    const name = eventSubject(ref);
    const connection = await connectCluster({
      ...{ module, user: KMSUSER, password, folder: clusterFolder(folder, ref.id) },
      members: membersOf(folder, ref.id, cluster),
      observe: (call) => this.figures.called(call),
      ...(maskedKeys && { maskedKeys }),
    });
    const same = this.connections.get(name) ?? new Set();
    this.connections.set(name, same.add(connection));
    // What has changed meanwhile.
    this.follow(ref);
    const close = connection.close.bind(connection);
    connection.close = async () => {
      same.delete(connection);
      if (same.size === 0 && this.connections.get(name) === same) this.connections.delete(name);
      await close();
    };
    return connection;
  }

  private isOut(ref: ClusterRef, hsmId: string): boolean {
    const statuses = [...(this.connections.get(eventSubject(ref)) ?? [])].flatMap((connection) => connection.status());
    return statuses.some((status) => status.hsmId === hsmId && status.state !== 'in');
  }

  private follow(ref: ClusterRef): void {
    const cluster = this.existing(ref);
    if (!cluster) return;
    const members = membersOf(this.ports.settings.folder, ref.id, cluster);
    for (const connection of this.connections.get(eventSubject(ref)) ?? []) connection.members(members);
  }

  private existing(ref: ClusterRef): ExistingCluster | undefined {
    const state = this.ports.view.projection.folded(ref)?.state;
    return state && exists(state) ? state : undefined;
  }

  private all(): Iterable<FolderCluster> {
    return [...this.connections.values()].flatMap((connections) => [...connections]);
  }

  private report(ref: ClusterRef, report: ClusterReport): Promise<void> {
    const { commands, clock } = this.ports;
    const origin = { principal: 'keytrail:crypto-worker', requestId: randomUUID(), operation: report.type };
    return commands.append(ref, report, { ...origin, now: isoDate(clock.now()) });
  }
}
