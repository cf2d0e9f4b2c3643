import { userRef } from '#domain/principal/principal-id';
import { Projection } from '#views/projection';
import { ACCOUNT, MemoryOperations } from '../../../../test/support/memory-operations';

const GRANTEE = 'arn:aws:iam::999999999999:role/Orders';
const OPERATIONS = ['Decrypt', 'DescribeKey'];

let kms: MemoryOperations;
let KeyId: string;
let Arn: string;

beforeEach(async () => {
  kms = new MemoryOperations();
  ({ KeyId, Arn } = await kms.newKey());
});

interface Created {
  GrantId: string;
  GrantToken: string;
}

async function grant(more: object = {}): Promise<Created> {
  const reply = await kms.call('CreateGrant', { KeyId, GranteePrincipal: GRANTEE, Operations: OPERATIONS, ...more });
  expect(reply.code).toBe('OK');
  return reply.body as unknown as Created;
}

const list = async (more: object = {}) => {
  const { body } = await kms.call('ListGrants', { KeyId, ...more });
  return body as { Grants: Record<string, unknown>[]; Truncated: boolean; NextMarker?: string };
};
const idsOf = (grants: Record<string, unknown>[]) => grants.map(({ GrantId }) => GrantId);

describe('CreateGrant', () => {
  test('makes a grant that ListGrants shows as AWS does', async () => {
    const { GrantId } = await grant({
      Name: 'nightly',
      RetiringPrincipal: '000000000000',
      Constraints: { EncryptionContextSubset: { Department: 'IT' } },
    });
    expect(GrantId).toMatch(/^[0-9a-f]{64}$/);
    expect(await list()).toEqual({
      Truncated: false,
      Grants: [
        {
          KeyId: Arn,
          GrantId,
          Name: 'nightly',
          CreationDate: Date.parse('2026-01-01T00:00:00.000Z') / 1000,
          GranteePrincipal: GRANTEE,
          RetiringPrincipal: 'arn:aws:iam::000000000000:root',
          IssuingAccount: 'arn:aws:iam::000000000000:root',
          Operations: OPERATIONS,
          Constraints: { EncryptionContextSubset: { Department: 'IT' } },
        },
      ],
    });
  });

  test('makes a new one each time without a name, and the same one with the same name and parameters', async () => {
    expect((await grant()).GrantId).not.toBe((await grant()).GrantId);
    const first = await grant({ Name: 'nightly' });
    const again = await grant({ Name: 'nightly', Operations: [...OPERATIONS].reverse() });
    expect(again.GrantId).toBe(first.GrantId);
    expect((await grant({ Name: 'nightly', Operations: ['Decrypt'] })).GrantId).not.toBe(first.GrantId);
    expect((await list()).Grants).toHaveLength(4);
  });

  test('answers each time with a token of its own, and all of them mean the grant', async () => {
    const first = await grant({ Name: 'nightly' });
    const second = await grant({ Name: 'nightly' });
    expect(second.GrantToken).not.toBe(first.GrantToken);
    for (const { GrantToken } of [first, second]) {
      expect(await kms.call('DescribeKey', { KeyId, GrantTokens: [GrantToken] })).toMatchObject({ code: 'OK' });
    }
  });

  test('makes the grant though nobody can sign its token, which the same request gets later', async () => {
    const { signGrantToken } = kms;
    kms.signGrantToken = async () => undefined;
    const unsigned = await grant({ Name: 'nightly' });
    expect(unsigned).toEqual({ GrantId: expect.stringMatching(/^[0-9a-f]{64}$/) });
    kms.signGrantToken = signGrantToken;
    expect(await grant({ Name: 'nightly' })).toEqual({ ...unsigned, GrantToken: expect.any(String) });
    expect((await list()).Grants).toHaveLength(1);
  });

  test('makes the next one where the one of that name has been revoked', async () => {
    const ids = new Set<string>();
    for (let round = 0; round < 3; round++) {
      const { GrantId } = await grant({ Name: 'nightly' });
      ids.add(GrantId);
      expect((await kms.call('RevokeGrant', { KeyId, GrantId })).code).toBe('OK');
    }
    expect(ids.size).toBe(3);
    expect((await list()).Grants).toEqual([]);
  });

  test.each<[string, object, string, string]>([
    [
      'an operation that no grant can have',
      { Operations: ['Decrypt', 'ScheduleKeyDeletion'] },
      'ValidationException',
      "Value '[Decrypt, ScheduleKeyDeletion]' at 'operations' failed to satisfy constraint: Member must satisfy constraint: [Member must satisfy enum value set: [Decrypt, Encrypt,",
    ],
    ['no operation', { Operations: [] }, 'ValidationException', "at 'operations' failed"],
    ['CreateGrant alone', { Operations: ['CreateGrant'] }, 'ValidationException', 'only the CreateGrant operation'],
    ['an operation of other keys', { Operations: ['Sign'] }, 'ValidationException', 'does not support Sign'],
    ['a name with a blank', { Name: 'a b' }, 'ValidationException', "Value 'a b' at 'name' failed"],
    [
      'an ARN that is none of a principal',
      { GranteePrincipal: 'arn:aws:s3:::bucket' },
      'InvalidArnException',
      'ARN does not refer to a valid principal: arn:aws:s3:::bucket',
    ],
    [
      'a user of this account who does not exist',
      { GranteePrincipal: 'arn:aws:iam::000000000000:user/ann' },
      'InvalidArnException',
      'ARN does not refer to a valid principal: arn:aws:iam::000000000000:user/ann',
    ],
    [
      'an ARN of very many path separators, as soon as any other',
      { GranteePrincipal: `arn:aws:iam::000000000000:user${'/'.repeat(200)}:` },
      'InvalidArnException',
      'ARN does not refer to a valid principal: arn:aws:iam::000000000000:user///',
    ],
    [
      'a retiring session of a role that does not exist',
      { RetiringPrincipal: 'arn:aws:sts::000000000000:assumed-role/Orders/s' },
      'InvalidArnException',
      'ARN does not refer to a valid principal: arn:aws:sts::000000000000:assumed-role/Orders/s',
    ],
    [
      'two constraints',
      { Constraints: { EncryptionContextSubset: { a: 'b' }, EncryptionContextEquals: { a: 'b' } } },
      'ValidationException',
      'More than one constraint supplied',
    ],
    [
      'a constraint that it would have to leave out',
      { Constraints: { SourceArn: 'arn:aws:s3:::bucket' } },
      'UnsupportedOperationException',
      'The grant constraint SourceArn is not supported',
    ],
    ['an alias', { KeyId: 'alias/orders' }, 'InvalidArnException', 'Key Aliases are not supported'],
    ['a token that is not ours', { GrantTokens: ['AQIDBA=='] }, 'InvalidGrantTokenException', 'Invalid grant token.'],
  ])('refuses %s, and makes nothing', async (_what, more, code, message) => {
    const request = { KeyId, GranteePrincipal: GRANTEE, Operations: OPERATIONS, ...more };
    for (const DryRun of [true, false]) {
      const refused = await kms.call('CreateGrant', { ...request, DryRun });
      expect(refused).toMatchObject({ code, message: expect.stringContaining(message) as string });
    }
    expect((await list()).Grants).toEqual([]);
  });

  test.each([
    ['a number of an account', '999999999999', 'arn:aws:iam::999999999999:root'],
    ['a service', 'logs.us-east-1.amazonaws.com', 'logs.us-east-1.amazonaws.com'],
    ['a session elsewhere', 'arn:aws:sts::999999999999:assumed-role/A/s', 'arn:aws:sts::999999999999:assumed-role/A/s'],
  ])('takes %s as grantee', async (_what, GranteePrincipal, shown) => {
    await grant({ GranteePrincipal });
    expect((await list({ GranteePrincipal })).Grants).toMatchObject([{ GranteePrincipal: shown }]);
  });

  test('makes no more than 50,000 grants of a key, but answers with one that is there', async () => {
    const named = await grant({ Name: 'first' });
    // As many take too long to make.
    const count = jest.spyOn(Projection.prototype, 'grantCount').mockReturnValue(50_000);
    try {
      const request = { KeyId, GranteePrincipal: GRANTEE, Operations: OPERATIONS };
      for (const DryRun of [true, false]) {
        expect(await kms.call('CreateGrant', { ...request, DryRun })).toMatchObject({
          code: 'LimitExceededException',
          message: `${Arn} can have at most 50000 grants`,
        });
      }
      expect((await grant({ Name: 'first' })).GrantId).toBe(named.GrantId);
      count.mockReturnValue(49_999);
      await grant();
    } finally {
      count.mockRestore();
    }
  });

  test('makes nothing in a dry run', async () => {
    const request = { KeyId, GranteePrincipal: GRANTEE, Operations: OPERATIONS, DryRun: true };
    expect((await kms.call('CreateGrant', request)).code).toBe('DryRunOperationException');
    expect((await list()).Grants).toEqual([]);
  });
});

describe('a grant of a user', () => {
  const ann = 'arn:aws:iam::000000000000:user/staff/Ann';
  const create = (uniqueId: string) =>
    kms.runCommand(userRef(ACCOUNT, 'Ann'), { type: 'CreateUser', name: 'Ann', path: '/staff/', uniqueId, tags: [] });
  const remove = () => kms.runCommand(userRef(ACCOUNT, 'Ann'), { type: 'DeleteUser' });

  test('is for the one who had the name then: it is shown with the unique id once she is gone', async () => {
    await create('AIDAANNANNANNANNANN1');
    await grant({ GranteePrincipal: ann, RetiringPrincipal: ann, Name: 'nightly' });
    expect((await list()).Grants).toMatchObject([{ GranteePrincipal: ann, RetiringPrincipal: ann }]);
    await remove();
    await create('AIDAANNANNANNANNANN2');
    const gone = { GranteePrincipal: 'AIDAANNANNANNANNANN1', RetiringPrincipal: 'AIDAANNANNANNANNANN1' };
    expect((await list()).Grants).toMatchObject([gone]);
    expect((await list({ GranteePrincipal: ann })).Grants).toEqual([]);
    expect((await list({ GranteePrincipal: 'AIDAANNANNANNANNANN1' })).Grants).toMatchObject([gone]);
    await grant({ GranteePrincipal: ann, RetiringPrincipal: ann, Name: 'nightly' });
    expect((await list()).Grants).toHaveLength(2);
    const { body } = await kms.call('ListRetirableGrants', { RetiringPrincipal: ann });
    expect(body['Grants']).toMatchObject([{ GranteePrincipal: ann }]);
  });

  test('needs the path that she has', async () => {
    await create('AIDAANNANNANNANNANN1');
    const request = { KeyId, GranteePrincipal: 'arn:aws:iam::000000000000:user/Ann', Operations: OPERATIONS };
    expect((await kms.call('CreateGrant', request)).code).toBe('InvalidArnException');
  });
});

describe('ListGrants', () => {
  test('gives page after page, each grant once, in the order of ids', async () => {
    const made = (await Promise.all(Array.from({ length: 7 }, () => grant()))).map(({ GrantId }) => GrantId);
    const seen: unknown[] = [];
    let Marker: string | undefined;
    do {
      const page = await list({ Limit: 3, ...(Marker !== undefined && { Marker }) });
      expect(page.Truncated).toBe(page.NextMarker !== undefined);
      seen.push(...idsOf(page.Grants));
      Marker = page.NextMarker;
    } while (Marker !== undefined);
    expect(seen).toEqual(made.sort());
  });

  test('gives the grants of one grantee, or the one of an id', async () => {
    const { GrantId } = await grant({ GranteePrincipal: '888888888888' });
    await grant();
    expect(idsOf((await list({ GranteePrincipal: '888888888888' })).Grants)).toEqual([GrantId]);
    expect(idsOf((await list({ GrantId })).Grants)).toEqual([GrantId]);
    expect((await list({ GrantId, GranteePrincipal: GRANTEE })).Grants).toEqual([]);
  });

  test('gives 50 at first, and never more than 100', async () => {
    await Promise.all(Array.from({ length: 101 }, () => grant()));
    expect((await list()).Grants).toHaveLength(50);
    expect((await list({ Limit: 1_000 })).Grants).toHaveLength(100);
  });

  test.each([
    ['a marker that is none', { Marker: 'no-marker' }, 'InvalidMarkerException'],
    ['an id that is none', { GrantId: 'no id' }, 'InvalidGrantIdException'],
    ['a grantee that is none', { GranteePrincipal: 'arn:aws:s3:::bucket' }, 'InvalidArnException'],
  ])('refuses %s', async (_what, more, code) => {
    expect((await kms.call('ListGrants', { KeyId, ...more })).code).toBe(code);
  });
});

describe('ListRetirableGrants', () => {
  test('gives what a principal of the own account may retire, of all keys in the region', async () => {
    const other = await kms.newKey();
    const RetiringPrincipal = '000000000000';
    const made = [await grant({ RetiringPrincipal }), await grant({ RetiringPrincipal, KeyId: other.KeyId })];
    await grant();
    const retirable = async (more: object = {}) =>
      (await kms.call('ListRetirableGrants', { RetiringPrincipal, ...more })).body as { Grants: { GrantId: string }[] };
    expect(idsOf((await retirable()).Grants as never)).toEqual(made.map(({ GrantId }) => GrantId).sort());
    expect((await retirable({ Limit: 1 })).Grants).toHaveLength(1);
    expect(await kms.call('ListRetirableGrants', { RetiringPrincipal: '999999999999' })).toMatchObject({
      code: 'InvalidArnException',
    });
  });
});

describe('a grant ends', () => {
  test('by RevokeGrant, and cannot be revoked twice', async () => {
    const { GrantId } = await grant();
    expect((await kms.call('RevokeGrant', { KeyId, GrantId, DryRun: true })).code).toBe('DryRunOperationException');
    expect((await kms.call('RevokeGrant', { KeyId, GrantId })).code).toBe('OK');
    expect(await kms.call('RevokeGrant', { KeyId, GrantId })).toMatchObject({
      code: 'NotFoundException',
      message: `Grant ID ${GrantId} not found`,
    });
  });

  test('by RetireGrant, with its token or with key and id', async () => {
    const { GrantToken } = await grant();
    const { GrantId } = await grant();
    expect((await kms.call('RetireGrant', { GrantToken, DryRun: true })).code).toBe('DryRunOperationException');
    expect((await kms.call('RetireGrant', { GrantToken })).code).toBe('OK');
    expect((await kms.call('RetireGrant', { KeyId: Arn, GrantId })).code).toBe('OK');
    expect((await list()).Grants).toEqual([]);
    expect((await kms.call('RetireGrant', { GrantToken })).code).toBe('NotFoundException');
  });

  test.each<[string, (created: Created) => object, string]>([
    ['nothing named', () => ({}), 'ValidationException'],
    ['an id without its key', ({ GrantId }) => ({ GrantId }), 'ValidationException'],
    ['a token and an id', ({ GrantId, GrantToken }) => ({ GrantId, GrantToken }), 'ValidationException'],
    ['a token that is not ours', () => ({ GrantToken: 'AQIDBA==' }), 'InvalidGrantTokenException'],
    ['a token that was changed', ({ GrantToken }) => ({ GrantToken: `A${GrantToken}` }), 'InvalidGrantTokenException'],
    ['an id that is none', () => ({ KeyId, GrantId: 'a.b' }), 'InvalidGrantIdException'],
    ['an id of no grant', () => ({ KeyId, GrantId: 'aabbccdd' }), 'NotFoundException'],
  ])('not with %s', async (_what, request, code) => {
    const created = await grant();
    expect((await kms.call('RetireGrant', request(created))).code).toBe(code);
    expect((await list()).Grants).toHaveLength(1);
  });

  test('never by the id of another key', async () => {
    const { GrantId } = await grant();
    const other = await kms.newKey();
    for (const operation of ['RevokeGrant', 'RetireGrant']) {
      expect((await kms.call(operation, { KeyId: other.KeyId, GrantId })).code).toBe('NotFoundException');
    }
  });

  test('with its key, but not while that is disabled or pending deletion', async () => {
    await grant();
    for (const [operation, more] of [
      ['DisableKey', {}],
      ['ScheduleKeyDeletion', { PendingWindowInDays: 7 }],
    ] as const) {
      expect((await kms.call(operation, { KeyId, ...more })).code).toBe('OK');
      expect((await list()).Grants).toHaveLength(1);
    }
    kms.now += 8 * 24 * 3600 * 1000;
    expect((await kms.call('ListGrants', { KeyId })).code).toBe('NotFoundException');
  });
});
