import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ClusterCommand, ClusterReport } from '#domain/cluster/decide';
import type { ExistingCluster } from '#domain/cluster/state';
import { createUser } from '#hsm/cluster/cluster-users';
import { ACCOUNT, MemoryOperations } from '../../../../test/support/memory-operations';
import { softHsmModule } from '../../../../test/support/softhsm';
import { ClusterProvisioner, type ClusterRef } from './provisioner';

const modulePath = softHsmModule();
const REF: ClusterRef = { region: 'us-east-1', account: ACCOUNT, aggregate: 'cluster', id: 'cluster-abcdefghijk' };
const DAY_MS = 86_400_000;
const hsm = (letter: string, zone: string): ClusterCommand => ({
  ...{ type: 'CreateHsm', hsmId: `hsm-aaaaaaaaaa${letter}`, zone, eniId: `eni-0123456${letter}` },
  backupId: `backup-aaaaaaaaaa${letter}`,
});

describe('what makes the HSMs of clusters', () => {
  let folder: string;
  let log: MemoryOperations;
  /** Reports that are lost on the way: a crash before the append. */
  let crashes = 0;
  let canMake = true;
  let errors: unknown[] = [];
  /** Ids of HSMs that cannot be used. */
  let out: string[] = [];

  const provisioner = (): ClusterProvisioner =>
    new ClusterProvisioner({
      view: { onCommit: () => {}, projection: log.projection } as never,
      folder,
      report: async (ref: ClusterRef, report: ClusterReport) => {
        if (crashes-- > 0) throw new Error('crashed');
        await log.runCommand(ref, report);
      },
      canMake: () => canMake,
      isOut: (_ref, hsmId) => out.includes(hsmId),
      now: () => log.now,
      onError: (error) => errors.push(error),
    });
  const cluster = (): ExistingCluster => log.projection.folded(REF)!.state as ExistingCluster;
  const states = (): string[] => cluster().hsms.map(({ state }) => state);
  const own = (...path: string[]): string => join(folder, REF.id, ...path);

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'keytrail-provisioner-'));
    log = new MemoryOperations();
    crashes = 0;
    canMake = true;
    errors = [];
    out = [];
    await log.runCommand(REF, {
      ...{ type: 'CreateCluster', hsmType: 'hsm1.medium', mode: 'FIPS', backupRetentionDays: 7, tags: [] },
      subnetIds: ['subnet-0123abcd', 'subnet-4567abcd'],
    });
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('leaves a folder that nobody else can look into, and a request to sign', async () => {
    await log.runCommand(REF, hsm('a', 'us-east-1a'));
    await provisioner().settle(REF);
    expect(states()).toEqual(['ACTIVE']);
    expect(cluster().csr).toMatch(/BEGIN CERTIFICATE REQUEST/);
    for (const path of [own(), own('hsm-aaaaaaaaaaa'), own('hsm-aaaaaaaaaaa', 'tokens')]) {
      expect(statSync(path).mode & 0o077).toBe(0);
    }
    expect(errors).toEqual([]);
  });

  it('goes on after a crash before each report, with the same request', async () => {
    await log.runCommand(REF, hsm('a', 'us-east-1a'));
    crashes = 2;
    for (let time = 1; time <= 2; time++) await provisioner().settle(REF);
    expect(states()).toEqual(['CREATE_IN_PROGRESS']);
    expect(errors).toHaveLength(2);
    await provisioner().settle(REF);
    expect(states()).toEqual(['ACTIVE']);
    expect(readdirSync(own()).sort()).toEqual(['hsm-aaaaaaaaaaa', 'identity-key.pem']);
  });

  it('does no harm when two do it at once', async () => {
    await log.runCommand(REF, hsm('a', 'us-east-1a'));
    await Promise.all([provisioner().settle(REF), provisioner().settle(REF)]);
    expect(states()).toEqual(['ACTIVE']);
    expect(errors).toEqual([]);
    expect(readdirSync(own()).sort()).toEqual(['hsm-aaaaaaaaaaa', 'identity-key.pem']);
  });

  it('makes none on a machine that cannot, and removes them all the same', async () => {
    canMake = false;
    await log.runCommand(REF, hsm('a', 'us-east-1a'));
    await provisioner().settle(REF);
    expect(states()).toEqual(['CREATE_IN_PROGRESS']);
    await log.runCommand(REF, { type: 'DeleteHsm', hsmId: 'hsm-aaaaaaaaaaa', backupId: 'backup-zzzzzzzzzzz' });
    await provisioner().settle(REF);
    expect(states()).toEqual([]);
  });

  it('removes folders of HSMs that are no more, once they are old enough', async () => {
    const names = ['hsm-ccccccccccc', 'hsm-ddddddddddd', 'new-0123456789abcdef'];
    for (const name of names) mkdirSync(own(name, 'tokens'), { recursive: true });
    for (const name of ['hsm-ccccccccccc', 'new-0123456789abcdef']) utimesSync(own(name), 1, 1);
    await provisioner().settle(REF);
    expect(readdirSync(own())).toEqual(['hsm-ddddddddddd']);
  });

  it('says why an HSM cannot be made, once it has tried often enough', async () => {
    writeFileSync(own(), 'no folder');
    await log.runCommand(REF, hsm('a', 'us-east-1a'));
    const one = provisioner();
    for (let time = 1; time <= 3; time++) await one.settle(REF);
    expect(cluster().hsms).toMatchObject([{ state: 'DEGRADED', message: expect.stringMatching(/could not be made/) }]);
    rmSync(own());
  });

  (modulePath === undefined ? describe.skip : describe)('of an initialized cluster', () => {
    const members = (): string[] => cluster().hsms.map(({ hsmId }) => own(hsmId));
    const tokens = (letter: string): string[] => readdirSync(own(`hsm-aaaaaaaaaa${letter}`, 'tokens'));

    async function initialize(): Promise<void> {
      await log.runCommand(REF, hsm('a', 'us-east-1a'));
      await provisioner().settle(REF);
      const certificates = { signed: 'signed', trustAnchor: 'anchor' };
      await log.runCommand(REF, { type: 'InitializeCluster', certificates });
      await provisioner().settle(REF);
      expect(cluster().clusterState).toBe('INITIALIZED');
      await createUser({ module: modulePath!, folder: own(), members: members() }, 'kmsuser', 'kmsuser-password');
      await provisioner().settle(REF);
    }

    it('finds that its first user was made', async () => {
      await initialize();
      expect(cluster().clusterState).toBe('ACTIVE');
    });

    it('makes a further HSM from one that there is, backed up before', async () => {
      await initialize();
      await log.runCommand(REF, hsm('b', 'us-east-1b'));
      crashes = 1;
      await provisioner().settle(REF);
      await Promise.all([provisioner().settle(REF), provisioner().settle(REF)]);
      expect(states()).toEqual(['ACTIVE', 'ACTIVE']);
      expect(tokens('b')).toEqual(tokens('a'));
      expect(cluster().backups).toMatchObject([{ backupId: 'backup-aaaaaaaaaab', state: 'READY' }]);
      expect(existsSync(join(folder, 'backups', 'backup-aaaaaaaaaab', 'users', 'kmsuser'))).toBe(true);
    });

    it('copies no HSM that cannot be used, where there is another', async () => {
      await initialize();
      await log.runCommand(REF, hsm('b', 'us-east-1b'));
      await provisioner().settle(REF);
      const whole = tokens('b');
      // As a damaged disk would: no copy of this may become a new HSM, or a backup.
      for (const token of tokens('a'))
        writeFileSync(own('hsm-aaaaaaaaaaa', 'tokens', token, 'token.object'), 'damaged');
      out = ['hsm-aaaaaaaaaaa'];
      const pinsIn = (...path: string[]): string =>
        readFileSync(join(folder, ...path, 'tokens', whole[0]!, 'token.object'), 'latin1');
      await log.runCommand(REF, hsm('c', 'us-east-1a'));
      await provisioner().settle(REF);
      expect(pinsIn(REF.id, 'hsm-aaaaaaaaaac')).toBe(pinsIn(REF.id, 'hsm-aaaaaaaaaab'));
      await log.runCommand(REF, { type: 'DeleteHsm', hsmId: 'hsm-aaaaaaaaaaa', backupId: 'backup-zzzzzzzzzzz' });
      await provisioner().settle(REF);
      for (const backup of ['backup-aaaaaaaaaac', 'backup-zzzzzzzzzzz']) {
        expect(pinsIn('backups', backup)).toBe(pinsIn(REF.id, 'hsm-aaaaaaaaaab'));
      }
    });

    it('backs up what goes, and makes the next one from that', async () => {
      await initialize();
      const before = tokens('a');
      await log.runCommand(REF, { type: 'DeleteHsm', hsmId: 'hsm-aaaaaaaaaaa', backupId: 'backup-zzzzzzzzzzz' });
      crashes = 1;
      await provisioner().settle(REF);
      // Crashed after the folder was removed: the backup is there.
      expect(existsSync(own('hsm-aaaaaaaaaaa'))).toBe(false);
      await provisioner().settle(REF);
      expect(cluster()).toMatchObject({ hsms: [], backups: [{ backupId: 'backup-zzzzzzzzzzz', state: 'READY' }] });
      await log.runCommand(REF, hsm('c', 'us-east-1b'));
      await provisioner().settle(REF);
      expect(tokens('c')).toEqual(before);
    });

    it('erases backups that are deleted for seven days, and old ones but the newest', async () => {
      await initialize();
      for (const [nth, letter] of ['b', 'c', 'd'].entries()) {
        log.now += nth * DAY_MS;
        await log.runCommand(REF, hsm(letter, 'us-east-1b'));
        await provisioner().settle(REF);
      }
      const backups = (): string[] => cluster().backups.map(({ state }) => state);
      expect(backups()).toEqual(['READY', 'READY', 'READY']);
      await log.runCommand(REF, { type: 'DeleteBackup', backupId: 'backup-aaaaaaaaaac' });
      log.now += 6 * DAY_MS;
      await provisioner().settle(REF);
      expect(backups()).toEqual(['DELETED', 'PENDING_DELETION', 'READY']);
      log.now += 30 * DAY_MS;
      await provisioner().settle(REF);
      expect(backups()).toEqual(['DELETED', 'DELETED', 'READY']);
      expect(readdirSync(join(folder, 'backups'))).toEqual(['backup-aaaaaaaaaad']);
    });
  });

  it('removes what a deleted cluster leaves', async () => {
    mkdirSync(own('masked'), { recursive: true });
    await log.runCommand(REF, { type: 'DeleteCluster' });
    await provisioner().settle(REF);
    expect(existsSync(own())).toBe(false);
  });
});
