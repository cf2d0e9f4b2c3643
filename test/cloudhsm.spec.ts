import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from './support/nats-server';
import { type KeytrailProcess, MAIN, startProcess } from './support/processes';
import { softHsmModule } from './support/softhsm';

const has = (program: string, ...args: string[]): boolean => spawnSync(program, args).status === 0;
const modulePath = softHsmModule();
const usable = modulePath !== undefined && has('aws', '--version') && has('openssl', 'version');
if (!usable) console.warn('SKIPPED: HSM clusters through the AWS CLI, which take aws, openssl and SoftHSM2');

interface Hsm {
  HsmId: string;
  State: string;
  AvailabilityZone: string;
  EniIp: string;
}
interface Cluster {
  ClusterId: string;
  State: string;
  Hsms: Hsm[];
  SubnetMapping: Record<string, string>;
  Certificates: { ClusterCsr?: string; ClusterCertificate?: string };
}

(usable ? describe : describe.skip)('clusters of HSMs, through the unmodified AWS CLI', () => {
  let dataDir: string;
  let server: KeytrailProcess;
  let clusterId: string;
  const passwords = { kmsuser: 'kmsuser-password', owner: 'owner-password-2' };

  beforeAll(async () => {
    dataDir = mkdtempSync(join(tmpdir(), 'keytrail-cloudhsm-'));
    server = await startProcess(dataDir);
  });
  afterAll(async () => {
    await server?.stop();
    rmSync(dataDir, { recursive: true, force: true });
  });

  /** The CLI's JSON, or its error message as a rejection. */
  function cloudhsm<T>(...args: string[]): Promise<T> {
    const outer = Object.entries(process.env).filter(([name]) => !name.startsWith('AWS_'));
    const env = {
      ...Object.fromEntries(outer),
      AWS_CONFIG_FILE: join(dataDir, 'aws/config'),
      AWS_SHARED_CREDENTIALS_FILE: join(dataDir, 'aws/credentials'),
      AWS_MAX_ATTEMPTS: '1',
    };
    const all = ['cloudhsmv2', '--endpoint-url', server.endpoint, '--output', 'json', ...args];
    return new Promise((resolve, reject) => {
      execFile('aws', all, { env, encoding: 'utf8' }, (error, stdout, stderr) => {
        if (error) reject(new Error(stderr.trim()));
        else resolve(JSON.parse(stdout.trim() === '' ? '{}' : stdout) as T);
      });
    });
  }
  const cluster = async (): Promise<Cluster> =>
    (await cloudhsm<{ Clusters: Cluster[] }>('describe-clusters', '--filters', `clusterIds=${clusterId}`)).Clusters[0]!;
  const file = (name: string, text: string): string => {
    const path = join(dataDir, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  const keytrail = (...args: string[]): string =>
    execFileSync(process.execPath, [MAIN, ...args], {
      env: { ...process.env, KEYTRAIL_DATA_DIR: dataDir },
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  const openssl = (...args: string[]): void => void execFileSync('openssl', args, { stdio: 'ignore' });
  const zone = (letter: string): string => `us-east-1${letter}`;
  const createHsm = (letter: string) =>
    cloudhsm<{ Hsm: Hsm }>('create-hsm', '--cluster-id', clusterId, '--availability-zone', zone(letter));
  const activeHsms = async (count: number): Promise<Hsm[]> => {
    await until(
      async () => (await cluster()).Hsms.filter(({ State }) => State === 'ACTIVE').length === count,
      'the HSMs are not active',
    );
    return (await cluster()).Hsms;
  };
  /** Whether it is deleted, too. */
  const settled = async (count: number): Promise<void> =>
    until(async () => (await cluster()).Hsms.length === count, 'the HSMs are not gone');

  it('are created in zones that their subnets stand for', async () => {
    const { Cluster: created } = await cloudhsm<{ Cluster: Cluster }>(
      ...['create-cluster', '--hsm-type', 'hsm1.medium', '--subnet-ids', 'subnet-0123abcd', 'subnet-4567abcd'],
      ...['--tag-list', 'Key=team,Value=red'],
    );
    clusterId = created.ClusterId;
    expect(created).toMatchObject({
      ClusterId: expect.stringMatching(/^cluster-[a-z2-7]{11}$/),
      State: 'UNINITIALIZED',
      SubnetMapping: { [zone('a')]: 'subnet-0123abcd', [zone('b')]: 'subnet-4567abcd' },
    });
    expect((await cluster()).ClusterId).toBe(clusterId);
    await expect(createHsm('c')).rejects.toThrow(/CloudHsmInvalidRequestException.* has no subnet in us-east-1c/);
  });

  it('get a first HSM, which leaves a request that openssl signs', async () => {
    const { Hsm: first } = await createHsm('a');
    expect(first).toMatchObject({ HsmId: expect.stringMatching(/^hsm-[a-z2-7]{11}$/), AvailabilityZone: zone('a') });
    await activeHsms(1);
    await expect(createHsm('b')).rejects.toThrow(/UNINITIALIZED/);
    const csr = file('cluster.csr', (await cluster()).Certificates.ClusterCsr!);
    const at = (name: string): string => join(dataDir, name);
    openssl(
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-days',
      '3',
      '-subj',
      '/CN=owner',
      '-keyout',
      at('ca.key'),
      '-out',
      at('ca.crt'),
    );
    openssl(
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-days',
      '3',
      '-subj',
      '/CN=else',
      '-keyout',
      at('else.key'),
      '-out',
      at('else.crt'),
    );
    openssl(
      'x509',
      '-req',
      '-in',
      csr,
      '-CA',
      at('ca.crt'),
      '-CAkey',
      at('ca.key'),
      '-CAcreateserial',
      '-days',
      '3',
      '-out',
      at('signed.crt'),
    );
    const initialize = (signed: string, anchor: string) =>
      cloudhsm<{ State: string }>(
        ...['initialize-cluster', '--cluster-id', clusterId],
        ...['--signed-cert', `file://${at(signed)}`, '--trust-anchor', `file://${at(anchor)}`],
      );
    await expect(initialize('signed.crt', 'else.crt')).rejects.toThrow(/is not signed by TrustAnchor/);
    await expect(initialize('ca.crt', 'ca.crt')).rejects.toThrow(/is not for the key/);
    await initialize('signed.crt', 'ca.crt');
    expect((await cluster()).State).toBe('INITIALIZED');
  });

  it('are active once the owner has made a user, which further HSMs have from the start', async () => {
    const kmsuser = file('kmsuser', passwords.kmsuser);
    const user = ['--cluster-id', clusterId, '--user', 'kmsuser', '--password-file', kmsuser];
    expect(keytrail('hsm', 'create-user', ...user)).toMatch(/created: kmsuser, in hsm-/);
    expect(() => keytrail('hsm', 'create-user', ...user)).toThrow(/there is a user kmsuser already/);
    await until(async () => (await cluster()).State === 'ACTIVE', 'the cluster was not activated');
    await createHsm('b');
    const hsms = await activeHsms(2);
    expect(new Set(hsms.map(({ AvailabilityZone }) => AvailabilityZone))).toEqual(new Set([zone('a'), zone('b')]));
    expect(new Set(hsms.map(({ EniIp }) => EniIp)).size).toBe(2);
    expect(keytrail('hsm', 'users', '--cluster-id', clusterId)).toBe('kmsuser\n');
    for (const { HsmId, AvailabilityZone } of hsms) {
      expect(keytrail('status')).toContain(`${HsmId} of ${clusterId} in ${AvailabilityZone}: ACTIVE`);
    }
  });

  it('let their owner use PKCS#11 directly, with any tool', async () => {
    const password = file('owner', passwords.owner);
    keytrail('hsm', 'create-user', '--cluster-id', clusterId, '--user', 'owner', '--password-file', password);
    const conf = keytrail('hsm', 'module-conf', '--cluster-id', clusterId);
    const [member] = [...conf.matchAll(/SOFTHSM2_CONF=(.*)/g)].map(([, path]) => path!);
    const slots = execFileSync('softhsm2-util', ['--show-slots'], {
      env: { ...process.env, SOFTHSM2_CONF: member },
      encoding: 'utf8',
    });
    expect(slots).toMatch(/Label: +owner/);
    expect(slots).toMatch(/Label: +kmsuser/);
    expect(keytrail('hsm', 'sync', '--cluster-id', clusterId)).toMatch(/synchronized: hsm-.*, hsm-/);
    const another = file('owner-2', 'owner-password-3');
    const change = ['--cluster-id', clusterId, '--user', 'owner', '--password-file', password];
    keytrail('hsm', 'change-password', ...change, '--new-password-file', another);
    expect(() => keytrail('hsm', 'change-password', ...change, '--new-password-file', password)).toThrow(
      /CKR_PIN_INCORRECT/,
    );
  });

  it('can be tagged, and say so', async () => {
    await cloudhsm('tag-resource', '--resource-id', clusterId, '--tag-list', 'Key=env,Value=test');
    await cloudhsm('untag-resource', '--resource-id', clusterId, '--tag-key-list', 'team');
    const { TagList } = await cloudhsm<{ TagList: object[] }>('list-tags', '--resource-id', clusterId);
    expect(TagList).toEqual([{ Key: 'env', Value: 'test' }]);
  });

  it('are backed up when an HSM goes, and come back from it', async () => {
    const [first] = (await cluster()).Hsms;
    await cloudhsm('delete-hsm', '--cluster-id', clusterId, '--hsm-id', first!.HsmId);
    await settled(1);
    const backups = async () =>
      (await cloudhsm<{ Backups: { BackupId: string; BackupState: string }[] }>('describe-backups')).Backups;
    const [newest] = await backups();
    expect(newest).toMatchObject({ BackupState: 'READY' });
    const named = ['--backup-id', newest!.BackupId];
    await expect(cloudhsm('restore-backup', ...named)).rejects.toThrow(/CloudHsmInvalidRequestException/);
    await cloudhsm('delete-backup', ...named);
    expect((await backups())[0]).toMatchObject({ BackupState: 'PENDING_DELETION' });
    await cloudhsm('restore-backup', ...named);
    const { Cluster: restored } = await cloudhsm<{ Cluster: Cluster }>(
      ...['create-cluster', '--hsm-type', 'hsm1.medium', '--subnet-ids', 'subnet-0123abcd'],
      ...['--source-backup-id', newest!.BackupId],
    );
    const before = clusterId;
    clusterId = restored.ClusterId;
    await createHsm('a');
    await activeHsms(1);
    expect(keytrail('hsm', 'users', '--cluster-id', clusterId)).toBe('kmsuser\nowner\n');
    clusterId = before;
  });

  it('are deleted without HSMs only, and leave nothing but backups', async () => {
    const remove = () => cloudhsm<{ Cluster: Cluster }>('delete-cluster', '--cluster-id', clusterId);
    await expect(remove()).rejects.toThrow(/has 1 HSMs/);
    const [last] = (await cluster()).Hsms;
    await cloudhsm('delete-hsm', '--cluster-id', clusterId, '--eni-ip', last!.EniIp);
    await settled(0);
    expect((await remove()).Cluster.State).toBe('DELETE_IN_PROGRESS');
    expect((await cluster()).State).toBe('DELETED');
    const folder = join(dataDir, 'cloudhsm');
    await until(() => !existsSync(join(folder, clusterId)), 'the folder of the cluster is there');
    expect(readdirSync(join(folder, 'backups')).length).toBeGreaterThan(0);
    await expect(createHsm('a')).rejects.toThrow(/CloudHsmResourceNotFoundException/);
  });

  it('tell no password to anybody', () => {
    for (const password of Object.values(passwords)) {
      expect(server.log()).not.toContain(password);
      for (const each of readdirSync(join(dataDir, 'cloudhsm'), { recursive: true, withFileTypes: true })) {
        if (each.isFile()) expect(readFileSync(join(each.parentPath, each.name)).includes(password)).toBe(false);
      }
    }
  });
});
