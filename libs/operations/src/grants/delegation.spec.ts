import fc from 'fast-check';
import { canDelegate } from '#domain/grant/delegation';
import type { GrantConstraints } from '#domain/grant/events';
import type { GrantOperation } from '#domain/grant/grant-operations';
import { evaluateGrant } from '#policy/grants';

const OPERATIONS = ['CreateGrant', 'Decrypt', 'Encrypt', 'DescribeKey'] as const satisfies GrantOperation[];
const principal = { account: '000000000000', kind: 'root', arn: 'arn', uniqueId: '000000000000' } as const;

interface Given {
  operations: GrantOperation[];
  constraints?: GrantConstraints;
}

function allows({ operations, constraints }: Given, operation: string, encryptionContext: Record<string, string>) {
  const { encryptionContextEquals: equals, encryptionContextSubset: subset } = constraints ?? {};
  const facts = {
    grantId: 'g',
    granteePrincipal: principal.account,
    operations,
    constraints: {
      ...(equals && { EncryptionContextEquals: equals }),
      ...(subset && { EncryptionContextSubset: subset }),
    },
  };
  const action = `kms:${operation}`;
  const request = { action, resource: '*', principal, context: () => undefined, encryptionContext };
  return 'covers' in evaluateGrant(facts, request, action.toLowerCase());
}

test('whatever a delegated grant allows, the grant that it came from allows', () => {
  const context = fc.dictionary(fc.constantFrom('a', 'A', 'b', 'c'), fc.constantFrom('1', '2'), { maxKeys: 3 });
  const pairs = context.filter((found) => Object.keys(found).length > 0);
  const given: fc.Arbitrary<Given> = fc
    .tuple(
      fc.subarray([...OPERATIONS], { minLength: 1 }),
      fc.oneof(
        fc.constant({}),
        pairs.map((encryptionContextEquals) => ({ constraints: { encryptionContextEquals } })),
        pairs.map((encryptionContextSubset) => ({ constraints: { encryptionContextSubset } })),
      ),
    )
    .map(([operations, constraints]) => ({ operations, ...constraints }));
  fc.assert(
    fc.property(given, given, fc.constantFrom(...OPERATIONS), context, (held, child, operation, encryptionContext) => {
      fc.pre(canDelegate(held, child));
      if (allows(child, operation, encryptionContext)) expect(allows(held, operation, encryptionContext)).toBe(true);
    }),
    { numRuns: 1000 },
  );
});
