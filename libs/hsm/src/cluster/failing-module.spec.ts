import { randomBytes } from 'node:crypto';
import { TestCluster } from '../../../../test/support/hsm-cluster';
import { MoodyModule } from '../../../../test/support/moody-module';
import { until } from '../../../../test/support/nats-server';
import { softHsmModule } from '../../../../test/support/softhsm';
import type { FolderCluster } from './cluster-connection';

const modulePath = softHsmModule();
const moody = modulePath === undefined ? undefined : MoodyModule.build(modulePath);
const aad = Buffer.from('aad');
const plaintext = Buffer.from('what is to be kept');

(moody ? describe : describe.skip)("a cluster whose vendor's module fails", () => {
  let cluster: TestCluster;
  let connection: FolderCluster;
  let key: string;

  beforeEach(async () => {
    cluster = await TestCluster.make(moody!.path);
    connection = await cluster.connect();
    key = randomBytes(32).toString('hex');
    await connection.makeKey(key);
  });
  afterEach(() => cluster.remove());
  afterAll(() => moody!.remove());

  const states = (): string[] => connection.status().map(({ state }) => state);
  const encrypts = async (times: number): Promise<void> => {
    for (let time = 0; time < times; time++) {
      const sealed = await connection.encrypt(key, plaintext, aad);
      expect(await connection.decrypt(key, sealed, aad)).toEqual(plaintext);
    }
  };

  it('loses no call when sessions expire, in all members at once', async () => {
    for (const folder of cluster.folders) moody!.put(folder, 'expired');
    await encrypts(100);
    expect(states()).toEqual(['in', 'in']);
  });

  it('loses no call when one of its HSMs is broken, and uses it again once it is not', async () => {
    moody!.put(cluster.folders[0]!, 'broken');
    await encrypts(20);
    await until(() => states()[0] === 'out', 'the broken HSM is in use');
    expect(connection.status()[0]!.why).toMatch(/CKR_DEVICE_ERROR/);
    moody!.put(cluster.folders[0]!, 'well');
    await until(() => states()[0] === 'in', 'the HSM is not in use again');
  });

  it('says so when all of its HSMs are broken', async () => {
    for (const folder of cluster.folders) moody!.put(folder, 'broken');
    await expect(connection.encrypt(key, plaintext, aad)).rejects.toMatchObject({ failure: 'unreachable' });
  });

  it('is not let in where its user is locked out, and tries each HSM once', async () => {
    for (const folder of cluster.folders) moody!.put(folder, 'locked');
    const before = cluster.folders.map((folder) => moody!.loginsOf(folder));
    await expect(cluster.connect()).rejects.toMatchObject({ code: 'USER_LOCKED_OUT' });
    expect(cluster.folders.map((folder) => moody!.loginsOf(folder))).toEqual(before.map((logins) => logins + 1));
  });

  it('tries a wrong password once in each HSM', async () => {
    const before = cluster.folders.map((folder) => moody!.loginsOf(folder));
    await expect(cluster.connect({ password: 'wrong-password' })).rejects.toMatchObject({
      code: 'INVALID_CREDENTIALS',
    });
    expect(cluster.folders.map((folder) => moody!.loginsOf(folder))).toEqual(before.map((logins) => logins + 1));
  });

  it('goes on in the other HSMs when one locks its user out, and does not ask that one again', async () => {
    const [first] = cluster.folders as [string, string];
    moody!.put(first, 'locked');
    process.kill(connection.pidOf('hsm-1')!, 'SIGKILL');
    await until(() => states()[0] === 'refused', 'the HSM was not found to refuse its user');
    const logins = moody!.loginsOf(first);
    await encrypts(50);
    expect(moody!.loginsOf(first)).toBe(logins);
    await expect(connection.makeKey(randomBytes(32).toString('hex'))).rejects.toMatchObject({
      failure: 'insufficient-hsms',
    });
    process.kill(connection.pidOf('hsm-2')!, 'SIGKILL');
    moody!.put(cluster.folders[1]!, 'locked');
    await until(() => states()[1] === 'refused', 'the HSM was not found to refuse its user');
    await expect(connection.encrypt(key, plaintext, aad)).rejects.toMatchObject({ failure: 'authentication' });
  });
});
