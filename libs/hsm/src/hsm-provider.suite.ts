import { type HsmProvider, HsmUnavailableError, type RootKeyRef, WrappedMaterialError } from './hsm-provider';
import { RootKeyError } from './root-key-error';

export interface ProviderFactory {
  /** A provider with always the same root key. */
  open(): Promise<HsmProvider>;
  /** A provider of the same kind and epoch with another root key. */
  openOther(): Promise<HsmProvider>;
}

/** What every provider must do; each adapter's spec runs it. */
export function describeHsmProvider(name: string, factory: ProviderFactory): void {
  describe(`${name}, as an HSM provider`, () => {
    const material = Buffer.alloc(32, 0x5a);
    const aad = Buffer.from('aad of the caller');
    let provider: HsmProvider;
    const opened: HsmProvider[] = [];

    beforeEach(async () => {
      provider = await factory.open();
      opened.push(provider);
    });

    afterEach(async () => {
      await Promise.all(opened.splice(0).map((each) => each.close()));
    });

    it('unwraps what it wrapped', async () => {
      const wrapped = await provider.wrap(material, aad);
      expect(await provider.unwrap(wrapped, aad)).toEqual(material);
    });

    it('unwraps it after it was opened again', async () => {
      const wrapped = await provider.wrap(material, aad);
      await provider.close();
      const again = await factory.open();
      opened.push(again);
      expect(await again.unwrap(wrapped, aad)).toEqual(material);
    });

    it.each([0, 1, 16, 4096])('wraps material of %i bytes', async (length) => {
      const bytes = Buffer.alloc(length, 1);
      expect(await provider.unwrap(await provider.wrap(bytes, aad), aad)).toEqual(bytes);
    });

    it('leaves the material it was given as it was, and does not show it', async () => {
      const given = Buffer.from(material);
      const { ciphertext } = await provider.wrap(given, aad);
      expect(given).toEqual(material);
      expect(Buffer.from(ciphertext).includes(material.subarray(0, 4))).toBe(false);
    });

    it('wraps the same material differently each time', async () => {
      const [one, two] = await Promise.all([provider.wrap(material, aad), provider.wrap(material, aad)]);
      expect(Buffer.from(one.ciphertext)).not.toEqual(Buffer.from(two.ciphertext));
    });

    it('wraps under its current epoch', async () => {
      expect((await provider.wrap(material, aad)).epoch).toBe(await provider.currentEpoch());
    });

    it('refuses wrapped material with any one byte altered', async () => {
      const { epoch, ciphertext } = await provider.wrap(material, aad);
      for (let i = 0; i < ciphertext.length; i += 1) {
        const altered = Buffer.from(ciphertext);
        altered[i]! ^= 0x01;
        await expect(provider.unwrap({ epoch, ciphertext: altered }, aad)).rejects.toThrow(WrappedMaterialError);
      }
    });

    it('refuses wrapped material that was cut off', async () => {
      const { epoch, ciphertext } = await provider.wrap(material, aad);
      for (const length of [0, 1, 12, 27, ciphertext.length - 1]) {
        const cut = ciphertext.slice(0, length);
        await expect(provider.unwrap({ epoch, ciphertext: cut }, aad)).rejects.toThrow(WrappedMaterialError);
      }
    });

    it.each(['', 'aad of the calle', 'aad of the caller.'])('refuses another aad: %j', async (other) => {
      const wrapped = await provider.wrap(material, aad);
      await expect(provider.unwrap(wrapped, Buffer.from(other))).rejects.toThrow(WrappedMaterialError);
    });

    it('refuses another epoch', async () => {
      const { epoch, ciphertext } = await provider.wrap(material, aad);
      await expect(provider.unwrap({ epoch: epoch + 1, ciphertext }, aad)).rejects.toThrow(WrappedMaterialError);
    });

    it('refuses what another root key wrapped', async () => {
      const other = await factory.openOther();
      opened.push(other);
      const wrapped = await other.wrap(material, aad);
      expect(await other.unwrap(wrapped, aad)).toEqual(material);
      await expect(provider.unwrap(wrapped, aad)).rejects.toThrow(WrappedMaterialError);
    });

    it('gives as many random bytes as asked for, never the same', async () => {
      expect(await provider.random(1)).toHaveLength(1);
      expect(await provider.random(1024)).toHaveLength(1024);
      expect(await provider.random(32)).not.toEqual(await provider.random(32));
    });

    it.each([0, -1, 1025, 1.5])('gives no random bytes of length %d', async (length) => {
      await expect(provider.random(length)).rejects.toThrow(RangeError);
    });

    it('passes its check', async () => {
      await expect(provider.check()).resolves.toBeUndefined();
    });

    it('is unavailable once closed, and may be closed again', async () => {
      const wrapped = await provider.wrap(material, aad);
      await provider.close();
      await provider.close();
      await expect(provider.wrap(material, aad)).rejects.toThrow(HsmUnavailableError);
      await expect(provider.unwrap(wrapped, aad)).rejects.toThrow(HsmUnavailableError);
      await expect(provider.random(32)).rejects.toThrow(HsmUnavailableError);
      await expect(provider.check()).rejects.toThrow(HsmUnavailableError);
    });
  });
}

/** A place that can hold a root key, empty at first. */
export interface RootPlace {
  /** Opens it as another process would; the first time with a root key of epoch 1. */
  open(key?: RootKeyRef): Promise<HsmProvider>;
  remove(): void;
}

/** What every provider that can keep several epochs must do; each adapter's spec runs it. */
export function describeRootEpochs(name: string, newPlace: () => RootPlace): void {
  describe(`${name}, with several epochs`, () => {
    const material = Buffer.alloc(32, 0x5a);
    const aad = Buffer.from('aad of the caller');
    let place: RootPlace;
    let provider: HsmProvider;
    const opened: HsmProvider[] = [];
    const open = async (key?: RootKeyRef): Promise<HsmProvider> => {
      const one = await place.open(key);
      opened.push(one);
      return one;
    };

    beforeEach(async () => {
      place = newPlace();
      provider = await open();
    });
    afterEach(async () => {
      await Promise.all(opened.splice(0).map((each) => each.close()));
      place.remove();
    });

    it('wraps under the new epoch once it is used, and opens what either wrapped', async () => {
      const old = await provider.wrap(material, aad);
      const key = await provider.makeEpoch(2);
      expect(key).toEqual({ epoch: 2, id: expect.stringMatching(/^[0-9a-f]{16}$/) });
      expect((await provider.wrap(material, aad)).epoch).toBe(1);
      expect(await provider.currentEpoch()).toBe(1);
      provider.use(key);
      const wrapped = await provider.wrap(material, aad);
      expect(wrapped.epoch).toBe(2);
      expect(await provider.currentEpoch()).toBe(2);
      for (const each of [old, wrapped]) expect(await provider.unwrap(each, aad)).toEqual(material);
      await expect(provider.unwrap({ ...wrapped, epoch: 1 }, aad)).rejects.toThrow(WrappedMaterialError);
    });

    it('makes one key of an epoch, however often it is asked', async () => {
      const key = await provider.makeEpoch(2);
      expect(await provider.makeEpoch(2)).toEqual(key);
      expect(await (await open()).makeEpoch(2)).toEqual(key);
    });

    it('goes on with the old epoch when it is opened again before the new one is used', async () => {
      const key = await provider.makeEpoch(2);
      const again = await open();
      expect(await again.currentEpoch()).toBe(1);
      expect((await (await open(key)).wrap(material, aad)).epoch).toBe(2);
    });

    it('uses, and checks, a key that another process has made since', async () => {
      const other = await open();
      await other.check();
      const key = await provider.makeEpoch(2);
      await expect(other.check(key)).resolves.toBeUndefined();
      other.use(key);
      expect(await provider.unwrap(await other.wrap(material, aad), aad)).toEqual(material);
    });

    it('has no use for a key that is not there', async () => {
      const strange = { epoch: 2, id: 'ab'.repeat(8) };
      await expect(provider.check(strange)).rejects.toThrow();
      await provider.makeEpoch(2);
      await expect(provider.check(strange)).rejects.toThrow();
      provider.use(strange);
      await expect(provider.wrap(material, aad)).rejects.toThrow();
      await expect(open(strange)).rejects.toThrow(RootKeyError);
    });

    it('opens nothing of an epoch that was destroyed, and goes on with the other, in every process', async () => {
      const old = await provider.wrap(material, aad);
      const key = await provider.makeEpoch(2);
      provider.use(key);
      const wrapped = await provider.wrap(material, aad);
      await provider.destroyEpoch(1);
      await provider.destroyEpoch(1);
      for (const each of [provider, await open(key), await open()]) {
        await expect(each.unwrap(old, aad)).rejects.toThrow(WrappedMaterialError);
        expect(await each.unwrap(wrapped, aad)).toEqual(material);
        expect(await each.currentEpoch()).toBe(2);
      }
    });

    it('never destroys the epoch in use, nor one after it', async () => {
      const key = await provider.makeEpoch(2);
      await expect(provider.destroyEpoch(1)).rejects.toThrow(RangeError);
      provider.use(key);
      await expect(provider.destroyEpoch(2)).rejects.toThrow(RangeError);
      await expect(provider.check()).resolves.toBeUndefined();
    });

    it('is rotated again and again', async () => {
      for (let epoch = 2; epoch <= 4; epoch++) {
        const before = await provider.wrap(material, aad);
        provider.use(await provider.makeEpoch(epoch));
        await provider.destroyEpoch(epoch - 1);
        await expect(provider.unwrap(before, aad)).rejects.toThrow(WrappedMaterialError);
        await expect(provider.check()).resolves.toBeUndefined();
      }
    });
  });
}
