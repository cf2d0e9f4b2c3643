import fc from 'fast-check';
import { principalIdOf, principalToken } from './subjects';

describe('a principal id as a subject token', () => {
  test.each([
    ['root', 'root'],
    ['AIDAEXAMPLE', 'AIDAEXAMPLE'],
    ['AROAEXAMPLE:build', 'AROAEXAMPLE:build'],
    ['AROAEXAMPLE:a.b%c', 'AROAEXAMPLE:a%2Eb%25c'],
  ])('%s is %s', (principalId, token) => {
    expect(principalToken(principalId)).toBe(token);
    expect(principalIdOf(token)).toBe(principalId);
  });

  test('comes back as it was, and is always one token', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const token = principalToken(text);
        expect(token).toMatch(/^[!-)+-\-/-=?-~]*$/);
        expect(principalIdOf(token)).toBe(text);
      }),
    );
  });

  test('has one spelling', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'%24EeAa.:') }), (token) => {
        const principalId = principalIdOf(token);
        if (principalId !== undefined) expect(principalToken(principalId)).toBe(token);
      }),
    );
    for (const other of ['%2e', '%41', '%', '%FF', 'a.b', 'a b']) expect(principalIdOf(other)).toBeUndefined();
  });
});
