import { exists } from '#domain/cluster/state';
import type { FolderCluster } from '#hsm/cluster/cluster-connection';
import type { MemberStatus, ObservedCall } from '#hsm/cluster/member';
import type { Projection } from '#views/projection';
import type { Metrics, Series } from '../metrics';

/** An HSM as the log has it, and, where this process is connected to it, as that connection finds it. */
export interface HsmStatus {
  clusterId: string;
  hsmId: string;
  zone: string;
  state: string;
  connection?: Pick<MemberStatus, 'state' | 'sessions' | 'syncLagMs' | 'pid' | 'why'>;
}

/** What a crypto-worker has to tell of the HSMs of clusters. */
export class ClusterFigures {
  private readonly duration: ReturnType<Metrics['histogram']>;
  private readonly errors: ReturnType<Metrics['counter']>;
  private readonly timeouts: ReturnType<Metrics['counter']>;

  constructor(
    metrics: Metrics,
    private readonly projection: Projection,
    private readonly connections: () => Iterable<FolderCluster>,
  ) {
    this.duration = metrics.histogram('keytrail_cluster_call_duration_seconds');
    this.errors = metrics.counter('keytrail_cluster_call_errors_total');
    this.timeouts = metrics.counter('keytrail_cluster_call_timeouts_total');
    metrics.gauges('keytrail_cluster_hsms', () => {
      const counts = new Map<string, number>();
      for (const { ref, state } of projection.all('cluster')) {
        if (!exists(state)) continue;
        for (const hsm of state.hsms) {
          const labels = JSON.stringify({ cluster: ref.id, zone: hsm.zone, state: hsm.state });
          counts.set(labels, (counts.get(labels) ?? 0) + 1);
        }
      }
      return [...counts].map(([labels, count]): Series => [JSON.parse(labels), count]);
    });
    const ofMembers = (read: (status: MemberStatus) => number): Series[] =>
      this.statuses().map((status) => [{ hsm: status.hsmId, zone: status.zone }, read(status)]);
    metrics.gauges('keytrail_cluster_hsm_up', () => ofMembers(({ state }) => Number(state === 'in')));
    metrics.gauges('keytrail_cluster_hsm_sessions', () => ofMembers(({ sessions }) => sessions));
    metrics.gauges('keytrail_cluster_sync_lag_seconds', () => ofMembers(({ syncLagMs }) => syncLagMs / 1000));
  }

  called({ zone, call, outcome, timedOut, ms }: ObservedCall): void {
    this.duration.observe({ zone, call }, ms / 1000);
    if (outcome === 'unavailable') this.errors.inc({ zone, call });
    if (timedOut) this.timeouts.inc({ zone, call });
  }

  hsms(): HsmStatus[] {
    const connected = new Map(this.statuses().map((status) => [status.hsmId, status]));
    return [...this.projection.all('cluster')].flatMap(({ ref, state }) =>
      (exists(state) ? state.hsms : []).map(({ hsmId, zone, state: of }) => {
        const found = connected.get(hsmId);
        const { state: is, sessions, syncLagMs, pid, why } = found ?? ({} as Partial<MemberStatus>);
        return {
          ...{ clusterId: ref.id, hsmId, zone, state: of },
          ...(found && {
            connection: {
              state: is!,
              sessions: sessions!,
              syncLagMs: syncLagMs!,
              ...(pid === undefined ? {} : { pid }),
              ...(why === undefined ? {} : { why }),
            },
          }),
        };
      }),
    );
  }

  /** Of each HSM that this process is connected to, once. */
  private statuses(): MemberStatus[] {
    const byHsm = new Map<string, MemberStatus>();
    for (const connection of this.connections())
      for (const status of connection.status()) byHsm.set(status.hsmId, status);
    return [...byHsm.values()];
  }
}
