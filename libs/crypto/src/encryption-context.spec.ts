import fc from 'fast-check';
import { canonicalContext } from './encryption-context';

/** Well-formed texts (whole code points only), the awkward names included. */
const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 6 }),
  fc.constantFrom('a', 'b', 'ab', '', '__proto__', 'constructor', 'toString', '\u0000', '\uffff', '\u{1f511}'),
);
const pairs = fc.uniqueArray(fc.tuple(text, text), { selector: ([name]) => name, maxLength: 5 });
type Pairs = [string, string][];

/** As the body parser makes them: `__proto__` becomes an own property. */
const contextOf = (list: Pairs): Record<string, string> => {
  const members = list.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`);
  return JSON.parse(`{${members.join(',')}}`) as Record<string, string>;
};
const byName = ([a]: [string, string], [b]: [string, string]) => (a < b ? -1 : 1);
const isSame = (a: Pairs, b: Pairs): boolean =>
  JSON.stringify([...a].sort(byName)) === JSON.stringify([...b].sort(byName));

describe('the canonical encryption context', () => {
  it('writes count, lengths, names and values as documented', () => {
    expect(canonicalContext({ b: '', a: 'é' }).toString('hex')).toBe(
      '00000002' + '0000000161' + '00000002c3a9' + '0000000162' + '00000000',
    );
  });

  it('is the same for an absent and an empty context', () => {
    expect(canonicalContext(undefined).toString('hex')).toBe('00000000');
    expect(canonicalContext({}).toString('hex')).toBe('00000000');
  });

  it('tells {a: bc} from {ab: c}', () => {
    expect(canonicalContext({ a: 'bc' })).not.toEqual(canonicalContext({ ab: 'c' }));
  });

  it('orders names by their UTF-8 bytes, not by UTF-16 units', () => {
    const bytes = canonicalContext({ '\u{1f511}': '1', '\uffff': '2' });
    expect(bytes.indexOf('\uffff')).toBeLessThan(bytes.indexOf('\u{1f511}'));
    expect(bytes.indexOf('\uffff')).toBeGreaterThan(0);
  });

  it('counts a __proto__ pair that came in JSON', () => {
    expect(canonicalContext(JSON.parse('{"__proto__":"x"}') as Record<string, string>).toString('hex')).toBe(
      `00000001${'00000009'}${Buffer.from('__proto__').toString('hex')}0000000178`,
    );
  });

  it('does not depend on the order of insertion', () => {
    fc.assert(
      fc.property(pairs, fc.nat(), (list, rotation) => {
        const at = list.length === 0 ? 0 : rotation % list.length;
        const other = [...list.slice(at), ...list.slice(0, at)].reverse();
        expect(canonicalContext(contextOf(other))).toEqual(canonicalContext(contextOf(list)));
      }),
    );
  });

  it('gives different contexts different bytes', () => {
    fc.assert(
      fc.property(pairs, pairs, (a, b) => {
        const equalBytes = canonicalContext(contextOf(a)).equals(canonicalContext(contextOf(b)));
        expect(equalBytes).toBe(isSame(a, b));
      }),
      { numRuns: 2000 },
    );
  });

  it.each<[string, string]>([
    ['\ud800', 'x'],
    ['x', '\udc00'],
    ['x', 'a\ud83d'],
  ])('refuses a lone surrogate: %j %j', (name, value) => {
    expect(() => canonicalContext({ [name]: value })).toThrow(expect.objectContaining({ code: 'ValidationException' }));
  });
});
