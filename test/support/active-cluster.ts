import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { askCloudHsm } from './cloudhsm-client';
import { signedByOwner } from './cluster-certificates';
import type { Credentials } from './identities';
import { until } from './nats-server';
import { MAIN } from './processes';

export interface ActiveCluster {
  clusterId: string;
  trustAnchor: string;
  password: string;
}

interface Shown {
  State: string;
  Hsms: { State: string }[];
  Certificates: { ClusterCsr?: string };
}

/** A cluster of two zones with `kmsuser`, made as its owner makes it, on an embedded server whose data folder is given. */
export async function activeCluster(
  endpoint: string,
  credentials: Credentials,
  dataDir: string,
  main = MAIN,
): Promise<ActiveCluster> {
  const ask = <T>(operation: string, input: object) =>
    askCloudHsm(endpoint, credentials, operation, input) as unknown as Promise<T>;
  const created = await ask<{ Cluster: { ClusterId: string } }>('CreateCluster', {
    HsmType: 'hsm1.medium',
    SubnetIds: ['subnet-0123abcd', 'subnet-4567abcd'],
  });
  const { ClusterId } = created.Cluster;
  const shown = async (): Promise<Shown> =>
    (await ask<{ Clusters: Shown[] }>('DescribeClusters', { Filters: { clusterIds: [ClusterId] } })).Clusters[0]!;
  const withHsm = async (zone: string, count: number): Promise<void> => {
    await ask('CreateHsm', { ClusterId, AvailabilityZone: zone });
    const active = async () => (await shown()).Hsms.filter(({ State }) => State === 'ACTIVE').length;
    await until(async () => (await active()) === count, 'the HSM is not active');
  };
  await withHsm('us-east-1a', 1);
  const signed = signedByOwner((await shown()).Certificates.ClusterCsr!);
  await ask('InitializeCluster', { ClusterId, ...signed });
  const password = 'kmsuser-password';
  const file = join(dataDir, 'kmsuser-password-of-the-test');
  writeFileSync(file, password, { mode: 0o600 });
  const user = ['--cluster-id', ClusterId, '--user', 'kmsuser', '--password-file', file];
  execFileSync(process.execPath, [main, 'hsm', 'create-user', ...user], {
    env: { ...process.env, KEYTRAIL_DATA_DIR: dataDir },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  rmSync(file);
  await until(async () => (await shown()).State === 'ACTIVE', 'the cluster is not active');
  await withHsm('us-east-1b', 2);
  return { clusterId: ClusterId, trustAnchor: signed.TrustAnchor, password };
}
