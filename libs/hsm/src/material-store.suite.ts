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

    it('keeps the copy of an epoch beside the first one, each with its own end', async () => {
      await store.put(id, bytes('one'));
      expect(await store.put(id, bytes('two'), 0, 2)).toBe('stored');
      expect(await store.put(id, bytes('other'), 0, 2)).toBe('exists');
      expect(await textOf(id)).toBe('one');
      expect(Buffer.from((await store.get(id, 2))!.bytes).toString()).toBe('two');
      expect(await store.get(id, 3)).toBeUndefined();
      expect(await store.erase(id)).toBe(true);
      expect(await store.get(id)).toBeUndefined();
      expect(await store.erase(id, 3)).toBe(false);
      expect((await store.list()).map(({ materialId, epoch }) => [materialId, epoch])).toEqual([[id, 2]]);
      expect(await store.erase(id, 2)).toBe(true);
      expect(await store.list()).toEqual([]);
    });

    it('erases the copy that is meant, and not the one that was put in its place', async () => {
      await store.put(id, bytes('one'));
      const { sequence } = (await store.get(id))!;
      await store.erase(id, undefined, sequence);
      await store.put(id, bytes('two'));
      expect(await store.erase(id, undefined, sequence)).toBe(false);
      expect(await textOf(id)).toBe('two');
    });

    it('is walked through from copy to copy, and what is stored meanwhile comes last', async () => {
      for (const each of ['a', 'b', 'c']) await store.put(each, bytes(each));
      await store.put('b', bytes('moved'), 0, 2);
      await store.erase('b');
      expect(await store.count()).toBe(3);
      const met: string[] = [];
      for (let at = await store.next(0); at; at = await store.next(at.sequence)) {
        met.push(`${at.materialId} ${at.epoch} ${Buffer.from(at.bytes)}`);
        if (at.materialId === 'a') await store.put('d', bytes('d'));
      }
      expect(met).toEqual(['a undefined a', 'c undefined c', 'b 2 moved', 'd undefined d']);
    });

    it('lists nothing when empty, and when all was erased', async () => {
      expect(await store.list()).toEqual([]);
      await store.put(id, bytes('one'));
      await store.erase(id);
      expect(await store.list()).toEqual([]);
    });
  });
}
