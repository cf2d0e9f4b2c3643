import fc from 'fast-check';
import { KmsError } from '#domain/errors';
import { GRANT_OPERATIONS } from '#domain/grant/grant-operations';
import { OPERATION_TABLE } from '../table';
import { decodeRequest } from './decode';

const decode = (operation: string, body: unknown): Record<string, unknown> => {
  const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  return { ...decodeRequest(OPERATION_TABLE.get(operation)!.request, bytes) } as Record<string, unknown>;
};

function refusal(operation: string, body: unknown): { code: string; message: string } {
  try {
    decode(operation, body);
  } catch (error) {
    if (error instanceof KmsError) return { code: error.code, message: error.message };
    throw error;
  }
  throw new Error(`${operation} took ${JSON.stringify(body)}`);
}

const invalid = (operation: string, body: unknown): string => {
  const { code, message } = refusal(operation, body);
  expect(code).toBe('ValidationException');
  return message;
};

describe('a request', () => {
  test('takes the members it knows, and leaves the others', () => {
    expect(decode('ListKeys', { Limit: 5, Marker: 'm', Colour: 'red' })).toEqual({ Limit: 5, Marker: 'm' });
  });

  test('takes null for absent, and an empty body for an empty object', () => {
    expect(decode('ListKeys', { Limit: null })).toEqual({});
    expect(decode('ListKeys', '')).toEqual({});
  });

  test('takes blobs as bytes, and cuts the fraction off a number', () => {
    expect(decode('Encrypt', { KeyId: 'k', Plaintext: 'aGVsbG8=' })['Plaintext']).toEqual(Buffer.from('hello'));
    expect(decode('ListKeys', { Limit: 5.9 })).toEqual({ Limit: 5 });
  });

  test.each(['a\u001fb', 'a; b', '$property', '$target', "$'"])('is told of the value %j as it is, once', (value) => {
    expect(invalid('DeleteAlias', { AliasName: value })).toBe(
      `1 validation error detected: Value '${value}' at 'aliasName' failed to satisfy constraint: ` +
        'Member must satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$',
    );
  });

  test.each([[[0xff]], [[0xc0, 0x80]], [[0xed, 0xa0, 0x80]], [[0xe2, 0x82]]])(
    'is refused where it is not UTF-8: %j',
    (broken) => {
      const bytes = Buffer.concat([Buffer.from('{"Marker":"'), Buffer.from(broken), Buffer.from('"}')]);
      expect(() => decodeRequest(OPERATION_TABLE.get('ListKeys')!.request, bytes)).toThrow(
        expect.objectContaining({ code: 'SerializationException' }),
      );
    },
  );

  test('never takes a member from a prototype', () => {
    expect(decode('ListKeys', '{"__proto__":{"Limit":5}}')).toEqual({});
    expect(Object.prototype).not.toHaveProperty('Limit');
  });

  test.each<[string, string, unknown]>([
    ['one that is no JSON', 'ListKeys', '{'],
    ['a list for the whole', 'ListKeys', '[]'],
    ['null for the whole', 'ListKeys', 'null'],
    ['a number for a string', 'DescribeKey', { KeyId: 1 }],
    ['a string for a number', 'ListKeys', { Limit: '5' }],
    ['a number beyond 32 bits', 'ListKeys', { Limit: 2147483648 }],
    ['a string for a boolean', 'CreateKey', { MultiRegion: 'true' }],
    ['a structure for a string', 'DescribeKey', { KeyId: { Ref: 'k' } }],
    ['a string for a list', 'UntagResource', { KeyId: 'k', TagKeys: 'team' }],
    ['a number in a list of strings', 'UntagResource', { KeyId: 'k', TagKeys: ['team', 1] }],
    ['a string for a structure in a list', 'TagResource', { KeyId: 'k', Tags: ['team'] }],
    ['a number as a value of a map', 'Encrypt', { KeyId: 'k', Plaintext: 'AAAA', EncryptionContext: { a: 1 } }],
    ['a list for a map', 'Encrypt', { KeyId: 'k', Plaintext: 'AAAA', EncryptionContext: ['a'] }],
    ['a blob that is not base64', 'Encrypt', { KeyId: 'k', Plaintext: '!!!!' }],
    ['a blob of the alphabet for URLs', 'Encrypt', { KeyId: 'k', Plaintext: '--__' }],
    ['a blob of two alphabets', 'Encrypt', { KeyId: 'k', Plaintext: '+_/-' }],
    ['a number for a date that is none', 'LookupEvents', { StartTime: 8.7e12 }],
    ['a blob that is cut short', 'Encrypt', { KeyId: 'k', Plaintext: 'aGVsbG8' }],
  ])('with %s is a SerializationException', (_what, operation, body) => {
    expect(refusal(operation, body).code).toBe('SerializationException');
  });
});

describe('a validation message', () => {
  test.each<[string, unknown, string]>([
    [
      'ScheduleKeyDeletion',
      { KeyId: 'k', PendingWindowInDays: 5 },
      "1 validation error detected: Value '5' at 'pendingWindowInDays' failed to satisfy constraint: " +
        'Member must have value greater than or equal to 7',
    ],
    [
      'ScheduleKeyDeletion',
      { KeyId: 'k', PendingWindowInDays: 31 },
      "1 validation error detected: Value '31' at 'pendingWindowInDays' failed to satisfy constraint: " +
        'Member must have value less than or equal to 30',
    ],
    [
      'DescribeKey',
      {},
      "1 validation error detected: Value null at 'keyId' failed to satisfy constraint: Member must not be null",
    ],
    [
      'CreateAlias',
      { AliasName: 'alias/a b', TargetKeyId: 'k' },
      "1 validation error detected: Value 'alias/a b' at 'aliasName' failed to satisfy constraint: " +
        'Member must satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$',
    ],
    [
      'TagResource',
      { KeyId: 'k', Tags: [{ TagKey: 'team', TagValue: 'a' }, { TagKey: '' }] },
      "2 validation errors detected: Value '' at 'tags.2.member.tagKey' failed to satisfy constraint: " +
        "Member must have length greater than or equal to 1; Value null at 'tags.2.member.tagValue' " +
        'failed to satisfy constraint: Member must not be null',
    ],
    [
      'UntagResource',
      { KeyId: 'k', TagKeys: ['ok', ''] },
      "1 validation error detected: Value '[ok, ]' at 'tagKeys' failed to satisfy constraint: Member must satisfy constraint: " +
        '[Member must have length less than or equal to 128, Member must have length greater than or equal to 1, ' +
        'Member must not be null]',
    ],
    [
      'UntagResource',
      { KeyId: 'k', TagKeys: ['ok', null] },
      "1 validation error detected: Value '[ok, null]' at 'tagKeys' failed to satisfy constraint: Member must satisfy constraint: " +
        '[Member must have length less than or equal to 128, Member must have length greater than or equal to 1, ' +
        'Member must not be null]',
    ],
    [
      'TagResource',
      { KeyId: 'k', Tags: [null] },
      "1 validation error detected: Value null at 'tags.1.member' failed to satisfy constraint: Member must not be null",
    ],
    [
      'CreateGrant',
      { KeyId: '', GranteePrincipal: 'p', Operations: ['Fly'], GrantTokens: [''] },
      "4 validation errors detected: Value '' at 'keyId' failed to satisfy constraint: " +
        "Member must have length greater than or equal to 1; Value '' at 'keyId' failed to satisfy constraint: " +
        "Member must satisfy regular expression pattern: ^\\p{ASCII}+$; Value '[Fly]' at 'operations' failed to satisfy " +
        `constraint: Member must satisfy constraint: [Member must satisfy enum value set: [${GRANT_OPERATIONS.join(', ')}], ` +
        "Member must not be null]; Value at 'grantTokens' failed to satisfy constraint: Member must satisfy constraint: " +
        '[Member must have length less than or equal to 8192, Member must have length greater than or equal to 1, ' +
        'Member must not be null]',
    ],
    [
      'PutKeyPolicy',
      { KeyId: 'k', PolicyName: 'a b', Policy: '\u2028' },
      "2 validation errors detected: Value 'a b' at 'policyName' failed to satisfy constraint: " +
        "Member must satisfy regular expression pattern: [\\w]+; Value '\u2028' at 'policy' failed to satisfy constraint: " +
        'Member must satisfy regular expression pattern: [\\u0009\\u000A\\u000D\\u0020-\\u00FF]+',
    ],
    [
      'EnableKeyRotation',
      { RotationPeriodInDays: 89 },
      "2 validation errors detected: Value null at 'keyId' failed to satisfy constraint: Member must not be null; " +
        "Value '89' at 'rotationPeriodInDays' failed to satisfy constraint: " +
        'Member must have value greater than or equal to 90',
    ],
  ])('of %s with %j', (operation, body, message) => {
    expect(invalid(operation, body)).toBe(message);
  });

  test('of an enum names all that may be there', () => {
    expect(invalid('GenerateDataKey', { KeyId: 'k', KeySpec: 'AES_512' })).toMatch(
      /^1 validation error detected: Value 'AES_512' at 'keySpec' failed .*: Member must satisfy enum value set: \[AES_256, AES_128\]$/,
    );
  });

  test('never shows a plaintext', () => {
    const plaintext = Buffer.alloc(4097, 'secret').toString('base64');
    const message = invalid('Encrypt', { KeyId: 'k', Plaintext: plaintext });
    expect(message).toBe(
      "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: " +
        'Member must have length less than or equal to 4096',
    );
  });
});

test('an encryption context takes 8,192 bytes in UTF-8 at most, names and values together', () => {
  const withContext = (EncryptionContext: object) => ({ KeyId: 'k', Plaintext: 'AAAA', EncryptionContext });
  const full = { a: 'b', name: '\u00e4'.repeat(4_093) };
  expect(decode('Encrypt', withContext(full))['EncryptionContext']).toEqual(full);
  const message = (path: string) =>
    `1 validation error detected: Value at '${path}' failed to satisfy constraint: Member must have names and values of at most 8192 bytes together`;
  expect(invalid('Encrypt', withContext({ ...full, b: '' }))).toBe(message('encryptionContext'));
  const many = Object.fromEntries(Array.from({ length: 60_000 }, (_, at) => [`c${at}`, '']));
  expect(invalid('Encrypt', withContext(many))).toBe(message('encryptionContext'));
  const Constraints = { EncryptionContextSubset: { ['k'.repeat(1_000_000)]: 'v' } };
  const grant = { KeyId: 'k', GranteePrincipal: 'p', Operations: ['Decrypt'], Constraints };
  expect(invalid('CreateGrant', grant)).toBe(message('constraints.encryptionContextSubset'));
});

test.each<[string, string, object]>([
  ['description', 'UpdateKeyDescription', { Description: 'a\ud800' }],
  ['tags.1.member.tagKey', 'TagResource', { Tags: [{ TagKey: '\udfff', TagValue: '' }] }],
  ['tags.1.member.tagValue', 'TagResource', { Tags: [{ TagKey: 'a', TagValue: '\ude00\ud83d' }] }],
  ['tagKeys.1.member', 'UntagResource', { TagKeys: ['\ud800'] }],
])('half a character in %s is refused: the log could not give it back', (path, operation, body) => {
  expect(invalid(operation, { KeyId: 'k', ...body })).toBe(
    `1 validation error detected: Value at '${path}' failed to satisfy constraint: Member must be well-formed Unicode text`,
  );
});

test('whole characters of two surrogates are taken', () => {
  expect(decode('UpdateKeyDescription', { KeyId: 'k', Description: '\ud83d\ude00' })['Description']).toBe('\u{1f600}');
});

test('whatever the body, every operation either takes it or refuses it with a KmsError of status 400', () => {
  const operations = [...OPERATION_TABLE.values()];
  const names = [
    'KeyId',
    'Plaintext',
    'EncryptionContext',
    'Tags',
    'TagKeys',
    'Limit',
    'Policy',
    'DryRun',
    'Recipient',
  ];
  const body = fc.oneof(
    fc.uint8Array({ maxLength: 32 }),
    fc.json().map((text) => Buffer.from(text)),
    fc
      .dictionary(fc.constantFrom(...names), fc.jsonValue({ maxDepth: 2 }))
      .map((members) => Buffer.from(JSON.stringify(members))),
  );
  fc.assert(
    fc.property(fc.constantFrom(...operations), body, (operation, bytes) => {
      try {
        expect(decodeRequest(operation.request, bytes)).toBeInstanceOf(operation.request);
      } catch (error) {
        expect(error).toBeInstanceOf(KmsError);
        expect((error as KmsError).status).toBe(400);
      }
    }),
    { numRuns: 500 },
  );
});

describe('a list far longer than any that is of use', () => {
  const LENGTH = 250_000;

  test('is read, where the API model sets no bound', () => {
    const Operations = Array<string>(LENGTH).fill('Decrypt');
    const read = decode('CreateGrant', { KeyId: 'k', GranteePrincipal: 'p', Operations });
    expect(read['Operations']).toHaveLength(LENGTH);
  });

  test.each<[string, string, string, object]>([
    ['of tags', 'TagResource', 'tags', { Tags: Array(201).fill({ TagKey: 'a', TagValue: '' }) }],
    ['of keys of tags', 'UntagResource', 'tagKeys', { TagKeys: Array(201).fill('a') }],
  ])('%s is refused before any policy is held against it', (_what, operation, member, body) => {
    expect(invalid(operation, { KeyId: 'k', ...body })).toMatch(
      new RegExp(
        `^1 validation error detected: .*at '${member}' failed .* Member must have length less than or equal to 200$`,
      ),
    );
  });

  test.each<[string, string, unknown]>([
    ['of values that are in no set', 'Decrypt', { CiphertextBlob: 'AAAA', DryRunModifiers: Array(LENGTH).fill('a') }],
    ['of structures without members', 'TagResource', { KeyId: 'k', Tags: Array(200).fill({}) }],
    ['of nothing', 'TagResource', { KeyId: 'k', Tags: Array(LENGTH).fill(null) }],
    ['of empty strings', 'UntagResource', { KeyId: 'k', TagKeys: Array(LENGTH).fill('') }],
  ])('%s is refused in a message of bounded length', (_what, operation, body) => {
    const message = invalid(operation, body);
    expect(message).toMatch(/^\d+ validation errors? detected: /);
    expect(message.length).toBeLessThan(20_000);
  });

  test('as a text too, of which the message shows the beginning', () => {
    const message = invalid('DescribeKey', { KeyId: 'k'.repeat(1_000_000) });
    expect(message).toBe(
      `1 validation error detected: Value '${'k'.repeat(1_024)}...' at 'keyId' failed to satisfy constraint: Member must have length less than or equal to 2048`,
    );
  });
});
