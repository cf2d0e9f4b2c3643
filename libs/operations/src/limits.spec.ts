import { KmsError } from '#domain/errors';
import { ConflictError } from '#event-store/event-store';
import { Projection } from '#views/projection';
import { ACCOUNT, MemoryOperations } from '../../../test/support/memory-operations';
import { type Limit, Limits } from './limits';

/** A limit of 1, of which `there` are there. */
const one = (there: Set<string> = new Set()): Limit => ({
  of: 'something',
  max: 1,
  count: () => there.size,
  has: (id) => there.has(id),
  refusal: () => new KmsError('LimitExceededException', 'full'),
});

/** Something being made, until `done` or `failed` is called. */
function making() {
  let done = (): void => {};
  let failed = (_error: Error): void => {};
  const made = new Promise<void>((resolve, reject) => {
    done = resolve;
    failed = reject;
  });
  return { make: () => made, done, failed };
}

const CALL = { tenure: undefined };

describe('what is being made', () => {
  test('takes room until it is there, and from then on as what is there', async () => {
    const there = new Set<string>();
    const limits = new Limits();
    const a = making();
    const first = limits.within(one(there), 'a', CALL, a.make);
    const second = limits.within(one(there), 'b', CALL, async () => {});
    there.add('a');
    a.done();
    await first;
    await expect(second).rejects.toThrow(ConflictError);
    await expect(limits.within(one(there), 'b', CALL, async () => {})).rejects.toThrow('full');
  });

  test('gives its room back if it comes to nothing', async () => {
    const limits = new Limits();
    const a = making();
    const first = limits.within(one(), 'a', CALL, a.make);
    const second = limits.within(one(), 'b', CALL, async () => {});
    a.failed(new Error('nothing'));
    await expect(first).rejects.toThrow('nothing');
    await expect(second).rejects.toThrow(ConflictError);
    expect(await limits.within(one(), 'b', CALL, async () => 'made')).toBe('made');
  });

  test('is not waited for by the tenure of whoever waits for it', async () => {
    const limits = new Limits();
    const a = making();
    const first = limits.within(one(), 'a', CALL, a.make);
    let ended = false;
    const tenure = {
      assertNotOver() {},
      end() {
        ended = true;
        a.done();
      },
    };
    await expect(limits.within(one(), 'b', { tenure }, async () => {})).rejects.toThrow(ConflictError);
    expect(ended).toBe(true);
    await first;
  });

  test('is one thing, however many make it at once', async () => {
    const there = new Set<string>();
    const limits = new Limits();
    const [a, same] = [making(), making()];
    const both = [limits.within(one(there), 'a', CALL, a.make), limits.within(one(there), 'a', CALL, same.make)];
    a.done();
    await both[0];
    const other = limits.within(one(there), 'b', CALL, async () => {});
    same.done();
    await both[1];
    await expect(other).rejects.toThrow(ConflictError);
  });

  test('counts once when it is there and its call has not ended', async () => {
    const there = new Set<string>();
    const limits = new Limits();
    const a = making();
    const two = { ...one(there), max: 2 };
    const first = limits.within(two, 'a', CALL, a.make);
    there.add('a');
    expect(await limits.within(two, 'b', CALL, async () => 'made')).toBe('made');
    a.done();
    await first;
  });
});

describe('calls at once', () => {
  let kms: MemoryOperations;
  beforeEach(() => {
    kms = new MemoryOperations();
  });

  const outcomes = async (calls: Promise<{ code: string }>[]): Promise<Record<string, number>> => {
    const counts: Record<string, number> = {};
    for (const { code } of await Promise.all(calls)) counts[code] = (counts[code] ?? 0) + 1;
    return counts;
  };

  /** The view has so many more than there are: as many take too long to make. */
  const counting = (method: 'keyCount' | 'grantCount' | 'principalCount', more: number) => {
    const real = Projection.prototype[method] as (...args: unknown[]) => number;
    return jest.spyOn(Projection.prototype, method).mockImplementation(function (this: Projection, ...args: unknown[]) {
      return more + real.apply(this, args);
    });
  };

  afterEach(() => jest.restoreAllMocks());

  test('make 50 aliases of a key, and of the same name one', async () => {
    const { KeyId } = await kms.newKey();
    const names = [...Array.from({ length: 70 }, (_, i) => `alias/a${i}`), 'alias/a0', 'alias/a0'];
    const calls = names.map((AliasName) => kms.call('CreateAlias', { AliasName, TargetKeyId: KeyId }));
    expect(await outcomes(calls)).toEqual({ OK: 50, LimitExceededException: 20, AlreadyExistsException: 2 });
    expect((await kms.call('ListAliases', { KeyId, Limit: 100 })).body['Aliases']).toHaveLength(50);
  });

  test('move no more aliases to a key than there is room for', async () => {
    const [from, to] = [await kms.newKey(), await kms.newKey()];
    const names = Array.from({ length: 50 }, (_, i) => `alias/a${i}`);
    for (const AliasName of names) await kms.call('CreateAlias', { AliasName, TargetKeyId: from.KeyId });
    for (let i = 0; i < 40; i++) await kms.call('CreateAlias', { AliasName: `alias/b${i}`, TargetKeyId: to.KeyId });
    const calls = names.map((AliasName) => kms.call('UpdateAlias', { AliasName, TargetKeyId: to.KeyId }));
    expect(await outcomes(calls)).toEqual({ OK: 10, LimitExceededException: 40 });
  });

  test('make 50,000 grants of a key', async () => {
    const { KeyId } = await kms.newKey();
    counting('grantCount', 49_990);
    const request = { KeyId, GranteePrincipal: `arn:aws:iam::${ACCOUNT}:root`, Operations: ['Decrypt'] };
    const calls = Array.from({ length: 30 }, () => kms.call('CreateGrant', request));
    expect(await outcomes(calls)).toEqual({ OK: 10, LimitExceededException: 20 });
  });

  test.each([
    ['users', 'CreateUser', 'UserName', 5_000],
    ['roles', 'CreateRole', 'RoleName', 1_000],
  ])('make as many %s of an account as there may be', async (_what, operation, named, max) => {
    counting('principalCount', max - 10);
    const statement = { Effect: 'Allow', Principal: { AWS: ACCOUNT }, Action: 'sts:AssumeRole' };
    const trust = JSON.stringify({ Version: '2012-10-17', Statement: statement });
    const calls = Array.from({ length: 30 }, (_, i) =>
      kms.call(operation, {
        [named]: `n${i}`,
        ...(operation === 'CreateRole' && { AssumeRolePolicyDocument: trust }),
      }),
    );
    expect(await outcomes(calls)).toEqual({ OK: 10, LimitExceeded: 20 });
  });

  test('make 100,000 keys of an account and region', async () => {
    counting('keyCount', 99_990);
    const calls = Array.from({ length: 30 }, () => kms.call('CreateKey', {}));
    const elsewhere = kms.call('CreateKey', {}, { region: 'eu-central-1' });
    expect(await outcomes(calls)).toEqual({ OK: 10, LimitExceededException: 20 });
    expect((await elsewhere).code).toBe('OK');
  });
});
