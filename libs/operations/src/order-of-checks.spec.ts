import { type KeyOperation, STATE_TABLE } from '#domain/key/state-table';
import { userRef } from '#domain/principal/principal-id';
import { endOffLoop } from '#hsm/off-loop';
import { KMS_MODEL } from '../../../test/conformance/kms-model';
import { everyOperation, type Held, type Step } from '../../../test/support/every-operation';
import { ACCOUNT, allowing, MemoryOperations } from '../../../test/support/memory-operations';
import { OPERATION_TABLE } from './table';
import type { Constraint } from './wire/constraints';
import { membersOf } from './wire/fields';

const NOBODY_KNOWN = { principalId: 'AIDANOBODYNOBODYNOBO' };
/** May do everything. */
const BOB = { principalId: 'AIDABOBBOBBOBBOBBOB1' };
/** May do nothing. */
const ANN = { principalId: 'AIDAANNANNANNANNANN1' };
const MISSING_KEY = '00000000-0000-0000-0000-000000000000';

/** Of the model's shape KeyIdType: the members that name a key. */
const keyMembers = (operation: string): string[] =>
  Object.entries(KMS_MODEL.operations[operation]?.input.members ?? {}).flatMap(([name, shape]) =>
    shape === 'KeyIdType' ? [name] : [],
  );

/** What breaks the bounds of the member, whose type it has. */
function outOfBounds(constraint: Constraint): unknown {
  switch (constraint.kind) {
    case 'enum':
      return '';
    case 'string':
      if (constraint.min) return '';
      return constraint.max === undefined ? undefined : 'a'.repeat(constraint.max + 1);
    case 'integer':
      return constraint.max === undefined ? undefined : constraint.max + 1;
    case 'blob':
      return '';
    case 'enums':
    case 'strings':
      return [''];
    case 'structures':
      return [null];
    case 'stringLists':
      return { a: ['b'.repeat(10_000)] };
    case 'stringMap':
      return { a: 'b'.repeat(10_000) };
    default:
      return undefined;
  }
}

/** Requests that are right but for one member, which is not one that names a key. */
function outOfBoundsRequests(operation: string, input: object): object[] {
  const keys = keyMembers(operation);
  return [...membersOf(OPERATION_TABLE.get(operation)!.request)].flatMap(([name, { constraint }]) => {
    const value = keys.includes(name) ? undefined : outOfBounds(constraint);
    return value === undefined ? [] : [{ ...input, [name]: value }];
  });
}

/** Every member breaks its bounds, and the last is not even of its type. */
function mistypedRequest(operation: string): object | undefined {
  const members = [...membersOf(OPERATION_TABLE.get(operation)!.request)];
  const last = members.at(-1);
  if (!last) return undefined;
  const [name, { constraint }] = last;
  const isScalar = ['string', 'enum', 'integer', 'boolean', 'timestamp', 'blob'].includes(constraint.kind);
  const broken = members.map(([member, rule]) => [member, outOfBounds(rule.constraint)]);
  return { ...Object.fromEntries(broken), [name]: isScalar ? { a: 1 } : 'text' };
}

/** What has a permission of its own besides that for the key, asked for first: the alias, or the list. */
const OWN_PERMISSION_FIRST = ['CreateAlias', 'UpdateAlias', 'ListAliases'];
const REFUSED_IN_STATE = {
  disabled: 'DisabledException',
  invalid: 'KMSInvalidStateException',
  unsupported: 'UnsupportedOperationException',
} as const;

const kms = new MemoryOperations();
const held: Held = {};
const steps = everyOperation(ACCOUNT, 'order', Buffer.alloc(16, 's'));

const codeOf = async (who: { principalId: string }, operation: string, input: object | Buffer): Promise<string> =>
  (await kms.call(operation, input, who)).code;

beforeAll(async () => {
  for (const [name, { principalId }] of Object.entries({ ann: ANN, bob: BOB })) {
    const ref = userRef(ACCOUNT, name);
    await kms.runCommand(ref, { type: 'CreateUser', name, path: '/', uniqueId: principalId, tags: [] });
  }
  await kms.runCommand(userRef(ACCOUNT, 'bob'), { type: 'PutPolicy', policyName: 'all', policy: allowing('*') });
});

afterAll(endOffLoop);

test('every operation is among those that are tried', () => {
  expect([...new Set(steps.map(({ operation }) => operation))].sort()).toEqual([...OPERATION_TABLE.keys()].sort());
});

/** In the order of the steps: what one makes, the next needs. */
describe.each(steps.map((step): [string, Step] => [step.operation, step]))('%s', (operation, step) => {
  const keys = keyMembers(operation);
  let input: Record<string, unknown>;
  let withoutKey: Record<string, unknown>;
  const namesKey = (): boolean => keys.some((name) => input[name] !== undefined);

  beforeAll(() => {
    input = step.input(held);
    withoutKey = { ...input, ...Object.fromEntries(keys.map((name) => [name, MISSING_KEY])) };
  });

  test('asks who calls before it reads the request', async () => {
    expect(await codeOf(NOBODY_KNOWN, operation, Buffer.from('{'))).toBe('UnrecognizedClientException');
  });

  test('reads the request before it holds it against its bounds', async () => {
    expect(await codeOf(ANN, operation, Buffer.from('{'))).toBe('SerializationException');
    const mistyped = mistypedRequest(operation);
    if (mistyped) expect(await codeOf(ANN, operation, mistyped)).toBe('SerializationException');
  });

  test('holds the request against its bounds before it looks for the key', async () => {
    for (const request of outOfBoundsRequests(operation, withoutKey)) {
      expect([request, await codeOf(ANN, operation, request)]).toEqual([request, 'ValidationException']);
    }
  });

  test('looks for the key before it asks whether the caller may', async () => {
    if (!namesKey()) return;
    expect(await codeOf(BOB, operation, withoutKey)).toBe('NotFoundException');
    const expected = OWN_PERMISSION_FIRST.includes(operation) ? 'AccessDeniedException' : 'NotFoundException';
    expect(await codeOf(ANN, operation, withoutKey)).toBe(expected);
  });

  test('asks whether the caller may before it looks at the state of the key, and at that before it ends a dry run', async () => {
    if (!step.openToAll && !step.refused) expect(await codeOf(ANN, operation, input)).toBe('AccessDeniedException');
    const takesDryRun = membersOf(OPERATION_TABLE.get(operation)!.request).has('DryRun');
    const dry = takesDryRun ? { ...input, DryRun: true } : input;
    const states = namesKey() && operation in STATE_TABLE ? STATE_TABLE[operation as KeyOperation] : undefined;
    const inState = states?.Disabled ?? 'ok';
    // What can be done to an enabled key, and so to this one now.
    if (states?.Enabled === 'ok' && inState !== 'ok') {
      const KeyId = input['KeyId'] ?? held['KeyId'];
      expect(await codeOf(BOB, 'DisableKey', { KeyId })).toBe('OK');
      expect(await codeOf(ANN, operation, dry)).toBe('AccessDeniedException');
      expect(await codeOf(BOB, operation, dry)).toBe(REFUSED_IN_STATE[inState]);
      expect(await codeOf(BOB, 'EnableKey', { KeyId })).toBe('OK');
    }
    if (takesDryRun) expect(await codeOf(BOB, operation, dry)).toBe('DryRunOperationException');
  });

  test('is then done', async () => {
    // There is no event history in memory.
    if (operation === 'LookupEvents') return;
    const { code, body } = await kms.call(operation, input, BOB);
    expect(code).toBe('OK');
    step.keep?.(body, held);
  });
});
