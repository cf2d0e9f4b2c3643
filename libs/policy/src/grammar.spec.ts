// biome-ignore-all lint/suspicious/noTemplateCurlyInString: policy variables look like that
import { KmsError } from '#domain/errors';
import { parsePolicyDocument } from './document';
import { type PolicyKind, quotaSize } from './grammar';

const OF_PRINCIPAL = { Effect: 'Allow', Action: 'kms:*', Resource: '*' };
const TRUST = { Effect: 'Allow', Principal: { AWS: '111122223333' }, Action: 'sts:AssumeRole' };
const text = (...statements: object[]) => JSON.stringify({ Version: '2012-10-17', Statement: statements });

function refusal(document: string, kind: PolicyKind): string {
  try {
    parsePolicyDocument(document, kind);
  } catch (error) {
    if (error instanceof KmsError) return `${error.code}: ${error.message}`;
    throw error;
  }
  throw new Error(`accepted: ${document}`);
}

describe('the grammar of each kind of policy', () => {
  it.each<[PolicyKind, object]>([
    ['identity', OF_PRINCIPAL],
    ['identity', { ...OF_PRINCIPAL, Action: undefined, NotAction: 'iam:*' }],
    ['identity', { ...OF_PRINCIPAL, Resource: undefined, NotResource: 'arn:aws:kms:*:*:key/1' }],
    ['identity', { ...OF_PRINCIPAL, Resource: 'arn:aws:kms:*:*:key/${aws:PrincipalTag/key}' }],
    ['session', OF_PRINCIPAL],
    ['trust', TRUST],
    ['trust', { ...TRUST, Action: ['sts:AssumeRole', 'sts:TagSession'] }],
    ['trust', { ...TRUST, Principal: { Service: 'ec2.amazonaws.com' } }],
    ['trust', { ...TRUST, Condition: { StringEquals: { 'sts:ExternalId': "${aws:PrincipalTag/x, 'none'}" } } }],
  ])('takes as %s policy %j', (kind, statement) => {
    const parsed = parsePolicyDocument(text(statement), kind);
    expect(parsed.kind).toBe(kind);
    expect(parsed.statements).toHaveLength(1);
  });

  it.each<[PolicyKind, object, string]>([
    ['identity', { ...OF_PRINCIPAL, Principal: '*' }, 'Policy document should not specify a principal.'],
    ['identity', { ...OF_PRINCIPAL, NotPrincipal: '*' }, 'Policy document should not specify a principal.'],
    ['session', { ...OF_PRINCIPAL, Principal: '*' }, 'Policy document should not specify a principal.'],
    ['identity', { ...OF_PRINCIPAL, Resource: undefined }, 'Policy statement must contain resources.'],
    ['session', { ...OF_PRINCIPAL, Resource: undefined }, 'Policy statement must contain resources.'],
    ['identity', { ...OF_PRINCIPAL, Action: undefined }, 'Policy statement must contain actions.'],
    ['trust', { ...TRUST, Principal: undefined }, 'Missing required field Principal'],
    ['trust', { ...TRUST, Action: undefined }, 'Missing required field Action'],
    ['trust', { ...TRUST, Resource: '*' }, 'Has prohibited field Resource'],
    ['trust', { ...TRUST, NotResource: '*' }, 'Has prohibited field Resource'],
    ['trust', { ...TRUST, Action: 'kms:Decrypt' }, 'AssumeRole policy may only specify STS AssumeRole actions.'],
    ['trust', { ...TRUST, Action: '*' }, 'AssumeRole policy may only specify STS AssumeRole actions.'],
    [
      'trust',
      { ...TRUST, Action: undefined, NotAction: 'sts:AssumeRole' },
      'AssumeRole policy may only specify STS AssumeRole actions.',
    ],
    ['identity', { ...OF_PRINCIPAL, Resource: 'key/1' }, 'Statement 1: Resource "key/1" is not "*" or an ARN.'],
    ['key', { ...OF_PRINCIPAL }, 'Statement 1 has no Principal.'],
  ])('refuses as %s policy %j', (kind, statement, reason) => {
    expect(refusal(text(statement), kind)).toBe(`MalformedPolicyDocumentException: ${reason}`);
  });

  it('names repeated Sids in the words of its service', () => {
    const twice = text({ ...OF_PRINCIPAL, Sid: 'a' }, { ...OF_PRINCIPAL, Sid: 'a' });
    expect(refusal(twice, 'identity')).toContain('Statement IDs (SID) in a single policy must be unique.');
  });

  it('gives session policies 2,048 characters, whatever their bytes', () => {
    const room = 2_048 - text({ ...OF_PRINCIPAL, Sid: '' }).length;
    expect(parsePolicyDocument(text({ ...OF_PRINCIPAL, Sid: 'é'.repeat(room) }), 'session').statements).toHaveLength(1);
    expect(refusal(text({ ...OF_PRINCIPAL, Sid: 'x'.repeat(room + 1) }), 'session')).toBe(
      'LimitExceededException: The policy is larger than 2048 characters.',
    );
  });

  it.each([
    '${aws:username',
    '${}',
    '${ aws:username }',
    '${aws:username, none}',
    '${aws:PrincipalTag/my key}',
    '${a${b}}',
  ])('refuses the broken variable in %s', (broken) => {
    const shown = JSON.stringify(broken);
    const reason = `MalformedPolicyDocumentException: Statement 1: ${shown} is not a policy variable.`;
    const inCondition = { ...OF_PRINCIPAL, Condition: { StringEquals: { 'aws:username': broken } } };
    expect(refusal(text(inCondition), 'identity')).toBe(reason);
    expect(refusal(text({ ...OF_PRINCIPAL, Resource: `arn:aws:kms:*:*:key/${broken}` }), 'identity')).toBe(reason);
  });

  it('knows no variables in version 2008-10-17', () => {
    const old = JSON.stringify({ Statement: { ...OF_PRINCIPAL, Resource: 'arn:aws:kms:*:*:key/${' } });
    expect(parsePolicyDocument(old, 'identity').version).toBe('2008-10-17');
  });
});

test('quotas of IAM count no white space', () => {
  expect(quotaSize('{ "a":\n\t"b c" }')).toBe('{"a":"bc"}'.length);
});
