import { compilePolicy } from './compile';
import { defaultKeyPolicy, parsePolicyDocument } from './document';
import { assertNotLockedOut, locksOut } from './lockout';
import type { Principal } from './request';

const ACCOUNT = '111122223333';
const ROOT = `arn:aws:iam::${ACCOUNT}:root`;
const ALICE = `arn:aws:iam::${ACCOUNT}:user/Alice`;
const SESSION = `arn:aws:sts::${ACCOUNT}:assumed-role/Admin/alice`;
const KEY = `arn:aws:kms:us-east-1:${ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab`;
const allow = { Effect: 'Allow', Principal: { AWS: ROOT }, Action: 'kms:*', Resource: '*' };
const deny = { ...allow, Effect: 'Deny' };
const policy = (...statements: object[]) =>
  compilePolicy(parsePolicyDocument(JSON.stringify({ Statement: statements })));

/** Who asks: root, Alice, or a session of the role ops/Admin. */
function asking(arn: string): Principal {
  if (arn === ROOT) return { account: ACCOUNT, kind: 'root', arn, uniqueId: ACCOUNT };
  if (arn === ALICE) return { account: ACCOUNT, kind: 'user', arn, uniqueId: 'AIDAALICE' };
  const roleArn = `arn:aws:iam::${ACCOUNT}:role/ops/Admin`;
  return { account: ACCOUNT, kind: 'role-session', arn, roleArn, uniqueId: 'AROAADMIN' };
}

describe('a policy leaves its caller in control', () => {
  it.each<[string, string, object[]]>([
    ['the account root', ROOT, [allow]],
    ['the account by its number', ROOT, [{ ...allow, Principal: { AWS: ACCOUNT } }]],
    ['everybody', ROOT, [{ ...allow, Principal: '*' }]],
    ['every AWS principal', ALICE, [{ ...allow, Principal: { AWS: '*' } }]],
    ['a user through the account', ALICE, [allow]],
    ['the user alone', ALICE, [{ ...allow, Principal: { AWS: ['arn:aws:iam::444455556666:root', ALICE] } }]],
    ['the role of a session', SESSION, [{ ...allow, Principal: { AWS: `arn:aws:iam::${ACCOUNT}:role/ops/Admin` } }]],
    ['a session by its own name', SESSION, [{ ...allow, Principal: { AWS: SESSION } }]],
    [
      'all but others',
      ROOT,
      [{ ...allow, Principal: undefined, NotPrincipal: { AWS: 'arn:aws:iam::444455556666:root' } }],
    ],
    ['just the one action, in any case', ROOT, [{ ...allow, Action: 'KMS:putkeypolicy' }]],
    ['a pattern of actions', ROOT, [{ ...allow, Action: ['kms:Get*', 'kms:P?tKey*'] }]],
    ['all actions but others', ROOT, [{ ...allow, Action: undefined, NotAction: 'kms:Decrypt' }]],
    ['what another statement denies only to others', ROOT, [allow, { ...deny, Principal: { AWS: ALICE } }]],
    ['what another statement denies of other actions', ROOT, [allow, { ...deny, Action: 'kms:ScheduleKeyDeletion' }]],
    [
      'what another statement denies under a condition',
      ROOT,
      [allow, { ...deny, Condition: { Bool: { 'aws:SecureTransport': false } } }],
    ],
    [
      'a policy that denies all but the caller',
      ROOT,
      [allow, { ...deny, Principal: undefined, NotPrincipal: { AWS: ROOT } }],
    ],
  ])('by allowing %s', (_, caller, statements) => {
    expect(locksOut(policy(...statements), asking(caller))).toBe(false);
  });

  it('by default', () => {
    const byDefault = compilePolicy(parsePolicyDocument(defaultKeyPolicy(ACCOUNT)));
    expect(locksOut(byDefault, asking(ROOT))).toBe(false);
    expect(() => assertNotLockedOut(byDefault, asking(ROOT), KEY)).not.toThrow();
  });
});

describe('a policy locks its caller out', () => {
  it.each<[string, string, object[]]>([
    ['allows another account', ROOT, [{ ...allow, Principal: { AWS: '444455556666' } }]],
    ['allows only a user, to root', ROOT, [{ ...allow, Principal: { AWS: ALICE } }]],
    [
      'allows another role of the session',
      SESSION,
      [{ ...allow, Principal: { AWS: `arn:aws:iam::${ACCOUNT}:role/Adm` } }],
    ],
    [
      'allows a user of the role’s name',
      SESSION,
      [{ ...allow, Principal: { AWS: `arn:aws:iam::${ACCOUNT}:user/Admin` } }],
    ],
    ['allows only a service', ROOT, [{ ...allow, Principal: { Service: 'ec2.amazonaws.com' } }]],
    ['allows all but the caller', ROOT, [{ ...allow, Principal: undefined, NotPrincipal: { AWS: ROOT } }]],
    ['allows other actions', ROOT, [{ ...allow, Action: ['kms:Decrypt', 'kms:Put', 's3:*'] }]],
    ['allows all but the one action', ROOT, [{ ...allow, Action: undefined, NotAction: 'kms:Put*' }]],
    [
      'allows it under a condition',
      ROOT,
      [{ ...allow, Condition: { Bool: { 'aws:MultiFactorAuthPresent': 'true' } } }],
    ],
    ['names no action', ROOT, [{ ...allow, Action: undefined }]],
    ['names no resource', ROOT, [{ ...allow, Resource: undefined }]],
    ['only denies', ROOT, [deny]],
    ['denies what it allows', ROOT, [allow, { ...deny, Action: 'kms:PutKeyPolicy' }]],
    ['denies it to the whole account', ALICE, [allow, { ...deny, Principal: { AWS: ROOT } }]],
    ['denies it to all but another', ROOT, [allow, { ...deny, Principal: undefined, NotPrincipal: { AWS: ALICE } }]],
  ])('when it %s', (_, caller, statements) => {
    expect(locksOut(policy(...statements), asking(caller))).toBe(true);
    expect(() => assertNotLockedOut(policy(...statements), asking(caller))).toThrow(
      expect.objectContaining({
        code: 'MalformedPolicyDocumentException',
        message: 'The new key policy will not allow you to update the key policy in the future.',
      }),
    );
  });

  it('when it allows one who had the caller’s name before, but not when it means the caller', () => {
    const statement = { ...allow, Principal: { AWS: ALICE } };
    const document = parsePolicyDocument(JSON.stringify({ Statement: statement }));
    const meaning = (id: string) => locksOut(compilePolicy(document, { [ALICE]: id }), asking(ALICE));
    expect([meaning('AIDAFORMER'), meaning('AIDAALICE')]).toEqual([true, false]);
  });

  it('when it is about another key', () => {
    const root = asking(ROOT);
    const other = policy({ ...allow, Resource: 'arn:aws:kms:us-east-1:111122223333:key/other' });
    const own = policy({ ...allow, Resource: ['arn:aws:s3:::bucket', KEY] });
    expect([locksOut(other, root, KEY), locksOut(own, root, KEY), locksOut(own, root)]).toEqual([true, false, true]);
  });
});
