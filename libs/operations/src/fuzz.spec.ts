import fc from 'fast-check';
import { ERRORS, type ErrorCode } from '#domain/errors';
import { endOffLoop } from '#hsm/off-loop';
import { bodyOf, FUZZ_SEED, namesField } from '../../../test/support/fuzzed-requests';
import { MemoryOperations } from '../../../test/support/memory-operations';
import { OPERATION_TABLE } from './table';

const BODIES = 10_000;

afterAll(endOffLoop);

test(`${BODIES} requests of any form are answered, or refused for something that the refusal names`, async () => {
  const kms = new MemoryOperations();
  const { KeyId, Arn } = await kms.newKey();
  const { body } = await kms.call('Encrypt', { KeyId, Plaintext: 'AAAA' });
  const known = [KeyId, Arn, 'alias/a', String(body['CiphertextBlob'])];
  const operations = [...OPERATION_TABLE.values()].filter(({ name }) => name !== 'LookupEvents');
  const asked = fc
    .constantFrom(...operations)
    .chain((operation) => bodyOf(operation, known).map((bytes) => ({ operation, bytes })));
  const codes = new Set<string>();
  const unnamed = new Set<string>();
  await fc.assert(
    fc.asyncProperty(asked, async ({ operation, bytes }) => {
      // An internal error is thrown here, by the observer of the call.
      const { code, message } = await kms.call(operation.name, bytes);
      codes.add(code);
      if (code === 'OK') return;
      expect(ERRORS[code as ErrorCode].status).toBeLessThan(500);
      if (!namesField(operation, code, message)) unnamed.add(`${operation.name}: ${code}: ${message}`);
    }),
    { numRuns: BODIES, seed: FUZZ_SEED },
  );
  expect([...unnamed]).toEqual([]);
  // They get everywhere.
  for (const code of ['OK', 'SerializationException', 'ValidationException', 'NotFoundException']) {
    expect(codes).toContain(code);
  }
  expect((await kms.newKey()).KeyId).toMatch(/^[0-9a-f-]{36}$/);
});
