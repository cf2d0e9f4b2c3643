import { userRef } from '#domain/principal/principal-id';
import { ACCOUNT, allowing, MemoryOperations } from '../../../../test/support/memory-operations';

const arnOf = (name: string) => `arn:aws:iam::${ACCOUNT}:user/${name}`;
const idOf = (name: string) => `AIDA${name.toUpperCase()}`;

let kms: MemoryOperations;
let KeyId: string;

const as = (name: string) => ({ principalId: idOf(name) });

beforeEach(async () => {
  kms = new MemoryOperations();
  ({ KeyId } = await kms.newKey());
  for (const name of ['ann', 'bob', 'cy']) {
    const ref = userRef(ACCOUNT, name);
    await kms.runCommand(ref, { type: 'CreateUser', name, path: '/', uniqueId: idOf(name), tags: [] });
  }
});

interface Created {
  GrantId: string;
  GrantToken: string;
}

const ask = (more: object) => ({ KeyId, GranteePrincipal: arnOf('ann'), Operations: ['Decrypt'], ...more });

async function grant(more: object = {}): Promise<Created> {
  const reply = await kms.call('CreateGrant', ask(more));
  expect(reply.code).toBe('OK');
  return reply.body as unknown as Created;
}

const allow = (name: string, text: string) =>
  kms.runCommand(userRef(ACCOUNT, name), { type: 'PutPolicy', policyName: 'own', policy: text });

const codeOf = async (operation: string, input: object, name: string): Promise<string> =>
  (await kms.call(operation, input, as(name))).code;

const encrypted = async (EncryptionContext?: object): Promise<unknown> =>
  (await kms.call('Encrypt', { KeyId, Plaintext: 'AAAA', EncryptionContext })).body['CiphertextBlob'];

describe('a grant', () => {
  test('allows its grantee its operations, within its constraints, until it is revoked', async () => {
    const { GrantId } = await grant({
      Operations: ['Decrypt', 'DescribeKey'],
      Constraints: { EncryptionContextSubset: { Team: 'A' } },
    });
    const EncryptionContext = { team: 'A', more: '1' };
    const inside = { CiphertextBlob: await encrypted(EncryptionContext), EncryptionContext };
    const outside = { CiphertextBlob: await encrypted() };
    expect(await codeOf('Decrypt', inside, 'ann')).toBe('OK');
    expect(await codeOf('DescribeKey', { KeyId }, 'ann')).toBe('OK');
    expect(await codeOf('Decrypt', outside, 'ann')).toBe('AccessDeniedException');
    expect(await codeOf('Encrypt', { KeyId, Plaintext: 'AAAA' }, 'ann')).toBe('AccessDeniedException');
    expect(await codeOf('Decrypt', inside, 'bob')).toBe('AccessDeniedException');
    await kms.call('DisableKey', { KeyId });
    expect(await codeOf('Decrypt', inside, 'ann')).toBe('DisabledException');
    await kms.call('EnableKey', { KeyId });
    expect(await codeOf('Decrypt', inside, 'ann')).toBe('OK');
    await kms.call('RevokeGrant', { KeyId, GrantId });
    expect(await codeOf('Decrypt', inside, 'ann')).toBe('AccessDeniedException');
  });

  test('gives nothing to a new user of an old name', async () => {
    await grant();
    const CiphertextBlob = await encrypted();
    expect(await codeOf('Decrypt', { CiphertextBlob }, 'ann')).toBe('OK');
    const ref = userRef(ACCOUNT, 'ann');
    await kms.runCommand(ref, { type: 'DeleteUser' });
    await kms.runCommand(ref, { type: 'CreateUser', name: 'ann', path: '/', uniqueId: 'AIDANEW', tags: [] });
    const reply = await kms.call('Decrypt', { CiphertextBlob }, { principalId: 'AIDANEW' });
    expect(reply.code).toBe('AccessDeniedException');
  });

  test('is not made by the token: who has it is allowed nothing by it', async () => {
    const { GrantToken } = await grant();
    const input = { CiphertextBlob: await encrypted(), GrantTokens: [GrantToken] };
    expect(await codeOf('Decrypt', input, 'ann')).toBe('OK');
    expect(await codeOf('Decrypt', input, 'bob')).toBe('AccessDeniedException');
  });
});

describe('who may create, list and revoke grants', () => {
  test.each([
    ['CreateGrant', () => ask({})],
    ['ListGrants', () => ({ KeyId })],
    ['RevokeGrant', (GrantId: string) => ({ KeyId, GrantId })],
    ['ListRetirableGrants', () => ({ RetiringPrincipal: arnOf('ann') })],
  ])('%s needs its permission', async (operation, input) => {
    const { GrantId } = await grant();
    const refused = await kms.call(operation, input(GrantId), as('bob'));
    expect(refused).toMatchObject({
      code: 'AccessDeniedException',
      message: expect.stringContaining(`is not authorized to perform: kms:${operation}`) as string,
    });
    await allow('bob', allowing(`kms:${operation}`));
    expect(await codeOf(operation, input(GrantId), 'bob')).toBe('OK');
  });

  test.each<[string, object, object, object]>([
    [
      'kms:GrantOperations',
      { 'ForAllValues:StringEquals': { 'kms:GrantOperations': ['Encrypt', 'Decrypt'] } },
      { Operations: ['Decrypt', 'Encrypt'] },
      { Operations: ['Decrypt', 'DescribeKey'] },
    ],
    [
      'kms:GrantConstraintType',
      { StringEquals: { 'kms:GrantConstraintType': 'EncryptionContextSubset' } },
      { Constraints: { EncryptionContextSubset: { a: 'b' } } },
      { Constraints: { EncryptionContextEquals: { a: 'b' } } },
    ],
    [
      'kms:GranteePrincipal',
      { StringEquals: { 'kms:GranteePrincipal': arnOf('ann') } },
      {},
      { GranteePrincipal: arnOf('bob') },
    ],
    [
      'kms:RetiringPrincipal',
      { StringEquals: { 'kms:RetiringPrincipal': `arn:aws:iam::${ACCOUNT}:root` } },
      { RetiringPrincipal: ACCOUNT },
      {},
    ],
  ])('CreateGrant can be confined by %s', async (_key, Condition, within, beyond) => {
    const Statement = { Effect: 'Allow', Action: 'kms:CreateGrant', Resource: '*', Condition };
    await allow('bob', JSON.stringify({ Version: '2012-10-17', Statement }));
    expect(await codeOf('CreateGrant', ask(within), 'bob')).toBe('OK');
    expect(await codeOf('CreateGrant', ask(beyond), 'bob')).toBe('AccessDeniedException');
  });

  test('CreateGrant is never for an AWS resource', async () => {
    for (const [value, code] of [
      ['true', 'AccessDeniedException'],
      ['false', 'OK'],
    ] as const) {
      const Condition = { Bool: { 'kms:GrantIsForAWSResource': value } };
      const Statement = { Effect: 'Allow', Action: 'kms:CreateGrant', Resource: '*', Condition };
      await allow('bob', JSON.stringify({ Version: '2012-10-17', Statement }));
      expect(await codeOf('CreateGrant', ask({}), 'bob')).toBe(code);
    }
  });
});

describe('who may create grants by a grant alone', () => {
  const CONSTRAINTS = { EncryptionContextSubset: { team: 'A' } };

  beforeEach(() =>
    grant({
      GranteePrincipal: arnOf('bob'),
      Operations: ['CreateGrant', 'Decrypt', 'Encrypt'],
      Constraints: CONSTRAINTS,
    }),
  );

  test.each<[string, object, string]>([
    ['one of its operations, as constrained', { Constraints: CONSTRAINTS }, 'OK'],
    ['stricter ones', { Constraints: { EncryptionContextEquals: { team: 'A', more: '1' } } }, 'OK'],
    ['to delegate further', { Operations: ['CreateGrant', 'Decrypt'], Constraints: CONSTRAINTS }, 'OK'],
    ['an operation that it lacks', { Operations: ['DescribeKey'], Constraints: CONSTRAINTS }, 'AccessDeniedException'],
    ['no constraint', {}, 'AccessDeniedException'],
    ['another constraint', { Constraints: { EncryptionContextSubset: { team: 'B' } } }, 'AccessDeniedException'],
  ])('asks for %s, %j: %s', async (_what, more, code) => {
    expect(await codeOf('CreateGrant', ask(more), 'bob')).toBe(code);
  });

  test('may do what another of its grants, or a policy, allows', async () => {
    await grant({ GranteePrincipal: arnOf('bob'), Operations: ['CreateGrant', 'DescribeKey'] });
    expect(await codeOf('CreateGrant', ask({ Operations: ['DescribeKey'] }), 'bob')).toBe('OK');
    expect(await codeOf('CreateGrant', ask({ Operations: ['DescribeKey', 'Decrypt'] }), 'bob')).toBe(
      'AccessDeniedException',
    );
    await allow('bob', allowing('kms:CreateGrant'));
    expect(await codeOf('CreateGrant', ask({ Operations: ['DescribeKey', 'Decrypt'] }), 'bob')).toBe('OK');
  });
});

describe('who may retire a grant', () => {
  const retire = async (name: string, more: object = {}, principal = as(name)): Promise<string> => {
    const { GrantToken } = await grant(more);
    return (await kms.call('RetireGrant', { GrantToken }, principal)).code;
  };

  test('the retiring principal, and its grantee where it has RetireGrant', async () => {
    expect(await retire('bob', { RetiringPrincipal: arnOf('bob') })).toBe('OK');
    expect(await retire('cy', { RetiringPrincipal: arnOf('bob') })).toBe('AccessDeniedException');
    expect(await retire('ann', { RetiringPrincipal: arnOf('bob') })).toBe('AccessDeniedException');
    const constrained = { Constraints: { EncryptionContextSubset: { a: 'b' } } };
    expect(await retire('ann', { Operations: ['Decrypt', 'RetireGrant'], ...constrained })).toBe('OK');
    expect(await retire('bob', { Operations: ['Decrypt', 'RetireGrant'] })).toBe('AccessDeniedException');
  });

  test('the account, and whom its policies allow', async () => {
    expect(await retire('root', {}, { principalId: 'root' })).toBe('OK');
    await allow('cy', allowing('kms:RetireGrant'));
    expect(await retire('cy')).toBe('OK');
  });

  test('nobody whom a policy of its own denies', async () => {
    const Statement = { Effect: 'Deny', Action: 'kms:RetireGrant', Resource: '*' };
    await allow('bob', JSON.stringify({ Version: '2012-10-17', Statement }));
    expect(await retire('bob', { RetiringPrincipal: arnOf('bob') })).toBe('AccessDeniedException');
  });

  test('no new user of the retiring name', async () => {
    const { GrantToken } = await grant({ RetiringPrincipal: arnOf('bob') });
    const ref = userRef(ACCOUNT, 'bob');
    await kms.runCommand(ref, { type: 'DeleteUser' });
    await kms.runCommand(ref, { type: 'CreateUser', name: 'bob', path: '/', uniqueId: 'AIDANEW', tags: [] });
    const reply = await kms.call('RetireGrant', { GrantToken }, { principalId: 'AIDANEW' });
    expect(reply.code).toBe('AccessDeniedException');
  });
});
