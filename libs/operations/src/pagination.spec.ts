import fc from 'fast-check';
import { rootCaller } from '../../../test/support/root-caller';
import { MAX_PAGE_BYTES, type Page, type PageAsked, pageAsked, pageOfList, positionOf, takePage } from './pagination';

const page = (limit: number, marker?: string): PageAsked => ({ list: 'list', limit, marker });

/** All pages, one after the other, as a caller asks for them. */
function pages<T>(pageAfter: (marker: string | undefined) => Page<T>): T[][] {
  const found: T[][] = [];
  let marker: string | undefined;
  do {
    const { items, nextMarker } = pageAfter(marker);
    found.push(items);
    marker = nextMarker;
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
          const asked = page(size, marker);
          const after = positionOf(asked);
          return takePage(
            items.filter((item) => after === undefined || item > after),
            asked,
            (item) => item,
          );
        });
        expect(found.flat()).toEqual(items);
        expect(found.length).toBe(Math.max(1, Math.ceil(items.length / size)));
        for (const full of found.slice(0, -1)) expect(full).toHaveLength(size);
      }),
    );
  });

  test('of a list list everything once, each full but the last, whatever their size', () => {
    fc.assert(
      fc.property(fc.array(fc.integer(), { maxLength: 40 }), limit, (items, size) => {
        const found = pages((marker) => pageOfList(items, page(size, marker)));
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
          pages((marker) => pageOfList(items, page(1_000, marker))),
          pages((marker) =>
            takePage(items.slice(Number(positionOf(page(1, marker)) ?? -1) + 1), page(1_000), ({ at }) => String(at)),
          ),
        ]) {
          expect(found.flat()).toEqual(items);
          for (const taken of found) {
            if (taken.length > 1) expect(JSON.stringify(taken).length).toBeLessThanOrEqual(MAX_PAGE_BYTES);
            if (found.length > 1) expect(taken.length).toBeGreaterThan(0);
          }
        }
      }),
      { numRuns: 20 },
    );
  });

  test('go on where they were when items come and go between them', () => {
    const first = takePage(['b', 'd', 'f'], page(2), (item) => item);
    expect(first.items).toEqual(['b', 'd']);
    const after = positionOf(page(2, first.nextMarker))!;
    // `d` is gone and `c` and `e` have come.
    expect(['b', 'c', 'e', 'f'].filter((item) => item > after)).toEqual(['e', 'f']);
  });
});

describe('a marker that no reply has given out', () => {
  const refused = expect.objectContaining({ code: 'InvalidMarkerException', message: '' });

  test.each([
    'nonsense',
    ' ',
    'v2:list:a',
    Buffer.from('v1:a').toString('base64url'),
    Buffer.from('v2:lists:a').toString('base64url'),
    `${Buffer.from('v2:list:a').toString('base64url')}=`,
  ])('such as %j is refused', (marker) => {
    expect(() => positionOf(page(1, marker))).toThrow(refused);
  });

  test.each(['-1', '1.5', 'x', '1e99'])('such as one of the position %s in a list is refused', (position) => {
    const marker = Buffer.from(`v2:list:${position}`).toString('base64url');
    expect(() => pageOfList([1, 2, 3], page(1, marker))).toThrow(refused);
  });

  test('is never taken, whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), (marker) => {
        expect(() => positionOf(page(1, marker))).toThrow(refused);
      }),
    );
  });
});

describe('a page asked for', () => {
  const call = { operation: 'ListKeys', caller: rootCaller('us-east-1', '000000000000') };
  const sizes = { byDefault: 50, atMost: 100 };

  test.each([
    [undefined, 50],
    [1, 1],
    [100, 100],
    [101, 100],
    [1_000, 100],
  ])('with Limit %s has %i items at most', (Limit, limit) => {
    expect(pageAsked(Limit === undefined ? {} : { Limit }, call, sizes).limit).toBe(limit);
  });

  test.each([
    ['another operation', pageAsked({}, { ...call, operation: 'ListAliases' }, sizes, 'a')],
    ['another account', pageAsked({}, { ...call, caller: rootCaller('us-east-1', '111111111111') }, sizes, 'a')],
    ['another Region', pageAsked({}, { ...call, caller: rootCaller('eu-west-1', '000000000000') }, sizes, 'a')],
    ['another key', pageAsked({}, call, sizes, 'b')],
    ['no key', pageAsked({}, call, sizes)],
    ['a filter more', pageAsked({}, call, sizes, 'a', 'b')],
  ])('of one list takes no marker of a list of %s', (_what, other) => {
    const own = pageAsked({}, call, sizes, 'a');
    const marker = takePage([1, 2], { ...other, limit: 1 }, String).nextMarker;
    expect(positionOf({ ...other, marker })).toBe('1');
    expect(() => positionOf({ ...own, marker })).toThrow(expect.objectContaining({ code: 'InvalidMarkerException' }));
  });
});
