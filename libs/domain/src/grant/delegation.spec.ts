import fc from 'fast-check';
import { canDelegate } from './delegation';
import type { GrantConstraints } from './events';
import { GRANT_OPERATIONS, type GrantOperation } from './grant-operations';

const grant = (operations: GrantOperation[], constraints?: GrantConstraints) => ({
  operations,
  ...(constraints && { constraints }),
});
const subset = (encryptionContextSubset: Record<string, string>): GrantConstraints => ({ encryptionContextSubset });
const equals = (encryptionContextEquals: Record<string, string>): GrantConstraints => ({ encryptionContextEquals });

describe('a grantee with CreateGrant', () => {
  test('gives what it has, and nothing else', () => {
    const held = grant(['CreateGrant', 'Decrypt', 'DescribeKey']);
    expect(canDelegate(held, grant(['Decrypt']))).toBe(true);
    expect(canDelegate(held, grant(['Decrypt', 'CreateGrant']))).toBe(true);
    expect(canDelegate(held, grant(['Decrypt', 'Encrypt']))).toBe(false);
    expect(canDelegate(grant(['Decrypt']), grant(['Decrypt']))).toBe(false);
  });

  test.each<[string, GrantConstraints | undefined, GrantConstraints | undefined, boolean]>([
    ['none with none', undefined, undefined, true],
    ['more than none', undefined, subset({ a: '1' }), true],
    ['none with a subset', subset({ a: '1' }), undefined, false],
    ['the same subset', subset({ a: '1' }), subset({ a: '1' }), true],
    ['the same subset in another case', subset({ Team: '1' }), subset({ team: '1' }), true],
    ['another value', subset({ a: 'x' }), subset({ a: 'X' }), false],
    ['a longer subset', subset({ a: '1' }), subset({ a: '1', b: '2' }), true],
    ['a shorter subset', subset({ a: '1', b: '2' }), subset({ a: '1' }), false],
    ['equals that hold the subset', subset({ a: '1' }), equals({ a: '1', b: '2' }), true],
    ['equals without the subset', subset({ a: '1' }), equals({ b: '2' }), false],
    ['the same equals', equals({ a: '1' }), equals({ a: '1' }), true],
    ['longer equals', equals({ a: '1' }), equals({ a: '1', b: '2' }), false],
    ['equals with a pair in two cases', equals({ a: '1' }), equals({ a: '1', A: '1' }), false],
    ['shorter equals', equals({ a: '1', b: '2' }), equals({ a: '1' }), false],
    ['a subset of equals', equals({ a: '1' }), subset({ a: '1' }), false],
    ['none with equals', equals({ a: '1' }), undefined, false],
  ])('constrains at least as strictly: %s', (_what, held, given, may) => {
    expect(canDelegate(grant(['CreateGrant', 'Decrypt'], held), grant(['Decrypt'], given))).toBe(may);
  });

  test('gains nothing by a chain of grants: who may give through two may give through the first', () => {
    const context = fc.dictionary(fc.constantFrom('a', 'A', 'b'), fc.constantFrom('1', '2'), { maxKeys: 2 });
    const constraints = fc.oneof(
      fc.constant(undefined),
      context.filter((pairs) => Object.keys(pairs).length > 0).map(subset),
      context.filter((pairs) => Object.keys(pairs).length > 0).map(equals),
    );
    const operations = fc.subarray([...GRANT_OPERATIONS].slice(0, 3), { minLength: 1 });
    const anyGrant = fc.tuple(operations, constraints).map(([some, given]) => grant(['CreateGrant', ...some], given));
    fc.assert(
      fc.property(anyGrant, anyGrant, anyGrant, (first, second, third) => {
        if (canDelegate(first, second) && canDelegate(second, third)) expect(canDelegate(first, third)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});
