import { userRef } from '#domain/principal/principal-id';
import { signedByOwner } from '../../../../test/support/cluster-certificates';
import { ACCOUNT, allowing, MemoryOperations } from '../../../../test/support/memory-operations';

type Body = Record<string, unknown>;
const INVALID = 'CloudHsmInvalidRequestException';
const ANN = { principalId: 'AIDAANNANNANNANNANN1' };

describe('clusters of HSMs', () => {
  let kms: MemoryOperations;
  const ask = (operation: string, input: object = {}, who = {}) => kms.call(operation, input, who);
  const done = async (operation: string, input: object = {}, who = {}): Promise<Body> => {
    const { code, message, body } = await ask(operation, input, who);
    expect({ operation, code, message }).toEqual({ operation, code: 'OK', message: '' });
    return body as Body;
  };
  const create = async (input: object = {}, who = {}): Promise<string> => {
    const { Cluster } = await done(
      'CreateCluster',
      { HsmType: 'hsm1.medium', SubnetIds: ['subnet-0123abcd'], ...input },
      who,
    );
    return (Cluster as { ClusterId: string }).ClusterId;
  };
  const described = async (Filters: object = {}, more: object = {}) => {
    const body = await done('DescribeClusters', { Filters, ...more });
    return body as unknown as { Clusters: Record<string, unknown>[]; NextToken?: string };
  };
  const active = async (): Promise<string> => {
    const ClusterId = await create();
    await done('CreateHsm', { ClusterId, AvailabilityZone: 'us-east-1a' });
    const [cluster] = (await described({ clusterIds: [ClusterId] })).Clusters;
    const { ClusterCsr } = cluster!['Certificates'] as { ClusterCsr: string };
    await done('InitializeCluster', { ClusterId, ...signedByOwner(ClusterCsr) });
    await kms.runCommand(
      { region: 'us-east-1', account: ACCOUNT, aggregate: 'cluster', id: ClusterId },
      { type: 'RecordClusterActivated' },
    );
    return ClusterId;
  };

  beforeEach(() => {
    kms = new MemoryOperations();
  });

  it('are four at most in an account and region, as many as AWS lets there be, and six HSMs', async () => {
    const made = await Promise.all([1, 2, 3, 4].map(() => create()));
    expect(await ask('CreateCluster', { HsmType: 'hsm1.medium', SubnetIds: ['subnet-0123abcd'] })).toMatchObject({
      code: INVALID,
      message: expect.stringContaining('4 clusters'),
    });
    await create({}, { region: 'eu-central-1' });
    await done('DeleteCluster', { ClusterId: made[0] });
    const ClusterId = await active();
    for (let nth = 2; nth <= 6; nth++) await done('CreateHsm', { ClusterId, AvailabilityZone: 'us-east-1a' });
    expect(await ask('CreateHsm', { ClusterId, AvailabilityZone: 'us-east-1a' })).toMatchObject({
      code: INVALID,
      message: expect.stringContaining('6 HSMs'),
    });
  });

  it('have six HSMs at most, of however many that are asked for at once', async () => {
    const ClusterId = await active();
    const asked = Array.from({ length: 9 }, () => ask('CreateHsm', { ClusterId, AvailabilityZone: 'us-east-1a' }));
    const refused = (await Promise.all(asked)).filter(({ code }) => code !== 'OK');
    expect(refused.map(({ code }) => code)).toEqual([INVALID, INVALID, INVALID, INVALID]);
    expect((await described({ clusterIds: [ClusterId] })).Clusters[0]!['Hsms']).toHaveLength(6);
  });

  it('are described page by page and by filter, the deleted ones to who asks for them', async () => {
    const ids = [await create(), await create(), await create()];
    const first = await described({}, { MaxResults: 2 });
    const second = await described({}, { MaxResults: 2, NextToken: first.NextToken });
    expect([...first.Clusters, ...second.Clusters].map(({ ClusterId }) => ClusterId)).toEqual(ids);
    expect(second.NextToken).toBeUndefined();
    await done('DeleteCluster', { ClusterId: ids[0] });
    const idsOf = ({ Clusters }: { Clusters: Record<string, unknown>[] }) => Clusters.map(({ ClusterId }) => ClusterId);
    expect(idsOf(await described())).toEqual(ids.slice(1));
    expect(idsOf(await described({ states: ['DELETED'] }))).toEqual([ids[0]]);
    expect(idsOf(await described({ clusterIds: [ids[0], ids[2]] }))).toEqual([ids[0], ids[2]]);
    expect(idsOf(await described({ clusterIds: [ids[1]], states: ['ACTIVE'] }))).toEqual([]);
    expect(await ask('DescribeClusters', { Filters: { colours: ['red'] } })).toMatchObject({
      code: 'ValidationException',
      message: expect.stringMatching(/Filters: expected clusterIds, vpcIds, states, not colours/),
    });
    expect((await ask('DescribeClusters', { NextToken: 'none of ours' })).code).toBe('InvalidMarkerException');
  });

  it('are of their region alone', async () => {
    const ClusterId = await create();
    const elsewhere = { region: 'eu-central-1' };
    expect((await ask('DeleteCluster', { ClusterId }, elsewhere)).code).toBe('CloudHsmResourceNotFoundException');
    expect(await done('DescribeClusters', {}, elsewhere)).toEqual({ Clusters: [] });
  });

  it('are for whoever has the permission, on that cluster', async () => {
    const [mine, other] = [await create(), await create()];
    const ann = userRef(ACCOUNT, 'ann');
    await kms.runCommand(ann, { type: 'CreateUser', name: 'ann', path: '/', uniqueId: ANN.principalId, tags: [] });
    const policy = JSON.stringify({
      Version: '2012-10-17',
      Statement: {
        Effect: 'Allow',
        Action: 'cloudhsm:*',
        Resource: `arn:aws:cloudhsm:us-east-1:${ACCOUNT}:cluster/${mine}`,
      },
    });
    expect((await ask('ListTags', { ResourceId: mine }, ANN)).code).toBe('AccessDeniedException');
    await kms.runCommand(ann, { type: 'PutPolicy', policyName: 'own', policy });
    await done('ListTags', { ResourceId: mine }, ANN);
    expect(
      await ask('TagClusterResource', { ResourceId: other, TagList: [{ Key: 'a', Value: 'b' }] }, ANN),
    ).toMatchObject({
      code: 'AccessDeniedException',
      message: expect.stringContaining('cloudhsm:TagResource'),
    });
    expect(await ask('DescribeClusters', {}, ANN)).toMatchObject({ code: 'AccessDeniedException' });
    await kms.runCommand(ann, { type: 'PutPolicy', policyName: 'all', policy: allowing('cloudhsm:Describe*') });
    await done('DescribeClusters', {}, ANN);
  });

  it('have no HSM where there is no module to make one with', async () => {
    const ClusterId = await create();
    kms.hsmObstacle = 'No HSM can be made on this machine.';
    expect(await ask('CreateHsm', { ClusterId, AvailabilityZone: 'us-east-1a' })).toMatchObject({
      code: INVALID,
      message: kms.hsmObstacle,
    });
  });

  it.each([
    ['a subnet twice', { SubnetIds: ['subnet-0123abcd', 'subnet-0123abcd'] }, INVALID, /given twice/],
    ['addresses of both kinds', { NetworkType: 'DUALSTACK' }, INVALID, /IPV4/],
    ['a retention too short', { BackupRetentionPolicy: { Type: 'DAYS', Value: '6' } }, INVALID, /7 to 379/],
    [
      'a tag key twice',
      {
        TagList: [
          { Key: 'a', Value: '1' },
          { Key: 'a', Value: '2' },
        ],
      },
      'CloudHsmTagException',
      /twice/,
    ],
    ['a tag key of AWS', { TagList: [{ Key: 'aws:a', Value: '1' }] }, 'CloudHsmTagException', /reserved/],
    [
      'a backup that there is none of',
      { SourceBackupId: 'backup-aaaaaaaaaaa' },
      'CloudHsmResourceNotFoundException',
      /backup/,
    ],
    ['a subnet that is none', { SubnetIds: ['net-1'] }, 'ValidationException', /subnetIds/],
  ])('are not created with %s', async (_what, input, code, message) => {
    const asked = { HsmType: 'hsm1.medium', SubnetIds: ['subnet-0123abcd'], ...input };
    expect(await ask('CreateCluster', asked)).toMatchObject({ code, message: expect.stringMatching(message) });
  });

  it('have backups by filter and in order, from which another cluster is made', async () => {
    const ClusterId = await active();
    for (const nth of [1, 2]) {
      kms.now += 1_000;
      const { Hsm } = await done('CreateHsm', { ClusterId, AvailabilityZone: 'us-east-1a' });
      kms.now += 1_000 * nth;
      await done('DeleteHsm', { ClusterId, HsmId: (Hsm as { HsmId: string }).HsmId });
    }
    const backups = async (input: object = {}) =>
      (await done('DescribeBackups', input))['Backups'] as { BackupId: string; CreateTimestamp: number }[];
    const newestFirst = await backups();
    expect(newestFirst).toHaveLength(2);
    expect(newestFirst[0]!.CreateTimestamp).toBeGreaterThan(newestFirst[1]!.CreateTimestamp);
    expect(await backups({ SortAscending: true })).toEqual([...newestFirst].reverse());
    const { BackupId } = newestFirst[0]!;
    await done('ModifyBackupAttributes', { BackupId, NeverExpires: true });
    expect(await backups({ Filters: { neverExpires: ['true'] } })).toMatchObject([{ BackupId, NeverExpires: true }]);
    const restored = await create({ SourceBackupId: `arn:aws:cloudhsm:us-east-1:${ACCOUNT}:backup/${BackupId}` });
    const [before, after] = (await described()).Clusters;
    expect(after).toMatchObject({ ClusterId: restored, State: 'ACTIVE', SourceBackupId: BackupId });
    expect(after!['Certificates']).toEqual(before!['Certificates']);
    await done('DeleteBackup', { BackupId });
    expect(
      (await ask('CreateCluster', { HsmType: 'hsm1.medium', SubnetIds: ['subnet-0123abcd'], SourceBackupId: BackupId }))
        .code,
    ).toBe(INVALID);
  });
});
