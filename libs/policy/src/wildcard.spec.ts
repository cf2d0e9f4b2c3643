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

  it('is not compared anew at each place with a question mark in it', () => {
    // By comparing at each place, 10^10 steps and more.
    const text = `${'a'.repeat(1_000_000)}c`;
    expect(matchesWildcard(`*${'a'.repeat(10_000)}?b*`, text)).toBe(false);
    expect(matchesWildcard(`*${'a'.repeat(10_000)}?c`, text)).toBe(true);
  }, 20_000);

  it('is found in a long text, whatever it is made of', () => {
    const unit = fc.constantFrom('a', 'b', '\u00e9', '\u{1f600}');
    const piece = fc.string({ unit: fc.oneof({ weight: 3, arbitrary: unit }, fc.constant('?')), maxLength: 50 });
    const near = fc.tuple(fc.constantFrom('a', 'ab', 'aab', '\u00e9a'), fc.nat(60), fc.string({ unit, maxLength: 60 }));
    fc.assert(
      fc.property(piece, fc.nat(40), near, (pattern, more, [again, times, rest]) => {
        // Almost the same many times over, so that a few tries do not do.
        const searched = `${again.repeat(more)}${pattern}`;
        const text = again.repeat(times + more) + rest;
        const expression = new RegExp(searched.replaceAll('?', '[^]'));
        expect(matchesWildcard(`*${searched}*`, text)).toBe(expression.test(text));
      }),
      { numRuns: 2000 },
    );
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
