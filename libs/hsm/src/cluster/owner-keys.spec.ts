import { spawnSync } from 'node:child_process';
import { createCipheriv, randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { KMSUSER, TestCluster } from '../../../../test/support/hsm-cluster';
import { softHsmModule } from '../../../../test/support/softhsm';
import { TokenClient } from '../pkcs11/token-client';
import { backUp } from './cluster-backup';
import { ClusterUserError, changePassword, createUser, usersOf } from './cluster-users';
import { environmentOf } from './member-folder';
import { synchronize } from './object-sync';

const modulePath = softHsmModule();
const TOOL = resolve(__dirname, '../../../../test/fixtures/owner-tool.js');

(modulePath === undefined ? describe.skip : describe)('the keys of the owner of a cluster', () => {
  const password = `owner-${randomBytes(8).toString('hex')}`;
  const bytes = randomBytes(32);
  const block = createCipheriv('aes-256-ecb', bytes, null)
    .setAutoPadding(false)
    .update(Buffer.alloc(16))
    .toString('hex');
  let cluster: TestCluster;

  /** By PKCS#11, without Keytrail. */
  function byPkcs11(member: number, pin: string, asked: object): string {
    const { stdout, stderr, status } = spawnSync(process.execPath, [TOOL], {
      env: { ...process.env, ...environmentOf(cluster.folders[member]!) },
      input: JSON.stringify({ module: modulePath, label: 'owner', pin, ...asked }),
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(stderr);
    return stdout;
  }
  const use = (member: number, pin = password): string => byPkcs11(member, pin, { use: 'mine' });
  const whole = () => ({ module: modulePath!, folder: cluster.folder, members: cluster.folders });

  beforeAll(async () => {
    cluster = await TestCluster.make(modulePath!);
    await cluster.addUser('owner', password);
    byPkcs11(0, password, { make: { name: 'mine', bytes: bytes.toString('hex') } });
  });
  afterAll(() => cluster.remove());

  it('are in every HSM once they are synchronized, without anybody who could open them', async () => {
    expect(use(0)).toBe(block);
    expect(() => use(1)).toThrow();
    expect(await synchronize(cluster.folder, cluster.folders)).toEqual([{ user: 'owner', copied: 1 }]);
    expect(use(1)).toBe(block);
    expect(await synchronize(cluster.folder, cluster.folders)).toEqual([{ user: 'owner', copied: 0 }]);
  });

  it('come with a new HSM, and with one made from a backup', async () => {
    await cluster.addMember('hsm-3', 'eu-c');
    expect(use(2)).toBe(block);
    const backup = join(cluster.folder, 'backups', 'backup-1');
    await backUp(cluster.folders[0]!, cluster.folder, backup);
    expect(readdirSync(join(backup, 'tokens'))).toHaveLength(2);
  });

  it('cannot be used by whoever operates Keytrail, with all its data and the password of kmsuser', async () => {
    for (const folder of cluster.folders) {
      const place = { module: modulePath!, sessions: 1, environment: environmentOf(folder) };
      const asOwner = new TokenClient({ ...place, label: 'owner', pin: KMSUSER.password });
      await expect(asOwner.info()).rejects.toMatchObject({ code: 'PIN_INCORRECT' });
      await asOwner.close();
      const asKmsUser = new TokenClient({ ...place, label: KMSUSER.user, pin: KMSUSER.password });
      const labels = (await asKmsUser.call('keys', { labelPrefix: '' })).map(({ label }) => label);
      await asKmsUser.close();
      expect(labels).toEqual(['keytrail-masking']);
    }
  });

  it('are in no file of the cluster as they are, nor is the password', () => {
    const files = readdirSync(cluster.folder, { recursive: true, withFileTypes: true }).filter((each) => each.isFile());
    expect(files.length).toBeGreaterThan(20);
    for (const { parentPath, name } of files) {
      const content = readFileSync(join(parentPath, name));
      for (const secret of [bytes, bytes.toString('hex'), bytes.toString('base64'), password]) {
        expect(content.includes(secret)).toBe(false);
      }
    }
  });

  it('are under a password that changes in every HSM at once, if it is known', async () => {
    const another = `other-${randomBytes(8).toString('hex')}`;
    await expect(changePassword(whole(), 'owner', 'no-password', another)).rejects.toThrow(/CKR_PIN_INCORRECT/);
    await changePassword(whole(), 'owner', password, another);
    for (const member of [0, 1, 2]) {
      expect(use(member, another)).toBe(block);
      expect(() => use(member)).toThrow(/CKR_PIN_INCORRECT/);
    }
    await changePassword(whole(), 'owner', another, password);
  });

  it.each([
    ['too short', 'owner-2', '123456', /7 to 32/],
    ['too long', 'owner-2', 'x'.repeat(33), /7 to 32/],
    ['of other characters', 'owner-2', 'pässword', /ASCII/],
    ['of a user that there is', 'owner', password, /there is a user owner already/],
    ['of a user with another name', '../owner', password, /user: expected/],
  ])('take no password that is %s', async (_what, user, given, message) => {
    const failure = await createUser(whole(), user, given).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ClusterUserError);
    expect((failure as Error).message).toMatch(message);
    expect((failure as Error).message).not.toContain(given);
    expect(await usersOf(cluster.folder)).toEqual(['kmsuser', 'owner']);
  });
});
