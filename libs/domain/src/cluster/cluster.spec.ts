import fc from 'fast-check';
import { KmsError } from '../errors';
import { clusterAggregate as aggregate } from './aggregate';
import { type ClusterCommand, type CreateHsm, HSMS_PER_CLUSTER, type NewCluster } from './decide';
import type { ClusterEvent } from './events';
import { type Cluster, exists, initialCluster } from './state';
import { addressOf } from './zones';

const ID = 'cluster-abcdefghijk';
const NOW = '2026-01-01T00:00:00.000Z';
const PLACE = { region: 'us-east-1', account: '000000000000', id: ID, now: NOW };
const CERTIFICATES = { signed: 'signed', trustAnchor: 'anchor' };
const INVALID = 'CloudHsmInvalidRequestException';
const NOT_FOUND = 'CloudHsmResourceNotFoundException';

const fold = (events: readonly ClusterEvent[]): Cluster =>
  events.reduce((cluster, event) => aggregate.evolve(cluster, event, NOW), initialCluster);
const decide = (command: ClusterCommand, cluster: Cluster) => aggregate.decide(command, cluster, PLACE);
const given = (...events: ClusterEvent[]) => ({
  when: (command: ClusterCommand) => ({
    thenEvents: (...expected: ClusterEvent[]) => expect(decide(command, fold(events))).toEqual(expected),
    refused: (code: string, message = /./) =>
      expect(() => decide(command, fold(events))).toThrow(
        expect.objectContaining({ code, message: expect.stringMatching(message) }),
      ),
  }),
});

const FACTS: NewCluster = {
  ...{ hsmType: 'hsm1.medium', mode: 'FIPS', backupRetentionDays: 90, tags: [] },
  subnetIds: ['subnet-0123abcd', 'subnet-4567abcd'],
};
const created: ClusterEvent = { type: 'ClusterCreated', v: 1, ...FACTS };
const createHsm = (nth: number, zone = 'us-east-1a'): CreateHsm => ({
  ...{ type: 'CreateHsm', hsmId: `hsm-${nth}`, zone },
  ...{ eniId: `eni-${nth}`, backupId: `backup-${nth}` },
});
const begun = (nth: number, more: { backupId?: string } = {}): ClusterEvent => ({
  ...{ type: 'HsmCreationBegun', v: 1, hsmId: `hsm-${nth}`, zone: 'us-east-1a' },
  ...{ eniId: `eni-${nth}`, eniIp: addressOf(nth - 1), ...more },
});
const made = (nth: number, more: { csr?: string } = {}): ClusterEvent => ({
  ...{ type: 'HsmCreated', v: 1, hsmId: `hsm-${nth}`, ...more },
});
const initialized: ClusterEvent = { type: 'ClusterInitialized', v: 1, certificates: CERTIFICATES };
const activated: ClusterEvent = { type: 'ClusterActivated', v: 1 };
const active = [created, begun(1), made(1, { csr: 'csr' }), initialized, activated];
const backedUp: ClusterEvent = { type: 'BackupCreated', v: 1, backupId: 'backup-1' };

describe('a cluster', () => {
  it('is created once, and again under no id that there was', () => {
    const command: ClusterCommand = { type: 'CreateCluster', ...FACTS };
    given().when(command).thenEvents(created);
    given(created)
      .when(command)
      .refused(INVALID, /already exists/);
    given(created, { type: 'ClusterDeleted', v: 1 })
      .when(command)
      .refused(INVALID, /already exists/);
  });

  it('has its first HSM in a zone that a subnet stands for, and further ones once it is initialized', () => {
    given(created).when(createHsm(1)).thenEvents(begun(1));
    given(created)
      .when(createHsm(1, 'us-east-1c'))
      .refused(INVALID, /no subnet in us-east-1c; .* us-east-1a, us-east-1b/);
    given(created, begun(1))
      .when(createHsm(2))
      .refused(INVALID, /is UNINITIALIZED/);
    given(created, begun(1), made(1, { csr: 'csr' }), initialized)
      .when(createHsm(2))
      .thenEvents(begun(2));
    given().when(createHsm(1)).refused(NOT_FOUND, new RegExp(ID));
  });

  it('backs a member up when another one is made from it', () => {
    given(...active)
      .when(createHsm(2))
      .thenEvents(begun(2, { backupId: 'backup-2' }));
    given(...active, begun(2, { backupId: 'backup-2' }))
      .when({ type: 'RecordHsmCreated', hsmId: 'hsm-2', csr: 'another', backedUp: true })
      .thenEvents({ type: 'BackupCreated', v: 1, backupId: 'backup-2' }, made(2));
  });

  it('has as many HSMs as AWS lets it have, no two with one address', () => {
    const many = Array.from({ length: HSMS_PER_CLUSTER - 1 }, (_, nth) => begun(nth + 2));
    given(...active, ...many)
      .when(createHsm(HSMS_PER_CLUSTER + 1))
      .refused(INVALID, /has 28 HSMs/);
    given(...active)
      .when({ ...createHsm(2), ipAddress: addressOf(0) })
      .refused(INVALID, /another HSM's/);
    const addresses = Array.from({ length: 1_000 }, (_, nth) => addressOf(nth));
    expect(new Set(addresses).size).toBe(addresses.length);
  });

  it('is initialized once, with the request of its first HSM there', () => {
    const command: ClusterCommand = { type: 'InitializeCluster', certificates: CERTIFICATES };
    given(created, begun(1))
      .when(command)
      .refused(INVALID, /first HSM/);
    given(created, begun(1), made(1, { csr: 'csr' }))
      .when(command)
      .thenEvents(initialized);
    given(...active)
      .when(command)
      .refused(INVALID, /is ACTIVE/);
    given(...active.slice(0, 4))
      .when({ type: 'RecordClusterActivated' })
      .thenEvents(activated);
    given(...active)
      .when({ type: 'RecordClusterActivated' })
      .thenEvents();
  });

  it('is active from the start where it was made from a backup, with the certificates of the cluster before', () => {
    const restored = { backupId: 'backup-1', sourceCluster: 'cluster-1', csr: 'csr', certificates: CERTIFICATES };
    expect(fold([{ ...(created as Extract<ClusterEvent, { type: 'ClusterCreated' }>), restored }])).toMatchObject({
      clusterState: 'ACTIVE',
      certificates: CERTIFICATES,
    });
  });

  it('lets an HSM go that is named in any way, backed up if there is something in it', () => {
    const gone: ClusterEvent = { type: 'HsmDeletionBegun', v: 1, hsmId: 'hsm-1', backupId: 'backup-9' };
    for (const named of [{ hsmId: 'hsm-1' }, { eniId: 'eni-1' }, { eniIp: addressOf(0) }]) {
      given(...active)
        .when({ type: 'DeleteHsm', ...named, backupId: 'backup-9' })
        .thenEvents(gone);
    }
    const command: ClusterCommand = { type: 'DeleteHsm', hsmId: 'hsm-1', backupId: 'backup-9' };
    given(...active, gone)
      .when(command)
      .thenEvents();
    given(created, begun(1)).when(command).thenEvents({ type: 'HsmDeletionBegun', v: 1, hsmId: 'hsm-1' });
    given(created)
      .when(command)
      .refused(NOT_FOUND, /no HSM hsm-1/);
    given(...active, gone)
      .when({ type: 'RecordHsmDeleted', hsmId: 'hsm-1', backedUp: true })
      .thenEvents({ ...backedUp, backupId: 'backup-9' }, { type: 'HsmDeleted', v: 1, hsmId: 'hsm-1' });
  });

  it('keeps what is reported late, or twice, from changing anything', () => {
    const reports: ClusterCommand[] = [
      { type: 'RecordHsmCreated', hsmId: 'hsm-1', backedUp: true },
      { type: 'RecordHsmFailed', hsmId: 'hsm-1', reason: 'late' },
      { type: 'RecordHsmDeleted', hsmId: 'hsm-1', backedUp: false },
      { type: 'RecordBackupDeleted', backupId: 'backup-9' },
    ];
    for (const report of reports) {
      given(...active)
        .when(report)
        .thenEvents();
      given().when(report).thenEvents();
    }
  });

  it('tells why an HSM could not be made, and lets it be deleted', () => {
    const failed: ClusterEvent = { type: 'HsmCreationFailed', v: 1, hsmId: 'hsm-1', reason: 'no room' };
    given(created, begun(1)).when({ type: 'RecordHsmFailed', hsmId: 'hsm-1', reason: 'no room' }).thenEvents(failed);
    expect(fold([created, begun(1), failed])).toMatchObject({ hsms: [{ state: 'DEGRADED', message: 'no room' }] });
    given(created, begun(1), failed)
      .when({ type: 'DeleteHsm', hsmId: 'hsm-1', backupId: 'backup-9' })
      .thenEvents({ type: 'HsmDeletionBegun', v: 1, hsmId: 'hsm-1' });
  });

  it('is deleted without HSMs only, and its backups stay', () => {
    given(...active)
      .when({ type: 'DeleteCluster' })
      .refused(INVALID, /has 1 HSMs/);
    given(created).when({ type: 'DeleteCluster' }).thenEvents({ type: 'ClusterDeleted', v: 1 });
    const deleted = fold([created, backedUp, { type: 'ClusterDeleted', v: 1 }]);
    expect(deleted).toMatchObject({ clusterState: 'DELETED', backups: [{ backupId: 'backup-1', state: 'READY' }] });
  });

  it('has backups that can be restored for seven days', () => {
    const doomed: ClusterEvent = {
      ...{ type: 'BackupDeletionScheduled', v: 1, backupId: 'backup-1', deleteAt: '2026-01-08T00:00:00.000Z' },
    };
    given(...active, backedUp)
      .when({ type: 'DeleteBackup', backupId: 'backup-1' })
      .thenEvents(doomed);
    given(...active, backedUp)
      .when({ type: 'RestoreBackup', backupId: 'backup-1' })
      .refused(INVALID, /is READY/);
    given(...active, backedUp, doomed)
      .when({ type: 'DeleteBackup', backupId: 'backup-1' })
      .refused(INVALID);
    const restore: ClusterCommand = { type: 'RestoreBackup', backupId: 'backup-1' };
    const restored: ClusterEvent = { type: 'BackupRestored', v: 1, backupId: 'backup-1' };
    given(...active, backedUp, doomed)
      .when(restore)
      .thenEvents(restored);
    given(created, backedUp, doomed, { type: 'ClusterDeleted', v: 1 }).when(restore).thenEvents(restored);
    given(...active)
      .when(restore)
      .refused(NOT_FOUND, /backup-1/);
  });

  it('has tags, and so have its backups', () => {
    const tags = [{ key: 'team', value: 'red' }];
    for (const resourceId of [ID, 'backup-1']) {
      const tagged: ClusterEvent = { type: 'ClusterTagged', v: 1, resourceId, tags };
      given(...active, backedUp)
        .when({ type: 'TagResource', resourceId, tags })
        .thenEvents(tagged);
      given(...active, backedUp, tagged)
        .when({ type: 'TagResource', resourceId, tags })
        .thenEvents();
      given(...active, backedUp, tagged)
        .when({ type: 'UntagResource', resourceId, tagKeys: ['team', 'other'] })
        .thenEvents({ type: 'ClusterUntagged', v: 1, resourceId, tagKeys: ['team'] });
    }
    const many = Array.from({ length: 51 }, (_, nth) => ({ key: `key-${nth}`, value: '' }));
    given(...active)
      .when({ type: 'TagResource', resourceId: ID, tags: many })
      .refused('CloudHsmTagException', /50/);
  });
});

describe('whatever is asked of a cluster', () => {
  const nth = fc.integer({ min: 1, max: 4 });
  const hsmId = nth.map((n) => `hsm-${n}`);
  const backupId = nth.map((n) => `backup-${n}`);
  const command: fc.Arbitrary<ClusterCommand> = fc.oneof(
    fc.tuple(nth, fc.constantFrom('us-east-1a', 'us-east-1b')).map(([n, zone]) => createHsm(n, zone)),
    fc.record({
      type: fc.constant('RecordHsmCreated' as const),
      hsmId,
      csr: fc.constant('csr'),
      backedUp: fc.boolean(),
    }),
    fc.record({ type: fc.constant('RecordHsmFailed' as const), hsmId, reason: fc.constant('no room') }),
    fc.record({ type: fc.constant('RecordHsmDeleted' as const), hsmId, backedUp: fc.boolean() }),
    fc.record({ type: fc.constant('DeleteHsm' as const), hsmId, backupId }),
    fc.constant<ClusterCommand>({ type: 'InitializeCluster', certificates: CERTIFICATES }),
    fc.constant<ClusterCommand>({ type: 'RecordClusterActivated' }),
    fc.constant<ClusterCommand>({ type: 'DeleteCluster' }),
    fc.record({ type: fc.constantFrom('DeleteBackup' as const, 'RestoreBackup' as const), backupId }),
    fc.record({ type: fc.constant('RecordBackupDeleted' as const), backupId }),
  );

  it('what is decided can be folded, and what is reported is never refused', () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 40 }), (commands) => {
        let cluster = fold([created]);
        const ids = new Set<string>();
        for (const each of commands) {
          // Ids are new ones.
          if (each.type === 'CreateHsm' && ids.has(each.hsmId)) continue;
          let events: ClusterEvent[] = [];
          try {
            events = decide(each, cluster);
          } catch (refusal) {
            expect(refusal).toBeInstanceOf(KmsError);
            expect(each.type).not.toMatch(/^Record/);
          }
          if (each.type === 'CreateHsm' && events.length > 0) ids.add(each.hsmId);
          for (const event of events) cluster = aggregate.evolve(cluster, event, NOW);
          if (!exists(cluster)) continue;
          if (cluster.clusterState === 'UNINITIALIZED') expect(cluster.hsms.length).toBeLessThanOrEqual(1);
          expect(new Set(cluster.hsms.map(({ eniIp }) => eniIp)).size).toBe(cluster.hsms.length);
        }
      }),
    );
  });
});
