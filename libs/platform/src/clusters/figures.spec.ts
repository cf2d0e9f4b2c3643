import type { FolderCluster } from '#hsm/cluster/cluster-connection';
import type { MemberStatus } from '#hsm/cluster/member';
import { ACCOUNT, MemoryOperations } from '../../../../test/support/memory-operations';
import { Metrics } from '../metrics';
import { ClusterFigures } from './figures';

const ID = 'cluster-abcdefghijk';
const REF = { region: 'us-east-1', account: ACCOUNT, aggregate: 'cluster', id: ID } as const;

describe('what a crypto-worker tells of the HSMs of clusters', () => {
  const log = new MemoryOperations();
  const metrics = new Metrics();
  const status: MemberStatus[] = [
    { hsmId: 'hsm-aaaaaaaaaaa', zone: 'us-east-1a', state: 'in', sessions: 4, underWay: 0, syncLagMs: 0 },
    {
      ...{ hsmId: 'hsm-bbbbbbbbbbb', zone: 'us-east-1b', state: 'out', sessions: 0, underWay: 0, syncLagMs: 2_500 },
      why: 'its process has ended',
    },
  ];
  const connection = { status: () => status } as FolderCluster;
  let figures: ClusterFigures;

  beforeAll(async () => {
    await log.runCommand(REF, {
      ...{ type: 'CreateCluster', hsmType: 'hsm1.medium', mode: 'FIPS', backupRetentionDays: 7, tags: [] },
      subnetIds: ['subnet-0123abcd', 'subnet-4567abcd'],
    });
    const ids = { eniId: 'eni-01234567', backupId: 'backup-aaaaaaaaaaa' };
    await log.runCommand(REF, { type: 'CreateHsm', hsmId: 'hsm-aaaaaaaaaaa', zone: 'us-east-1a', ...ids });
    // Two custom key stores of one cluster.
    figures = new ClusterFigures(metrics, log.projection, () => [connection, connection]);
  });

  const shown = async (name: string): Promise<string[]> =>
    (await metrics.registry.metrics()).split('\n').filter((line) => line.startsWith(`${name}{`));

  it('is how many there are by cluster, zone and state, and how those that it uses are', async () => {
    expect(await shown('keytrail_cluster_hsms')).toEqual([
      `keytrail_cluster_hsms{cluster="${ID}",zone="us-east-1a",state="CREATE_IN_PROGRESS"} 1`,
    ]);
    expect(await shown('keytrail_cluster_hsm_up')).toEqual([
      'keytrail_cluster_hsm_up{hsm="hsm-aaaaaaaaaaa",zone="us-east-1a"} 1',
      'keytrail_cluster_hsm_up{hsm="hsm-bbbbbbbbbbb",zone="us-east-1b"} 0',
    ]);
    expect(await shown('keytrail_cluster_hsm_sessions')).toContain(
      'keytrail_cluster_hsm_sessions{hsm="hsm-aaaaaaaaaaa",zone="us-east-1a"} 4',
    );
    expect(await shown('keytrail_cluster_sync_lag_seconds')).toContain(
      'keytrail_cluster_sync_lag_seconds{hsm="hsm-bbbbbbbbbbb",zone="us-east-1b"} 2.5',
    );
  });

  it('is how long calls took, and which failed, for want of time or otherwise', async () => {
    const call = { hsmId: 'hsm-aaaaaaaaaaa', zone: 'us-east-1a', call: 'encrypt', ms: 3, timedOut: false } as const;
    figures.called({ ...call, outcome: 'answered' });
    figures.called({ ...call, outcome: 'refused' });
    figures.called({ ...call, outcome: 'unavailable' });
    figures.called({ ...call, outcome: 'unavailable', timedOut: true });
    const labels = '{zone="us-east-1a",call="encrypt"}';
    expect(await shown('keytrail_cluster_call_duration_seconds_count')).toEqual([
      `keytrail_cluster_call_duration_seconds_count${labels} 4`,
    ]);
    expect(await shown('keytrail_cluster_call_errors_total')).toEqual([
      `keytrail_cluster_call_errors_total${labels} 2`,
    ]);
    expect(await shown('keytrail_cluster_call_timeouts_total')).toEqual([
      `keytrail_cluster_call_timeouts_total${labels} 1`,
    ]);
  });

  it('is what status shows of each HSM, by the log and by the connection', () => {
    expect(figures.hsms()).toEqual([
      {
        ...{ clusterId: ID, hsmId: 'hsm-aaaaaaaaaaa', zone: 'us-east-1a', state: 'CREATE_IN_PROGRESS' },
        connection: { state: 'in', sessions: 4, syncLagMs: 0 },
      },
    ]);
  });
});
