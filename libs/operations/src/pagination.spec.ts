import fc from 'fast-check';
import { decodeMarker, MAX_PAGE_BYTES, type Page, pageOfList, takePage } from './pagination';

/** All pages, one after the other, as a caller asks for them. */
function pages<T>(pageAfter: (marker: string | undefined) => Page<T>): T[][] {
  const found: T[][] = [];
  let marker: string | undefined;
  do {
    const page = pageAfter(marker);
    found.push(page.items);
    marker = page.nextMarker;
  } while (marker !== undefined);
  return found;
}

const sorted = fc.uniqueArray(fc.string({ minLength: 1 }), { maxLength: 40 }).map((items) => items.sort());
const limit = fc.integer({ min: 1, max: 45 });

describe('pages', () => {
  test('of an index list everything once, each full but the last, whatever their size', () => {
    fc.assert(
      fc.property(sorted, limit, (items, size) => {
        const found = pages((marker) => {
          const after = decodeMarker(marker);
          return takePage(
            items.filter((item) => after === undefined || item > after),
            size,
            (item) => item,
          );
        });
        expect(found.flat()).toEqual(items);
        expect(found.length).toBe(Math.max(1, Math.ceil(items.length / size)));
        for (const page of found.slice(0, -1)) expect(page).toHaveLength(size);
      }),
    );
  });

  test('of a list list everything once, each full but the last, whatever their size', () => {
    fc.assert(
      fc.property(fc.array(fc.integer(), { maxLength: 40 }), limit, (items, size) => {
        const found = pages((marker) => pageOfList(items, size, marker));
        expect(found.flat()).toEqual(items);
        expect(found.length).toBe(Math.max(1, Math.ceil(items.length / size)));
      }),
    );
  });

  test('of large items are shorter than asked for, list everything once, and are never empty', () => {
    const size = fc.oneof(fc.integer({ min: 0, max: 20_000 }), fc.constant(MAX_PAGE_BYTES + 1));
    fc.assert(
      fc.property(fc.array(size, { maxLength: 200 }), (sizes) => {
        const items = sizes.map((length, at) => ({ at, text: 'x'.repeat(length) }));
        for (const found of [
          pages((marker) => pageOfList(items, 1_000, marker)),
          pages((marker) =>
            takePage(items.slice(Number(decodeMarker(marker) ?? -1) + 1), 1_000, ({ at }) => String(at)),
          ),
        ]) {
          expect(found.flat()).toEqual(items);
          for (const page of found) {
            if (page.length > 1) expect(JSON.stringify(page).length).toBeLessThanOrEqual(MAX_PAGE_BYTES);
            if (found.length > 1) expect(page.length).toBeGreaterThan(0);
          }
        }
      }),
      { numRuns: 20 },
    );
  });

  test('go on where they were when items come and go between them', () => {
    const first = takePage(['b', 'd', 'f'], 2, (item) => item);
    expect(first.items).toEqual(['b', 'd']);
    const after = decodeMarker(first.nextMarker)!;
    // `d` is gone and `c` and `e` have come.
    expect(['b', 'c', 'e', 'f'].filter((item) => item > after)).toEqual(['e', 'f']);
  });
});

describe('a marker that no reply has given out', () => {
  const refused = expect.objectContaining({ code: 'InvalidMarkerException', message: '' });

  test.each([
    'nonsense',
    ' ',
    'v1:a',
    Buffer.from('v2:a').toString('base64url'),
    `${Buffer.from('v1:a').toString('base64url')}=`,
  ])('such as %j is refused', (marker) => {
    expect(() => decodeMarker(marker)).toThrow(refused);
  });

  test.each(['-1', '1.5', 'x', '1e99'])('such as one of the position %s in a list is refused', (position) => {
    const marker = Buffer.from(`v1:${position}`).toString('base64url');
    expect(() => pageOfList([1, 2, 3], 1, marker)).toThrow(refused);
  });

  test('is never taken, whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), (marker) => {
        expect(() => decodeMarker(marker)).toThrow(refused);
      }),
    );
  });
});
