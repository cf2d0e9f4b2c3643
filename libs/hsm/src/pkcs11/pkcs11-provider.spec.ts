import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../../../../test/support/nats-server';
import { type SoftHsm, softHsm, softHsmModule } from '../../../../test/support/softhsm';
import { HsmUnavailableError, WrappedMaterialError } from '../hsm-provider';
import { describeHsmProvider, describeRootEpochs } from '../hsm-provider.suite';
import { RootKeyError } from '../root-key-error';
import { Pkcs11HsmProvider } from './pkcs11-provider';
import { TokenClient } from './token-client';

const modulePath = softHsmModule();

(modulePath === undefined ? describe.skip : describe)('a root key in a PKCS#11 token', () => {
  const aad = Buffer.from('aad of the caller');
  const material = Buffer.alloc(32, 0x5a);
  const QUICK = { pauseMs: 0, maxPauseMs: 0 };
  let hsm: SoftHsm;
  let other: SoftHsm;

  beforeAll(() => {
    hsm = softHsm(modulePath!);
    other = softHsm(modulePath!);
  });
  afterAll(() => {
    hsm.remove();
    other.remove();
  });

  describeHsmProvider('a PKCS#11 token', {
    open: () => Pkcs11HsmProvider.open({ ...hsm, mayCreate: true }),
    openOther: () => Pkcs11HsmProvider.open({ ...other, mayCreate: true }),
  });

  describeRootEpochs('a PKCS#11 token', () => {
    const own = softHsm(modulePath!);
    return { open: (key) => Pkcs11HsmProvider.open({ ...own, mayCreate: true, key }), remove: () => own.remove() };
  });

  it('wraps nothing under a root key that is another one since its data was changed, and goes on once it is restored', async () => {
    const own = softHsm(modulePath!);
    const provider = await Pkcs11HsmProvider.open({ ...own, mayCreate: true }, QUICK);
    const wrapped = await provider.wrap(material, aad);
    // What follows the name and the length of CKA_VALUE in a file of SoftHSM is an IV: with another one it holds another key.
    const VALUE = Buffer.from('00000000000000110000000000000003', 'hex');
    const tokens = join(own.folder, 'tokens');
    const files = readdirSync(tokens, { recursive: true, encoding: 'utf8' }).map((name) => join(tokens, name));
    const [file] = files.filter((each) => each.endsWith('.object') && readFileSync(each).includes(VALUE));
    const whole = readFileSync(file!);
    const changed = Buffer.from(whole);
    changed[changed.indexOf(VALUE) + 26]! ^= 1;
    writeFileSync(file!, changed);
    process.kill(provider.pid!, 'SIGKILL');
    await until(() => provider.pid === undefined, 'the kill was not noticed');
    const another = /is not the one that it was|not available/;
    for (let time = 0; time < 3; time++) {
      await expect(provider.wrap(material, aad)).rejects.toThrow(another);
      await expect(provider.unwrap(wrapped, aad)).rejects.toThrow(HsmUnavailableError);
      await expect(provider.check()).rejects.toThrow(another);
    }
    writeFileSync(file!, whole);
    await until(
      () =>
        provider.check().then(
          () => true,
          () => false,
        ),
      'the restored root key is not used',
    );
    expect(await provider.unwrap(wrapped, aad)).toEqual(material);
    await provider.close();
    own.remove();
  });

  it('wraps and unwraps while it is rotated by several processes, and no call fails for it', async () => {
    const own = softHsm(modulePath!);
    const both = await Promise.all([1, 2].map(() => Pkcs11HsmProvider.open({ ...own, mayCreate: true })));
    let going = true;
    const calls = both.flatMap((each) =>
      [1, 2, 3].map(async () => {
        let made = 0;
        for (; going; made++) expect(await each.unwrap(await each.wrap(material, aad), aad)).toEqual(material);
        return made;
      }),
    );
    for (let epoch = 2; epoch <= 6; epoch++) {
      const key = await both[0]!.makeEpoch(epoch);
      for (const each of both) {
        await each.check(key);
        each.use(key);
      }
      // What is under way is still of the epoch before.
      await Promise.all(both.map((each) => each.check()));
      if (epoch > 2) await Promise.all(both.map((each) => each.destroyEpoch(epoch - 2)));
    }
    going = false;
    for (const made of await Promise.all(calls)) expect(made).toBeGreaterThan(0);
    for (const each of both) await each.close();
    own.remove();
  });

  it('destroys every key of an epoch, whoever made it', async () => {
    const own = softHsm(modulePath!);
    const opened = await Promise.all([1, 2, 3].map(() => Pkcs11HsmProvider.open({ ...own, mayCreate: true })));
    const wrapped = await Promise.all(opened.map((each) => each.wrap(material, aad)));
    const key = await opened[0]!.makeEpoch(2);
    opened[0]!.use(key);
    await opened[0]!.destroyEpoch(1);
    const token = new TokenClient(own);
    expect((await token.call('keys', { labelPrefix: '' })).map(({ label }) => label)).toEqual(['keytrail-root-2']);
    await token.close();
    for (const each of wrapped) await expect(opened[1]!.unwrap(each, aad)).rejects.toThrow(WrappedMaterialError);
    for (const each of opened) await each.close();
    own.remove();
  });

  describe('that is lost', () => {
    let provider: Pkcs11HsmProvider;
    beforeEach(async () => {
      provider = await Pkcs11HsmProvider.open({ ...hsm, mayCreate: true }, { ...QUICK, callMs: 300 });
    });
    afterEach(() => provider.close());

    it('is unavailable when its process is killed, and there again with the next call', async () => {
      const wrapped = await provider.wrap(material, aad);
      process.kill(provider.pid!, 'SIGSTOP');
      const waiting = [provider.unwrap(wrapped, aad), provider.random(8), provider.check()];
      process.kill(provider.pid!, 'SIGKILL');
      for (const outcome of await Promise.allSettled(waiting)) {
        expect(outcome).toMatchObject({ status: 'rejected', reason: expect.any(HsmUnavailableError) });
      }
      expect(await provider.unwrap(wrapped, aad)).toEqual(material);
    });

    it('is unavailable when it hangs, and its process is replaced', async () => {
      const wrapped = await provider.wrap(material, aad);
      const { pid } = provider;
      process.kill(pid!, 'SIGSTOP');
      await expect(provider.unwrap(wrapped, aad)).rejects.toThrow(HsmUnavailableError);
      expect(await provider.unwrap(wrapped, aad)).toEqual(material);
      expect(provider.pid).not.toBe(pid);
    });

    it('is unavailable once its data is gone, and not taken for altered material', async () => {
      const lost = softHsm(modulePath!);
      const rooted = await Pkcs11HsmProvider.open({ ...lost, mayCreate: true }, QUICK);
      const wrapped = await rooted.wrap(material, aad);
      rmSync(join(lost.folder, 'tokens'), { recursive: true });
      await expect(rooted.check()).rejects.toThrow();
      const failure = await rooted.unwrap(wrapped, aad).catch((error: unknown) => error);
      await rooted.close();
      lost.remove();
      expect(failure).toBeInstanceOf(Error);
      expect(failure).not.toMatchObject({ message: expect.stringContaining('altered') });
    });
  });

  it('is made only where it may be', async () => {
    const empty = softHsm(modulePath!);
    await expect(Pkcs11HsmProvider.open({ ...empty, mayCreate: false })).rejects.toThrow(RootKeyError);
    empty.remove();
  });

  it('is one, whoever made it first', async () => {
    const empty = softHsm(modulePath!);
    const opened = await Promise.all([1, 2, 3].map(() => Pkcs11HsmProvider.open({ ...empty, mayCreate: true })));
    const wrapped = await Promise.all(opened.map((each) => each.wrap(material, aad)));
    for (const each of opened) {
      for (const one of wrapped) expect(await each.unwrap(one, aad)).toEqual(material);
      await each.close();
    }
    empty.remove();
  });

  it('cannot be reached by a wrong PIN, which is tried once', async () => {
    const client = new TokenClient({ ...hsm, pin: 'wrong-pin' }, QUICK);
    for (let time = 1; time <= 20; time++) {
      await expect(client.info()).rejects.toThrow('open: CKR_PIN_INCORRECT');
      expect(client.pid).toBeUndefined();
    }
    await expect(Pkcs11HsmProvider.open({ ...hsm, pin: 'wrong-pin', mayCreate: false })).rejects.toThrow(
      'the token keytrail: open: CKR_PIN_INCORRECT',
    );
  });

  it.each([
    [
      'a module that is none',
      { module: '/nowhere/module.so' },
      '/nowhere/module.so: no PKCS#11 module that can be loaded',
    ],
    ['a label that no token has', { label: 'another' }, 'no token with the label another'],
  ])('is not available with %s', async (_what, changed, message) => {
    await expect(Pkcs11HsmProvider.open({ ...hsm, ...changed, mayCreate: false }, { openMs: 1_000 })).rejects.toThrow(
      message,
    );
  });

  it('that its process makes cannot be taken out', async () => {
    const client = new TokenClient(hsm);
    const keys = await client.call('keys', { labelPrefix: 'keytrail-root-' });
    await client.close();
    expect(keys.map(({ extractable }) => extractable)).toEqual([false]);
  });

  it('refuses altered material while many calls are under way, and none of them fails for it', async () => {
    const provider = await Pkcs11HsmProvider.open({ ...hsm, mayCreate: false });
    const wrapped = await provider.wrap(material, aad);
    const altered = { ...wrapped, ciphertext: Buffer.from(wrapped.ciphertext).fill(0, 20) };
    const calls = Array.from({ length: 100 }, (_, nth) => provider.unwrap(nth % 2 ? altered : wrapped, aad));
    for (const [nth, outcome] of (await Promise.allSettled(calls)).entries()) {
      if (nth % 2) expect(outcome).toMatchObject({ reason: expect.any(WrappedMaterialError) });
      else expect(outcome).toMatchObject({ value: material });
    }
    await provider.close();
  });
});
