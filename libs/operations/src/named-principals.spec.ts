import { roleRef, userRef } from '#domain/principal/principal-id';
import type { AppendRequest } from '#event-store/event-store';
import { MemoryEventStore } from '#event-store/memory-event-store';
import { ACCOUNT, allowing, MemoryOperations } from '../../../test/support/memory-operations';

const OTHER = '111122223333';
const ROOT = `arn:aws:iam::${ACCOUNT}:root`;
const ANN = `arn:aws:iam::${ACCOUNT}:user/ops/ann`;
const BOB = `arn:aws:iam::${OTHER}:user/bob`;
const JOB = `arn:aws:iam::${ACCOUNT}:role/job`;
const SESSION = `arn:aws:sts::${ACCOUNT}:assumed-role/job/nightly`;
const idOf = (name: string, generation: number): string =>
  `${name === 'job' ? 'AROA' : 'AIDA'}${name.toUpperCase().repeat(5)}${generation}`;

/** A log to which something else is appended between the checks of a command and its own append. */
class OvertakenStore extends MemoryEventStore {
  overtake: (() => Promise<void>) | undefined;

  override async append(request: AppendRequest): Promise<number> {
    const { overtake } = this;
    this.overtake = undefined;
    await overtake?.();
    return super.append(request);
  }
}

let store: OvertakenStore;
let operations: MemoryOperations;
let KeyId: string;
const generations = { ann: 0, bob: 0, job: 0 };

beforeEach(async () => {
  store = new OvertakenStore();
  operations = new MemoryOperations(store);
  Object.assign(generations, { ann: 0, bob: 0, job: 0 });
  for (const name of ['ann', 'bob', 'job'] as const) await make(name);
  ({ KeyId } = await operations.newKey());
});

const refOf = (name: 'ann' | 'bob' | 'job') =>
  name === 'job' ? roleRef(ACCOUNT, name) : userRef(name === 'bob' ? OTHER : ACCOUNT, name);

/** A new principal of the name, with a unique id of its own. */
async function make(name: 'ann' | 'bob' | 'job', by = operations): Promise<void> {
  const facts = { name, path: name === 'ann' ? '/ops/' : '/', uniqueId: idOf(name, ++generations[name]), tags: [] };
  await by.runCommand(
    refOf(name),
    name === 'job'
      ? { type: 'CreateRole', ...facts, description: '', maxSessionDuration: 3600, trustPolicy: trusting(ROOT) }
      : { type: 'CreateUser', ...facts },
  );
}
const remove = (name: 'ann' | 'bob' | 'job', by = operations) =>
  by.runCommand(refOf(name), { type: name === 'job' ? 'DeleteRole' : 'DeleteUser' });
async function renew(name: 'ann' | 'bob' | 'job', by = operations): Promise<void> {
  await remove(name, by);
  await make(name, by);
}

/** Who now has the name. Of the role, a session. */
function as(name: 'ann' | 'bob' | 'job') {
  const account = name === 'bob' ? OTHER : ACCOUNT;
  const uniqueId = idOf(name, generations[name]);
  if (name !== 'job') return { account, principalId: uniqueId };
  const principalId = `${uniqueId}:nightly`;
  const issuedAt = operations.now / 1000;
  operations.sessions.set('token', { account, principalId, accessKeyId: 'ASIA', issuedAt, expiresAt: issuedAt + 60 });
  return { account, principalId, sessionToken: 'token' };
}

const trusting = (...AWS: string[]): string =>
  JSON.stringify({ Statement: { Effect: 'Allow', Principal: { AWS }, Action: 'sts:AssumeRole' } });
const statement = (more: object) => ({ Effect: 'Allow', Action: 'kms:*', Resource: '*', ...more });
const policyOf = (...statements: object[]): string =>
  JSON.stringify({ Version: '2012-10-17', Statement: [statement({ Principal: { AWS: ROOT } }), ...statements] });
const letting = (...AWS: string[]): string => policyOf(statement({ Principal: { AWS } }));

const put = (Policy: string, claim = {}) => operations.call('PutKeyPolicy', { KeyId, Policy }, claim);
const describes = async (name: 'ann' | 'bob' | 'job') => {
  const Arn = `arn:aws:kms:us-east-1:${ACCOUNT}:key/${KeyId}`;
  return (await operations.call('DescribeKey', { KeyId: Arn }, as(name))).code;
};
const INVALID = { code: 'MalformedPolicyDocumentException' };

describe('a key policy', () => {
  test.each([
    ['a user', 'ann', ANN],
    ['a role', 'job', JOB],
    ['a session', 'job', SESSION],
  ] as const)(
    'that names %s lets in nobody who comes to have the name, until it is put again',
    async (_, name, arn) => {
      const Policy = letting(arn);
      await put(Policy);
      expect(await describes(name)).toBe('OK');
      await renew(name);
      expect(await describes(name)).toBe('AccessDeniedException');
      expect(await put(Policy)).toMatchObject({ code: 'OK' });
      expect(await describes(name)).toBe('OK');
      await renew(name);
      expect(await describes(name)).toBe('AccessDeniedException');
    },
  );

  test('means a user of another account that is known here no other way', async () => {
    const own = { type: 'PutPolicy' as const, policyName: 'own', policy: allowing('kms:DescribeKey') };
    await operations.runCommand(refOf('bob'), own);
    await put(letting(BOB));
    expect(await describes('bob')).toBe('OK');
    await operations.runCommand(refOf('bob'), { type: 'DeletePolicy', policyName: 'own' });
    await renew('bob');
    await operations.runCommand(refOf('bob'), own);
    expect(await describes('bob')).toBe('AccessDeniedException');
  });

  test('of a new key means those who are there when it is made', async () => {
    const { body } = await operations.call('CreateKey', { Policy: letting(ANN) });
    ({ KeyId } = body['KeyMetadata'] as { KeyId: string });
    expect(await describes('ann')).toBe('OK');
    await renew('ann');
    expect(await describes('ann')).toBe('AccessDeniedException');
  });

  test('denies to the new what it denied to the old, and spares it nothing', async () => {
    const everyone = statement({ Principal: '*' });
    await put(policyOf(everyone, { ...statement({ Principal: { AWS: ANN } }), Effect: 'Deny' }));
    await renew('ann');
    expect(await describes('ann')).toBe('AccessDeniedException');
    await put(policyOf(everyone, { ...statement({ NotPrincipal: { AWS: [ROOT, ANN] } }), Effect: 'Deny' }));
    expect(await describes('ann')).toBe('OK');
    await renew('ann');
    expect(await describes('ann')).toBe('AccessDeniedException');
  });

  test('of before ids were kept goes by the ARN', async () => {
    const ref = { region: 'us-east-1', account: ACCOUNT, aggregate: 'key', id: KeyId } as const;
    await operations.runCommand(ref, { type: 'PutKeyPolicy', policy: letting(ANN) });
    await renew('ann');
    expect(await describes('ann')).toBe('OK');
    // To be put again is enough to mean her alone.
    await put(letting(ANN));
    await renew('ann');
    expect(await describes('ann')).toBe('AccessDeniedException');
  });

  test('means the one who was found to exist, though another has the name once it is in the log', async () => {
    const elsewhere = new MemoryOperations(store);
    store.overtake = () => renew('ann', elsewhere);
    expect(await put(letting(ANN))).toMatchObject({ code: 'OK' });
    expect(generations.ann).toBe(2);
    expect(await describes('ann')).toBe('AccessDeniedException');
  });

  test('shows the unique ids of those who are gone, and cannot be put like that', async () => {
    const shown = async () => String((await operations.call('GetKeyPolicy', { KeyId })).body['Policy']);
    const one = statement({
      Principal: { AWS: ANN },
      Condition: { ArnLike: { 'aws:PrincipalArn': ANN }, NumericLessThan: { 'kms:RotationPeriodInDays': 400 } },
    });
    const several = { ...statement({ NotPrincipal: { AWS: [ROOT, SESSION, ANN] } }), Effect: 'Deny' };
    const Policy = policyOf(one, several, statement({ Principal: '*', Sid: ANN }));
    await put(Policy);
    expect(await shown()).toBe(Policy);
    await renew('ann');
    const ann = idOf('ann', 1);
    expect(JSON.parse(await shown())).toEqual(
      JSON.parse(
        policyOf(
          { ...one, Principal: { AWS: ann } },
          { ...several, NotPrincipal: { AWS: [ROOT, SESSION, ann] } },
          statement({ Principal: '*', Sid: ANN }),
        ),
      ),
    );
    expect(await put(await shown())).toMatchObject({
      ...INVALID,
      message: 'Policy contains a statement with one or more invalid principals.',
    });
    await renew('job');
    expect(JSON.parse(await shown())).toMatchObject({
      Statement: [{}, {}, { NotPrincipal: { AWS: [ROOT, idOf('job', 1), ann] } }, {}],
    });
  });

  test('names by unique id only who exists, and by ARN nobody who is gone', async () => {
    expect(await put(letting(idOf('ann', 1), idOf('bob', 1), idOf('job', 1)))).toMatchObject({ code: 'OK' });
    for (const gone of [idOf('ann', 9), 'AROANOBODYNOBODY']) expect(await put(letting(gone))).toMatchObject(INVALID);
    for (const [name, arn] of [['ann', ANN] as const, ['bob', BOB] as const, ['job', SESSION] as const]) {
      await remove(name);
      expect(await put(letting(arn))).toMatchObject(INVALID);
      expect(await put(letting(idOf(name, 1)))).toMatchObject(INVALID);
    }
  });
});

describe('a trust policy', () => {
  const assume = async (RoleName: string) => {
    const request = { RoleArn: `arn:aws:iam::${ACCOUNT}:role/${RoleName}`, RoleSessionName: 'nightly' };
    return (await operations.call('AssumeRole', request, as('ann'))).code;
  };
  const created = (RoleName: string, AssumeRolePolicyDocument: string) =>
    operations.call('CreateRole', { RoleName, AssumeRolePolicyDocument });

  test('lets in nobody who comes to have the name of whom it named, until it is put again', async () => {
    const PolicyDocument = trusting(ANN);
    expect(await created('till', PolicyDocument)).toMatchObject({ code: 'OK' });
    expect(await assume('till')).toBe('OK');
    await renew('ann');
    expect(await assume('till')).toBe('AccessDeniedException');
    expect(await operations.call('UpdateAssumeRolePolicy', { RoleName: 'till', PolicyDocument })).toMatchObject({
      code: 'OK',
    });
    expect(await assume('till')).toBe('OK');
    await renew('ann');
    expect(await assume('till')).toBe('AccessDeniedException');
  });

  test('shows the unique ids of those who are gone, and cannot be put like that', async () => {
    await created('till', trusting(ANN, ROOT));
    await remove('ann');
    const { body } = await operations.call('GetRole', { RoleName: 'till' });
    const { AssumeRolePolicyDocument: shown } = body['Role'] as { AssumeRolePolicyDocument: string };
    const PolicyDocument = decodeURIComponent(shown);
    expect(JSON.parse(PolicyDocument)).toEqual(JSON.parse(trusting(idOf('ann', 1), ROOT)));
    expect(await operations.call('UpdateAssumeRolePolicy', { RoleName: 'till', PolicyDocument })).toMatchObject({
      ...INVALID,
      message: `Invalid principal in policy: "AWS":"${idOf('ann', 1)}"`,
    });
    const { body: listed } = await operations.call('ListRoles', {});
    expect(listed['Roles']).toMatchObject([{ RoleName: 'job' }, { AssumeRolePolicyDocument: shown }]);
  });
});
