import fc from 'fast-check';
import { KmsError } from '#domain/errors';
import { defaultKeyPolicy, parsePolicyDocument } from './document';
import { MAX_POLICY_BYTES } from './grammar';
import { MAX_JSON_DEPTH } from './strict-json';

const ACCOUNT = '111122223333';
const ROOT = `arn:aws:iam::${ACCOUNT}:root`;
const statement = { Effect: 'Allow', Principal: { AWS: ROOT }, Action: 'kms:*', Resource: '*' };
const policyWith = (changes: object): string => JSON.stringify({ Statement: { ...statement, ...changes } });
const parseOne = (changes: object) => parsePolicyDocument(policyWith(changes)).statements[0]!;

function refusal(text: string): KmsError {
  try {
    parsePolicyDocument(text);
  } catch (error) {
    if (error instanceof KmsError) return error;
    throw error;
  }
  throw new Error(`accepted: ${text.slice(0, 200)}`);
}

describe('a policy that is well formed', () => {
  it('is the default policy, in the very text that AWS returns', () => {
    // GetKeyPolicy example of the AWS SDK for Ruby, with its account.
    expect(JSON.stringify(defaultKeyPolicy(ACCOUNT))).toBe(
      String.raw`"{\n  \"Version\" : \"2012-10-17\",\n  \"Id\" : \"key-default-1\",\n  \"Statement\" : [ {\n    \"Sid\" : \"Enable IAM User Permissions\",\n    \"Effect\" : \"Allow\",\n    \"Principal\" : {\n      \"AWS\" : \"arn:aws:iam::111122223333:root\"\n    },\n    \"Action\" : \"kms:*\",\n    \"Resource\" : \"*\"\n  } ]\n}"`,
    );
    expect(parsePolicyDocument(defaultKeyPolicy(ACCOUNT))).toEqual({
      kind: 'key',
      version: '2012-10-17',
      id: 'key-default-1',
      statements: [
        {
          sid: 'Enable IAM User Permissions',
          effect: 'Allow',
          principal: { not: false, of: { AWS: [ROOT] } },
          action: { not: false, of: ['kms:*'] },
          resource: { not: false, of: ['*'] },
          conditions: [],
        },
      ],
    });
  });

  it('has version 2008-10-17 where it names none', () => {
    expect(parsePolicyDocument(policyWith({})).version).toBe('2008-10-17');
  });

  it('may hold its statement alone or many in a list', () => {
    const two = [
      { ...statement, Sid: 'a' },
      { ...statement, Sid: 'b' },
    ];
    expect(parsePolicyDocument(JSON.stringify({ Statement: two })).statements.map(({ sid }) => sid)).toEqual([
      'a',
      'b',
    ]);
  });

  it.each(['', 'Enable IAM User Permissions'])('may give the Sid %j to many statements', (Sid) => {
    const two = [
      { ...statement, Sid },
      { ...statement, Sid },
    ];
    expect(parsePolicyDocument(JSON.stringify({ Statement: two })).statements).toHaveLength(2);
  });

  it.each(['Action', 'Resource'] as const)('may lack %s, and the statement is kept without it', (name) => {
    expect(parseOne({ [name]: undefined })).not.toHaveProperty(name.toLowerCase());
  });

  it('keeps negated elements apart from plain ones', () => {
    const parsed = parseOne({
      Principal: undefined,
      Action: undefined,
      Resource: undefined,
      NotPrincipal: { AWS: ACCOUNT },
      NotAction: ['kms:Decrypt', 's3:Get*'],
      NotResource: 'arn:aws:kms:*:*:key/*',
    });
    expect(parsed).toMatchObject({
      principal: { not: true, of: { AWS: [ACCOUNT] } },
      action: { not: true, of: ['kms:Decrypt', 's3:Get*'] },
      resource: { not: true, of: ['arn:aws:kms:*:*:key/*'] },
    });
  });

  it.each<[object | string]>([
    ['*'],
    [{ AWS: '*' }],
    [{ AWS: ACCOUNT }],
    [{ AWS: [ROOT, 'arn:aws-cn:iam::111122223333:root'] }],
    [{ AWS: `arn:aws:iam::${ACCOUNT}:user/Alice` }],
    [{ AWS: `arn:aws:iam::${ACCOUNT}:user/division/team/Alice@example.com` }],
    [{ AWS: `arn:aws:iam::${ACCOUNT}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling` }],
    [{ AWS: `arn:aws:sts::${ACCOUNT}:assumed-role/Admin/session-1` }],
    [{ AWS: `arn:aws:sts::${ACCOUNT}:federated-user/Bob` }],
    [{ AWS: 'AIDACKCEVSQ6C2EXAMPLE' }],
    [{ Service: ['logs.us-east-1.amazonaws.com', 'cloudtrail.amazonaws.com'] }],
    [{ Federated: ['cognito-identity.amazonaws.com', `arn:aws:iam::${ACCOUNT}:saml-provider/Idp`] }],
    [{ CanonicalUser: '79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be' }],
    [{ AWS: ROOT, Service: 'ec2.amazonaws.com' }],
  ])('may name the principal %j', (Principal) => {
    expect(parseOne({ Principal }).principal?.not).toBe(false);
  });

  it.each<[string, object]>([
    ['StringEquals', { operator: 'StringEquals', ifExists: false }],
    ['StringLikeIfExists', { operator: 'StringLike', ifExists: true }],
    ['ForAnyValue:StringEquals', { operator: 'StringEquals', ifExists: false, set: 'ForAnyValue' }],
    ['ForAllValues:ArnLikeIfExists', { operator: 'ArnLike', ifExists: true, set: 'ForAllValues' }],
    ['NumericLessThanEquals', { operator: 'NumericLessThanEquals', ifExists: false }],
    ['DateGreaterThan', { operator: 'DateGreaterThan', ifExists: false }],
    ['NotIpAddress', { operator: 'NotIpAddress', ifExists: false }],
    ['Null', { operator: 'Null', ifExists: false }],
  ])('may have a condition with %s', (operator, expected) => {
    const { conditions } = parseOne({
      Condition: { [operator]: { 'kms:EncryptionContext:App Name': ['a', 7, true] } },
    });
    expect(conditions).toEqual([{ ...expected, key: 'kms:EncryptionContext:App Name', values: ['a', '7', 'true'] }]);
  });

  it('may fill the whole size allowed, and not a byte more', () => {
    const room = MAX_POLICY_BYTES - policyWith({ Sid: '' }).length;
    expect(parseOne({ Sid: 'x'.repeat(room) }).sid).toHaveLength(room);
    expect(refusal(policyWith({ Sid: 'x'.repeat(room + 1) })).code).toBe('LimitExceededException');
    expect(refusal(policyWith({ Sid: `é${'x'.repeat(room - 1)}` })).code).toBe('LimitExceededException');
  });
});

describe('a policy is refused as malformed', () => {
  const invalidPrincipal = 'Policy contains a statement with one or more invalid principals.';
  it.each<[string, string, string]>([
    ['text that is not JSON', 'my policy', 'The policy is not valid JSON.'],
    ['cut-off JSON', '{', 'The policy is not valid JSON.'],
    ['a list', '[]', 'The policy must be a JSON object.'],
    ['null', 'null', 'The policy must be a JSON object.'],
    ['no Statement', '{}', 'The policy has no Statement.'],
    ['no statement in the list', '{"Statement":[]}', 'The policy has no Statement.'],
    ['a statement that is text', '{"Statement":["x"]}', 'Statement 1 must be a JSON object.'],
    ['an unknown version', '{"Version":"2024-01-01","Statement":[]}', 'Version must be "2012-10-17" or "2008-10-17".'],
    ['an Id that is a number', '{"Id":1,"Statement":[]}', 'Id must be a string.'],
    ['an unknown element', '{"statement":[]}', 'The policy has the unknown element "statement".'],
    ['__proto__', '{"__proto__":{},"Statement":[]}', 'The policy has the unknown element "__proto__".'],
    ['one element twice', '{"Statement":[],"Statement":[]}', 'Element "Statement" appears more than once.'],
    [
      'one element twice, once spelt with an escape',
      String.raw`{"Statement":{"Effect":"Deny","\u0045ffect":"Allow"}}`,
      'Element "Effect" appears more than once.',
    ],
    [
      'an unknown element of a statement',
      policyWith({ Conditions: {} }),
      'Statement 1 has the unknown element "Conditions".',
    ],
    ['no Effect', policyWith({ Effect: undefined }), 'Statement 1: Effect must be "Allow" or "Deny".'],
    ['an Effect in lower case', policyWith({ Effect: 'allow' }), 'Statement 1: Effect must be "Allow" or "Deny".'],
    ['a Sid that is a number', policyWith({ Sid: 1 }), 'Statement 1: Sid must be a string.'],
    ['no Principal', policyWith({ Principal: undefined }), 'Statement 1 has no Principal.'],
    ['both forms of Principal', policyWith({ NotPrincipal: '*' }), 'Statement 1 has both Principal and NotPrincipal.'],
    ['both forms of Action', policyWith({ NotAction: '*' }), 'Statement 1 has both Action and NotAction.'],
    ['both forms of Resource', policyWith({ NotResource: '*' }), 'Statement 1 has both Resource and NotResource.'],
    ['a principal that is text', policyWith({ Principal: ROOT }), invalidPrincipal],
    ['an empty principal', policyWith({ Principal: {} }), invalidPrincipal],
    ['an unknown principal type', policyWith({ Principal: { GCP: 'x' } }), invalidPrincipal],
    ['a made-up AWS principal', policyWith({ Principal: { AWS: 'not-an-aws-principal' } }), invalidPrincipal],
    ['an account of 11 digits', policyWith({ Principal: { AWS: '11112222333' } }), invalidPrincipal],
    [
      'a wildcard in a principal',
      policyWith({ Principal: { AWS: `arn:aws:iam::${ACCOUNT}:role/*` } }),
      invalidPrincipal,
    ],
    ['a wildcard in a path', policyWith({ Principal: { AWS: `arn:aws:iam::${ACCOUNT}:role/*/x` } }), invalidPrincipal],
    ['a group', policyWith({ Principal: { AWS: `arn:aws:iam::${ACCOUNT}:group/Admins` } }), invalidPrincipal],
    [
      'a session without its name',
      policyWith({ Principal: { AWS: `arn:aws:sts::${ACCOUNT}:assumed-role/R` } }),
      invalidPrincipal,
    ],
    ['one bad principal among good ones', policyWith({ Principal: { AWS: [ROOT, 'x'] } }), invalidPrincipal],
    ['any service', policyWith({ Principal: { Service: '*' } }), invalidPrincipal],
    [
      'no principal in a list',
      policyWith({ Principal: { AWS: [] } }),
      'Statement 1: Principal must be a string or a list of strings.',
    ],
    ['no action in the list', policyWith({ Action: [] }), 'Statement 1: Action must be a string or a list of strings.'],
    [
      'an action that is a number',
      policyWith({ Action: ['kms:*', 1] }),
      'Statement 1: Action must be a string or a list of strings.',
    ],
    [
      'an action without a service',
      policyWith({ Action: 'Decrypt' }),
      'Statement 1: Action "Decrypt" is not "*" or a service and an action.',
    ],
    [
      'a resource that is no ARN',
      policyWith({ Resource: 'key/1' }),
      'Statement 1: Resource "key/1" is not "*" or an ARN.',
    ],
    [
      'an unknown operator',
      policyWith({ Condition: { StringIs: {} } }),
      'Statement 1: unknown condition operator "StringIs".',
    ],
    [
      'NullIfExists',
      policyWith({ Condition: { NullIfExists: {} } }),
      'Statement 1: unknown condition operator "NullIfExists".',
    ],
    [
      'an unknown set prefix',
      policyWith({ Condition: { 'ForSome:Bool': {} } }),
      'Statement 1: unknown condition operator "ForSome:Bool".',
    ],
    [
      'an operator of Object.prototype',
      policyWith({ Condition: { constructor: {} } }),
      'Statement 1: unknown condition operator "constructor".',
    ],
    ['a condition that is a list', policyWith({ Condition: [] }), 'Statement 1: Condition must be a JSON object.'],
    [
      'an operator block that is text',
      policyWith({ Condition: { Bool: 'true' } }),
      'Statement 1: Bool must be a JSON object.',
    ],
    [
      'a key without a service',
      policyWith({ Condition: { Bool: { x: 'true' } } }),
      'Statement 1: "x" is not a condition key.',
    ],
    [
      'a condition value that is null',
      policyWith({ Condition: { Bool: { 'aws:SecureTransport': null } } }),
      'Statement 1: condition values must be strings, numbers or booleans.',
    ],
    [
      'deep nesting',
      `{"Statement":${'['.repeat(MAX_JSON_DEPTH)}${']'.repeat(MAX_JSON_DEPTH)}}`,
      `The policy is nested deeper than ${MAX_JSON_DEPTH} levels.`,
    ],
  ])('for %s', (_, text, reason) => {
    const { code, message } = refusal(text);
    expect({ code, message }).toEqual({ code: 'MalformedPolicyDocumentException', message: reason });
  });
});

describe('whatever the text', () => {
  const onlyKmsErrors = (text: string): void => {
    try {
      parsePolicyDocument(text);
    } catch (error) {
      expect(error).toBeInstanceOf(KmsError);
    }
  };
  /** Values under the grammar's own names, so that every branch is reached. */
  const nearPolicy = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom(
        '*',
        ROOT,
        ACCOUNT,
        'Allow',
        'Deny',
        'kms:*',
        'kms:Put*',
        'arn:aws:kms:*:*:key/*',
        '2012-10-17',
        true,
        1,
        null,
      ),
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(
        fc.constantFrom(
          ...['Version', 'Statement', 'Sid', 'Effect', 'Principal', 'NotPrincipal', 'Action', 'Resource', 'Condition'],
          ...['AWS', 'Service', 'StringEquals', 'ForAnyValue:Bool', 'aws:SourceIp', '__proto__', 'constructor'],
        ),
        tie('value'),
        { maxKeys: 5 },
      ),
    ),
  })).value;

  it('reading it throws nothing but KmsError', () => {
    fc.assert(fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.json()), onlyKmsErrors));
    fc.assert(fc.property(nearPolicy, (value) => onlyKmsErrors(JSON.stringify(value))));
    fc.assert(fc.property(nearPolicy, (value) => onlyKmsErrors(policyWith(Object(value)))));
  });

  it('a document once read is read the same from any other spacing', () => {
    const part = fc.record(
      {
        Sid: fc.constantFrom('', 'one'),
        Principal: fc.constantFrom('*', { AWS: ROOT }, { AWS: [ACCOUNT, ROOT] }),
        Action: fc.constantFrom('kms:*', ['kms:Decrypt', 'kms:Encrypt']),
        Condition: fc.constantFrom({ Bool: { 'aws:SecureTransport': 'true' } }, {}),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(part, fc.integer({ min: 1, max: 8 }), (changes, indent) => {
        const text = policyWith(changes);
        expect(parsePolicyDocument(JSON.stringify(JSON.parse(text), null, indent))).toEqual(parsePolicyDocument(text));
      }),
    );
  });
});
