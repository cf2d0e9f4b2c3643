import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { KMSUSER, TestCluster } from '../../../../test/support/hsm-cluster';
import { until } from '../../../../test/support/nats-server';
import { softHsmModule } from '../../../../test/support/softhsm';
import { TokenClient } from '../pkcs11/token-client';
import type { FolderCluster } from './cluster-connection';
import { environmentOf } from './member-folder';

const modulePath = softHsmModule();
const aad = Buffer.from('aad of the caller');
const plaintext = Buffer.from('what is to be kept');
const newId = (): string => randomBytes(32).toString('hex');

(modulePath === undefined ? describe.skip : describe)('a connection to a cluster of HSMs', () => {
  let cluster: TestCluster;
  let connection: FolderCluster;
  let key: string;
  let sealed: Buffer;

  beforeEach(async () => {
    cluster = await TestCluster.make(modulePath!);
    connection = await cluster.connect();
    key = newId();
    await connection.makeKey(key);
    sealed = await connection.encrypt(key, plaintext, aad);
  });
  afterEach(() => cluster.remove());

  const statesOf = (to = connection): string[] => to.status().map(({ state }) => state);
  const allIn = (to = connection): Promise<void> =>
    until(() => statesOf(to).every((state) => state === 'in'), 'not every member is in');
  /** Calls, as many as at least `count`, that go on until `done` is; each has to give what it should. */
  async function busyUntil(done: Promise<unknown>, count = 200): Promise<number> {
    let over = false;
    const ended = done.finally(() => {
      over = true;
    });
    let made = 0;
    const caller = async (): Promise<void> => {
      while (!over || made < count) {
        made++;
        const given = await connection.encrypt(key, plaintext, aad);
        expect(await connection.decrypt(key, given, aad)).toEqual(plaintext);
      }
    };
    await Promise.all([ended, ...Array.from({ length: 8 }, caller)]);
    return made;
  }
  /** A key that one member alone is asked for. */
  async function inMember(nth: number, sealedBytes = sealed): Promise<Buffer> {
    const alone = await cluster.connect({ members: [cluster.members[nth]!] });
    try {
      return await alone.decrypt(key, sealedBytes, aad);
    } finally {
      await alone.close();
    }
  }

  it('encrypts in one member what any other decrypts', async () => {
    expect(await inMember(0)).toEqual(plaintext);
    expect(await inMember(1)).toEqual(plaintext);
    expect(await connection.random(1024)).toHaveLength(1024);
  });

  it.each([
    ['the ciphertext', () => [Buffer.from(sealed).fill(0, 20), aad] as const],
    ['the IV', () => [Buffer.from(sealed).fill(0, 0, 4), aad] as const],
    ['its AAD', () => [sealed, Buffer.from('another')] as const],
    ['its end, which is missing', () => [sealed.subarray(0, 20), aad] as const],
  ])('refuses to decrypt where somebody changed %s', async (_what, changed) => {
    await expect(connection.decrypt(key, ...changed())).rejects.toMatchObject({ failure: 'invalid-ciphertext' });
    expect(statesOf()).toEqual(['in', 'in']);
  });

  it('has no key that was never made, nor anything but ids', async () => {
    for (const name of [newId(), '../masked', '']) {
      await expect(connection.encrypt(name, plaintext, aad)).rejects.toMatchObject({ failure: 'key-not-found' });
    }
    expect(statesOf()).toEqual(['in', 'in']);
  });

  it('makes one key of an id, whoever makes it, at once or again', async () => {
    const other = await cluster.connect();
    const id = newId();
    const made = await Promise.all([connection, other, connection, other].map((each) => each.makeKey(id)));
    expect(new Set(made.map((masked) => masked.toString('hex'))).size).toBe(1);
    expect(await connection.makeKey(id)).toEqual(made[0]);
    const bySealer = await connection.encrypt(id, plaintext, aad);
    for (let time = 0; time < 8; time++) expect(await other.decrypt(id, bySealer, aad)).toEqual(plaintext);
  });

  describe('loses no call', () => {
    it('when the process of a member is killed, time and again', async () => {
      for (const hsmId of ['hsm-1', 'hsm-2', 'hsm-1']) {
        const pid = connection.pidOf(hsmId)!;
        await busyUntil(
          (async () => {
            process.kill(pid, 'SIGKILL');
            await until(() => connection.pidOf(hsmId) !== pid, 'the kill was not noticed');
            await allIn();
          })(),
        );
      }
    });

    it('when a member hangs, and is let back in', async () => {
      connection = await cluster.connect({ limits: { callMs: 600 } });
      const pid = connection.pidOf('hsm-1')!;
      await busyUntil(
        (async () => {
          process.kill(pid, 'SIGSTOP');
          await until(() => connection.pidOf('hsm-1') !== pid, 'the hung process was not replaced');
          await allIn();
        })(),
      );
      expect(await inMember(0)).toEqual(plaintext);
    });

    it.each(['with its settings', 'but for its settings'])(
      'when the folder of a member is removed, %s',
      async (how) => {
        const { folder } = cluster.members[0]!;
        const removed = how === 'with its settings' ? folder : join(folder, 'tokens');
        await busyUntil(
          (async () => {
            rmSync(removed, { recursive: true });
            await until(() => existsSync(removed) && statesOf()[0] === 'in', 'the member was not made anew');
          })(),
        );
        expect(await inMember(0)).toEqual(plaintext);
      },
    );
  });

  it('asks a hung member nothing more while another one answers', async () => {
    process.kill(connection.pidOf('hsm-1')!, 'SIGSTOP');
    await Promise.all(Array.from({ length: 8 }, () => connection.encrypt(key, plaintext, aad)));
    const before = connection.status()[0]!.underWay;
    await Promise.all(Array.from({ length: 64 }, () => connection.encrypt(key, plaintext, aad)));
    expect(connection.status()[0]!.underWay).toBeLessThanOrEqual(before);
    await allIn();
  });

  it('fails in bounded time once no member is left, and works again by itself', async () => {
    const hung = await cluster.connect({ limits: { callMs: 300 }, patienceMs: 100 });
    for (const { hsmId } of cluster.members) process.kill(hung.pidOf(hsmId)!, 'SIGSTOP');
    await expect(hung.encrypt(key, plaintext, aad)).rejects.toMatchObject({ failure: 'timeout' });
    await allIn(hung);
    expect(await hung.decrypt(key, sealed, aad)).toEqual(plaintext);
  });

  it('makes no key with members in one zone only, and none is left behind', async () => {
    const id = newId();
    const alone = await cluster.connect({ members: [cluster.members[0]!] });
    await cluster.addMember('hsm-3', 'eu-a');
    const inOneZone = await cluster.connect({ members: [cluster.members[0]!, cluster.members[2]!] });
    for (const each of [alone, inOneZone]) {
      await expect(each.makeKey(id)).rejects.toMatchObject({ failure: 'insufficient-hsms' });
      expect(await each.decrypt(key, sealed, aad)).toEqual(plaintext);
    }
    expect(readdirSync(join(cluster.folder, 'masked'))).toEqual([key]);
  });

  it('catches up a member with keys made and destroyed while it was away', async () => {
    await connection.close();
    await cluster.addMember('hsm-3', 'eu-c');
    const without = await cluster.connect({ members: [cluster.members[0]!, cluster.members[1]!] });
    const made = newId();
    await without.makeKey(made);
    await without.destroyKey(key);
    const sealedThen = await without.encrypt(made, plaintext, aad);

    const returned = await cluster.connect({ members: [cluster.members[2]!] });
    expect(await returned.decrypt(made, sealedThen, aad)).toEqual(plaintext);
    await expect(returned.decrypt(key, sealed, aad)).rejects.toMatchObject({ failure: 'key-not-found' });
    await expect(without.decrypt(key, sealed, aad)).rejects.toMatchObject({ failure: 'key-not-found' });
    await expect(without.makeKey(key)).rejects.toMatchObject({ failure: 'key-not-found' });
  });

  it('catches up members from the copy that its caller keeps', async () => {
    const masked = await connection.makeKey(key);
    await connection.close();
    rmSync(join(cluster.folder, 'masked'), { recursive: true });
    await cluster.addMember('hsm-3', 'eu-c');
    const client = new TokenClient({
      module: modulePath!,
      label: 'kmsuser',
      pin: KMSUSER.password,
      sessions: 1,
      environment: environmentOf(cluster.folders[2]!),
    });
    await client.call('destroyKey', { id: key });
    await client.close();
    const caughtUp = await cluster.connect({
      members: [cluster.members[2]!],
      maskedKeys: async () => [{ key, masked }],
    });
    expect(await caughtUp.decrypt(key, sealed, aad)).toEqual(plaintext);
  });

  it('takes new members in and lets others go while it is used', async () => {
    const third = await cluster.addMember('hsm-3', 'eu-c');
    await busyUntil(
      (async () => {
        connection.members([cluster.members[1]!, third]);
        await allIn();
      })(),
    );
    expect(connection.status().map(({ hsmId }) => hsmId)).toEqual(['hsm-2', 'hsm-3']);
    expect(connection.pidOf('hsm-1')).toBeUndefined();
    expect(await inMember(2)).toEqual(plaintext);
  });

  it('has keys that no member gives out', async () => {
    for (const folder of cluster.folders) {
      const client = new TokenClient({
        module: modulePath!,
        label: 'kmsuser',
        pin: KMSUSER.password,
        sessions: 1,
        environment: environmentOf(folder),
      });
      const keys = await client.call('keys', { labelPrefix: '' });
      await client.close();
      expect(keys.map(({ extractable }) => extractable)).toEqual([false, false]);
      expect(keys.map(({ id }) => id)).toContain(key);
    }
  });

  describe('cannot be made', () => {
    it('with a wrong password, which each member is asked once', async () => {
      const asked: string[] = [];
      const failed = cluster.connect({ password: 'wrong-password', observe: ({ call }) => asked.push(call) });
      await expect(failed).rejects.toMatchObject({ code: 'INVALID_CREDENTIALS' });
      expect(asked).toEqual([]);
    });

    it.each([
      ['a user that it does not have', { user: 'nobody' }, 'USER_NOT_FOUND'],
      ['no member', { members: [] }, 'INSUFFICIENT_CLOUDHSM_HSMS'],
      [
        'members that are not there',
        { members: [{ hsmId: 'hsm-9', zone: 'eu-a', folder: '/nowhere/hsm-9' }] },
        'CLUSTER_NOT_FOUND',
      ],
      ['a module that is none', { module: '/nowhere/module.so' }, 'INTERNAL_ERROR'],
    ])('with %s', async (_what, options, code) => {
      await expect(cluster.connect(options)).rejects.toMatchObject({ code });
    });

    it('and is, where one member of two lets its user in', async () => {
      rmSync(join(cluster.folder, 'hsm-1'), { recursive: true });
      const half = await cluster.connect({
        members: [
          cluster.members[1]!,
          { ...cluster.members[0]!, folder: join(cluster.folder, 'users', 'kmsuser', 'no-folder') },
        ],
      });
      expect(statesOf(half)).toEqual(['in', 'out']);
      expect(await half.decrypt(key, sealed, aad)).toEqual(plaintext);
      await expect(half.makeKey(newId())).rejects.toMatchObject({ failure: 'insufficient-hsms' });
    });
  });

  it('never blocks the event loop for more than 50 ms, whatever becomes of a member', async () => {
    // A busy machine takes the processor away now and then; what blocks by itself does so every time.
    const blocked: number[] = [];
    for (let time = 0; time < 4 && Math.min(...blocked, 100) > 50; time++) {
      const delay = monitorEventLoopDelay({ resolution: 1 });
      const { folder } = cluster.members[1]!;
      delay.enable();
      await busyUntil(
        (async () => {
          process.kill(connection.pidOf('hsm-1')!, 'SIGKILL');
          await allIn();
          const pid = connection.pidOf('hsm-1')!;
          process.kill(pid, 'SIGSTOP');
          await until(() => connection.pidOf('hsm-1') !== pid, 'the hung process was not replaced');
          await allIn();
          rmSync(folder, { recursive: true });
          await until(() => existsSync(folder) && statesOf()[1] === 'in', 'the member was not made anew');
        })(),
      );
      delay.disable();
      blocked.push(delay.max / 1e6);
    }
    expect(Math.min(...blocked)).toBeLessThanOrEqual(50);
  });

  it('leaves the other users of the cluster alone: their PINs are not those of kmsuser, nor on the disk', async () => {
    const password = `owner-${randomBytes(8).toString('hex')}`;
    await cluster.addUser('owner', password);
    await expect(cluster.connect({ user: 'owner' })).rejects.toMatchObject({ code: 'INVALID_CREDENTIALS' });
    const files = readdirSync(cluster.folder, { recursive: true, withFileTypes: true }).filter((each) => each.isFile());
    expect(files.length).toBeGreaterThan(10);
    for (const { parentPath, name } of files) {
      expect(readFileSync(join(parentPath, name)).includes(password)).toBe(false);
      expect(readFileSync(join(parentPath, name)).includes(KMSUSER.password)).toBe(false);
    }
    // As the owner does, by PKCS#11 alone.
    const owner = new TokenClient({
      ...{ module: modulePath!, label: 'owner', pin: password, sessions: 1 },
      environment: environmentOf(cluster.folders[1]!),
    });
    const mine = newId();
    await owner.call('generateKey', { label: 'mine', id: mine });
    await owner.close();
    await expect(connection.encrypt(mine, plaintext, aad)).rejects.toMatchObject({ failure: 'key-not-found' });
  });

  it.each(['is cut off', 'has no PIN any more'])('lets a member back in whose token %s', async (how) => {
    const tokens = join(cluster.folders[0]!, 'tokens');
    await busyUntil(
      (async () => {
        for (const name of readdirSync(tokens, { recursive: true, encoding: 'utf8' })) {
          if (name.endsWith('token.object')) writeFileSync(join(tokens, name), '');
          else if (how === 'is cut off' && name.endsWith('.object')) {
            writeFileSync(join(tokens, name), readFileSync(join(tokens, name)).subarray(0, 60));
          }
        }
        const pid = connection.pidOf('hsm-1')!;
        process.kill(pid, 'SIGKILL');
        await until(() => connection.pidOf('hsm-1') !== pid, 'the kill was not noticed');
        await allIn();
      })(),
    );
    expect(await inMember(0)).toEqual(plaintext);
  });

  describe('whose member has a key with other bytes', () => {
    const filesOf = (nth: number): string[] =>
      readdirSync(join(cluster.folders[nth]!, 'tokens'), { recursive: true, encoding: 'utf8' });
    /**
     * What follows the name and the length of CKA_VALUE in a file of SoftHSM is the IV: with another one, what is decrypted is a key
     * still. The masking key is in a file that was copied, and has the same name in each member.
     */
    function spoil(nth: number, withMaskingKey: boolean): void {
      const tokens = join(cluster.folders[nth]!, 'tokens');
      const copied = filesOf(1 - nth);
      for (const name of filesOf(nth)) {
        if (!name.endsWith('.object') || (!withMaskingKey && copied.includes(name))) continue;
        const bytes = readFileSync(join(tokens, name));
        const value = bytes.indexOf(Buffer.from('00000000000000110000000000000003', 'hex'));
        if (value === -1) continue;
        bytes[value + 26]! ^= 1;
        writeFileSync(join(tokens, name), bytes);
      }
    }
    const reloaded = async (hsmId: string): Promise<void> => {
      const pid = connection.pidOf(hsmId)!;
      process.kill(pid, 'SIGKILL');
      await until(() => connection.pidOf(hsmId) !== pid, 'the kill was not noticed');
      await allIn();
    };

    it('uses the right one, and puts that member right', async () => {
      spoil(0, false);
      await reloaded('hsm-1');
      const made: Buffer[] = [];
      for (let time = 0; time < 20; time++) {
        expect(await connection.decrypt(key, sealed, aad)).toEqual(plaintext);
        made.push(await connection.encrypt(key, plaintext, aad));
      }
      for (const each of made) expect(await inMember(1, each)).toEqual(plaintext);
      expect(await inMember(0)).toEqual(plaintext);
      expect(statesOf()).toEqual(['in', 'in']);
    });

    it('leaves the others alone where that member made a key which they cannot open', async () => {
      const before = readdirSync(cluster.folders[1]!);
      spoil(0, true);
      const alone = await cluster.connect({ members: [cluster.members[0]!] });
      const made = newId();
      await expect(alone.makeKey(made)).rejects.toMatchObject({ failure: 'insufficient-hsms' });
      const client = new TokenClient({
        ...{ module: modulePath!, label: 'kmsuser', pin: KMSUSER.password, sessions: 1 },
        environment: environmentOf(cluster.folders[0]!),
      });
      const masked = await client.call('makeMasked', {});
      await client.close();
      await writeFile(join(cluster.folder, 'masked', made), masked);
      await reloaded('hsm-1');
      await connection.encrypt(made, plaintext, aad).catch(() => {});
      await connection.decrypt(key, sealed, aad);
      expect(readdirSync(cluster.folders[1]!)).toEqual(before);
      expect(await inMember(1)).toEqual(plaintext);
    });

    it('makes no key with that member where its masking key has other bytes too', async () => {
      spoil(0, true);
      await reloaded('hsm-1');
      const ids = Array.from({ length: 6 }, newId);
      const made = await Promise.allSettled(ids.map((id) => connection.makeKey(id)));
      for (const [nth, { status }] of made.entries()) {
        if (status === 'rejected') continue;
        const given = await connection.encrypt(ids[nth]!, plaintext, aad);
        for (const member of [0, 1]) {
          const alone = await cluster.connect({ members: [cluster.members[member]!] });
          expect(await alone.decrypt(ids[nth]!, given, aad)).toEqual(plaintext);
          await alone.close();
        }
      }
    });

    it('loses no call where its masking key has other bytes too, and makes keys again by itself', async () => {
      spoil(0, true);
      await reloaded('hsm-1');
      for (let time = 0; time < 20; time++) {
        const given = await connection.encrypt(key, plaintext, aad);
        expect(await connection.decrypt(key, sealed, aad)).toEqual(plaintext);
        expect(await inMember(1, given)).toEqual(plaintext);
      }
      await until(
        () =>
          connection.makeKey(newId()).then(
            () => true,
            () => false,
          ),
        'no key was made',
      );
      expect(await inMember(0)).toEqual(plaintext);
    });

    it('uses what the members have where what is masked has other bytes', async () => {
      writeFileSync(join(cluster.folder, 'masked', key), randomBytes(40));
      for (const hsmId of ['hsm-1', 'hsm-2']) await reloaded(hsmId);
      for (let time = 0; time < 8; time++) expect(await connection.decrypt(key, sealed, aad)).toEqual(plaintext);
      expect(statesOf()).toEqual(['in', 'in']);
    });
  });

  it('does without a masked key that no member can open', async () => {
    const id = newId();
    await writeFile(join(cluster.folder, 'masked', id), randomBytes(40));
    await expect(connection.encrypt(id, plaintext, aad)).rejects.toMatchObject({ failure: 'key-not-found' });
    // Asking for it puts no member out.
    expect(statesOf()).toEqual(['in', 'in']);
    const anew = await cluster.connect();
    expect(statesOf(anew)).toEqual(['in', 'in']);
    expect(await anew.decrypt(key, sealed, aad)).toEqual(plaintext);
  });
});
