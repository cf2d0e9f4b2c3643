import fc from 'fast-check';
import { type GrantParameters, grantIdOf, openGrantId, sameParameters } from './grant-id';

const ARN = 'arn:aws:kms:us-east-1:000000000000:key/00000000-0000-4000-8000-000000000000';
const PARAMETERS: GrantParameters = {
  keyId: '00000000-0000-4000-8000-000000000000',
  granteePrincipal: 'arn:aws:iam::000000000000:role/Orders',
  operations: ['Encrypt', 'Decrypt'],
  constraints: { encryptionContextSubset: { a: 'b', c: 'd' } },
  name: 'nightly',
};

describe('the id of a named grant', () => {
  test('is 64 hex digits that never change', () => {
    expect(grantIdOf(ARN, PARAMETERS, 0)).toBe('8e4fb57c901a99e3a275283335c3182aa9d9f9bea351232ed6a9697e3fa896ce');
  });

  test('does not depend on the order of operations and pairs, nor on what is there twice or empty', () => {
    const same: GrantParameters = {
      ...PARAMETERS,
      operations: ['Decrypt', 'Encrypt', 'Decrypt'],
      constraints: { encryptionContextEquals: {}, encryptionContextSubset: { c: 'd', a: 'b' } },
    };
    expect(grantIdOf(ARN, same, 0)).toBe(grantIdOf(ARN, PARAMETERS, 0));
    expect(sameParameters(same, PARAMETERS)).toBe(true);
  });

  test.each<[string, Partial<GrantParameters>]>([
    ['grantee', { granteePrincipal: 'arn:aws:iam::000000000000:role/Other' }],
    ['grantee of the same name', { granteeUniqueId: 'AROA2' }],
    ['retiring principal', { retiringPrincipal: 'arn:aws:iam::000000000000:role/Orders' }],
    ['retiring principal of the same name', { retiringUniqueId: 'AROA2' }],
    ['name', { name: 'daily' }],
    ['operation', { operations: ['Encrypt'] }],
    ['constraint', { constraints: { encryptionContextEquals: { a: 'b', c: 'd' } } }],
    ['pair', { constraints: { encryptionContextSubset: { a: 'bc', '': 'd' } } }],
  ])('is another for another %s', (_what, change) => {
    expect(grantIdOf(ARN, { ...PARAMETERS, ...change }, 0)).not.toBe(grantIdOf(ARN, PARAMETERS, 0));
    expect(sameParameters({ ...PARAMETERS, ...change }, PARAMETERS)).toBe(false);
  });

  test('is another for another key and for the next generation', () => {
    const ids = [grantIdOf(ARN, PARAMETERS, 0), grantIdOf(`${ARN}1`, PARAMETERS, 0), grantIdOf(ARN, PARAMETERS, 1)];
    expect(new Set(ids).size).toBe(3);
  });

  test('is the same for no two sets of parameters, however their parts run together', () => {
    const text = fc.constantFrom('', 'a', 'ab', 'b', 'aba', '\0', '0', '1');
    const context = fc.dictionary(text, text, { maxKeys: 2 });
    const parameters = fc.record(
      {
        keyId: fc.constant('k'),
        granteePrincipal: text.map((one) => `p${one}`),
        operations: fc.constant(['Encrypt' as const]),
        constraints: fc.record({ encryptionContextEquals: context, encryptionContextSubset: context }),
        name: text.map((one) => `n${one}`),
      },
      { requiredKeys: ['keyId', 'granteePrincipal', 'operations'] },
    );
    fc.assert(
      fc.property(parameters, parameters, (one, other) => {
        expect(grantIdOf(ARN, one, 0) === grantIdOf(ARN, other, 0)).toBe(sameParameters(one, other));
      }),
    );
  });
});

describe('the open generation', () => {
  test('is the first that has not ended, found in few looks', () => {
    const generations = new Map(Array.from({ length: 2000 }, (_, at) => [grantIdOf(ARN, PARAMETERS, at), at]));
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 900 }), (endedSoFar) => {
        let looks = 0;
        const open = openGrantId(ARN, PARAMETERS, (grantId) => {
          looks++;
          return generations.get(grantId)! < endedSoFar;
        });
        expect(open).toBe(grantIdOf(ARN, PARAMETERS, endedSoFar));
        expect(looks).toBeLessThanOrEqual(2 + 2 * Math.ceil(Math.log2(endedSoFar + 2)));
      }),
    );
  });
});
