import fc from 'fast-check';
import { matchesWildcard } from './wildcard';

describe('a wildcard pattern', () => {
  it.each<[string, string, boolean]>([
    ['*', '', true],
    ['', '', true],
    ['', 'a', false],
    ['?', '', false],
    ['kms:*', 'kms:Decrypt', true],
    ['kms:*Key*', 'kms:PutKeyPolicy', true],
    ['kms:*KeyPolicy', 'kms:PutKeyPolicyX', false],
    ['a*b?d', 'aXbXbcd', true],
    ['a.c', 'abc', false],
    ['**a', 'bca', true],
    ['[a]', 'a', false],
  ])('%s against %s gives %s', (pattern, text, expected) => {
    expect(matchesWildcard(pattern, text)).toBe(expected);
  });

  it('is not tried again at each place of a long text', () => {
    const text = `${'a'.repeat(1_000_000)}c`;
    for (const start of ['*', '*?']) {
      // By trying each place anew, 10^11 steps.
      expect(matchesWildcard(`${start}${'a'.repeat(500_000)}b*c`, text)).toBe(false);
      expect(matchesWildcard(`${start}${'a'.repeat(500_000)}*c`, text)).toBe(true);
    }
  });

  it('agrees with a regular expression of the same meaning', () => {
    const few = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?'), maxLength: 10 });
    const letters = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 10 });
    fc.assert(
      fc.property(few, letters, (pattern, text) => {
        const expression = new RegExp(`^${pattern.replaceAll('*', '.*').replaceAll('?', '.')}$`);
        expect(matchesWildcard(pattern, text)).toBe(expression.test(text));
      }),
      { numRuns: 1000 },
    );
  });
});
