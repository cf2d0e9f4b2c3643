import fc from 'fast-check';
import { MalformedError } from './proof-errors';
import { parseTilePath, partialTiles, TILE_WIDTH, tilePath, tilesSince } from './tiles';

describe('a tile path', () => {
  // The first two are those of C2SP tlog-tiles; the others of golang.org/x/mod/sumdb/tlog, less its tile height.
  it.each([
    [{ level: 0, index: 1234067, width: 256 }, 'tile/0/x001/x234/067'],
    [{ level: 0, index: 1234, width: 17 }, 'tile/0/x001/234.p/17'],
    [{ level: 0, index: 1, width: 256 }, 'tile/0/001'],
    [{ level: 0, index: 1, width: 5 }, 'tile/0/001.p/5'],
    [{ level: 5, index: 123456078, width: 256 }, 'tile/5/x123/x456/078'],
    [{ level: 5, index: 123456078, width: 2 }, 'tile/5/x123/x456/078.p/2'],
    [{ level: 63, index: 0, width: 255 }, 'tile/63/000.p/255'],
  ])('of %j is %s', (tile, path) => {
    expect(tilePath(tile)).toBe(path);
    expect(parseTilePath(path)).toEqual(tile);
  });

  it('reads back as the tile that it was made for', () => {
    const tiles = fc.record({
      level: fc.nat(63),
      index: fc.nat(Number.MAX_SAFE_INTEGER),
      width: fc.integer({ min: 1, max: 256 }),
    });
    fc.assert(fc.property(tiles, (tile) => expect(parseTilePath(tilePath(tile))).toEqual(tile)));
  });

  it.each([
    'tile/3/5/123/456/078',
    'tile/3/-1/123/456/078',
    'tile/-1/000',
    'tile/64/000',
    'tile/00/000',
    'tile/01/000',
    'tile/0/00',
    'tile/0/0000',
    'tile/0/x000/001',
    'tile/0/x001',
    'tile/0/000.p/0',
    'tile/0/000.p/256',
    'tile/0/000.p/257',
    'tile/0/000.p/999',
    'tile/0/000.p/01',
    'tile/0/000.p',
    'tile/0/000/',
    '/tile/0/000',
    'tile/0/000\n',
    'tile/entries/000',
    'tile/0/../000',
    'tile/0/x999/x999/x999/x999/x999/999',
    `tile/0/${'x000/'.repeat(1e5)}000`,
  ])('is not %s', (path) => {
    expect(() => parseTilePath(path)).toThrow(MalformedError);
  });

  it('is read or refused, whatever the text', () => {
    const texts = fc.oneof(fc.string(), fc.stringMatching(/^tile\/[0-9]{1,3}\/(x[0-9]{3}\/)*[0-9]{3}(\.p\/[0-9]+)?$/));
    fc.assert(
      fc.property(texts, (text) => {
        try {
          expect(tilePath(parseTilePath(text))).toBe(text);
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedError);
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe('a tree', () => {
  // The example of C2SP tlog-tiles, "Partial Tiles".
  it('of 70,000 leaves has the tiles that the specification counts', () => {
    const tiles = [...tilesSince(0, 70_000)];
    const full = (level: number): number => tiles.filter((tile) => tile.level === level && tile.width === 256).length;
    expect([full(0), full(1), full(2)]).toEqual([273, 1, 0]);
    expect(partialTiles(70_000)).toEqual([
      { level: 0, index: 273, width: 112 },
      { level: 1, index: 1, width: 17 },
      { level: 2, index: 0, width: 1 },
    ]);
    expect(tiles).toHaveLength(273 + 1 + 3);
  });

  it('of 256 leaves has a full tile, and one of width 1 above it', () => {
    expect([...tilesSince(0, 256)].map(tilePath)).toEqual(['tile/0/000', 'tile/1/000.p/1']);
    expect([...tilesSince(0, 0)]).toEqual([]);
    expect([...tilesSince(256, 256)]).toEqual([]);
    expect(() => [...tilesSince(2, 1)]).toThrow('no tree grows from 2 to 1 leaves');
  });

  it('gains the tiles that the larger tree has and the smaller does not', () => {
    const size = fc.nat(200_000);
    fc.assert(
      fc.property(size, size, (a, b) => {
        const [from, to] = [Math.min(a, b), Math.max(a, b)];
        const before = new Set([...tilesSince(0, from)].map(tilePath));
        const gained = [...tilesSince(0, to)].map(tilePath).filter((path) => !before.has(path));
        expect([...tilesSince(from, to)].map(tilePath)).toEqual(gained);
        expect(partialTiles(to)).toEqual([...tilesSince(0, to)].filter(({ width }) => width < TILE_WIDTH));
      }),
      { numRuns: 50 },
    );
  });

  it('of any size has at most seven partial tiles', () => {
    expect(partialTiles(Number.MAX_SAFE_INTEGER)).toHaveLength(7);
  });
});
