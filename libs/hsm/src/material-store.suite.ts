import type { MaterialStore } from './material-store';

/** What every material store must do; each adapter's spec runs it. `open` gives an empty store. */
export function describeMaterialStore(name: string, open: () => Promise<MaterialStore>): void {
  describe(`${name}, as a material store`, () => {
    const id = 'ab'.repeat(32);
    const other = 'cd'.repeat(32);
    const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text));
    let store: MaterialStore;

    const textOf = async (materialId: string): Promise<string | undefined> => {
      const stored = await store.get(materialId);
      return stored && Buffer.from(stored.bytes).toString();
    };

    beforeEach(async () => {
      store = await open();
    });

    it('gives back what was stored', async () => {
      expect(await store.put(id, bytes('one'))).toBe('stored');
      expect(await store.get(id)).toMatchObject({ materialId: id });
      expect(await textOf(id)).toBe('one');
    });

    it('keeps the first where an id is stored twice', async () => {
      await store.put(id, bytes('one'));
      expect(await store.put(id, bytes('two'))).toBe('exists');
      expect(await textOf(id)).toBe('one');
    });

    it('lets one of many writers of the same id win', async () => {
      const texts = Array.from({ length: 8 }, (_, i) => `writer ${i}`);
      const outcomes = await Promise.all(texts.map((text) => store.put(id, bytes(text))));
      expect(outcomes.filter((outcome) => outcome === 'stored')).toHaveLength(1);
      expect(await textOf(id)).toBe(texts[outcomes.indexOf('stored')]);
    });

    it('has nothing for an unknown id', async () => {
      await store.put(other, bytes('other'));
      expect(await store.get(id)).toBeUndefined();
      expect(await store.erase(id)).toBe(false);
    });

    it('erases one and leaves the others', async () => {
      await store.put(id, bytes('one'));
      await store.put(other, bytes('other'));
      expect(await store.erase(id)).toBe(true);
      expect(await store.get(id)).toBeUndefined();
      expect(await store.erase(id)).toBe(false);
      expect(await textOf(other)).toBe('other');
    });

    it('erases once when asked twice at the same time', async () => {
      await store.put(id, bytes('one'));
      await Promise.all([store.erase(id), store.erase(id)]);
      expect(await store.get(id)).toBeUndefined();
    });

    it('stores anew what was erased a moment ago', async () => {
      await store.put(id, bytes('one'));
      await store.erase(id);
      expect(await store.put(id, bytes('one'))).toBe('stored');
      expect(await textOf(id)).toBe('one');
    });

    it('lists all that is stored, oldest first, with the time of storing', async () => {
      const before = Date.now();
      await store.put(other, bytes('other'));
      await store.put('gone', bytes('gone'));
      await store.put(id, bytes('one'));
      await store.erase('gone');
      const entries = await store.list();
      expect(entries.map(({ materialId }) => materialId)).toEqual([other, id]);
      for (const { storedAt } of entries) {
        expect(storedAt).toBeGreaterThanOrEqual(before);
        expect(storedAt).toBeLessThanOrEqual(Date.now());
      }
    });

    it('lists how far the log had come when each was stored', async () => {
      await store.put(other, bytes('other'));
      await store.put(id, bytes('one'), 7);
      expect(await store.put(id, bytes('one'), 9)).toBe('exists');
      expect((await store.list()).map(({ logPosition }) => logPosition)).toEqual([0, 7]);
    });

    it('lists nothing when empty, and when all was erased', async () => {
      expect(await store.list()).toEqual([]);
      await store.put(id, bytes('one'));
      await store.erase(id);
      expect(await store.list()).toEqual([]);
    });
  });
}
