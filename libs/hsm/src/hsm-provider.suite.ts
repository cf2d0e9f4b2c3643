import { type HsmProvider, HsmUnavailableError, WrappedMaterialError } from './hsm-provider';

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
