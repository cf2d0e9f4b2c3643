import fc from 'fast-check';
import { KmsError } from '#domain/errors';
import { decodeRequest } from './decode';
import { Optional, Required } from './fields';
import { parseParameters, queryToJson } from './query';

class Asked {
  @Required({ kind: 'string', min: 1, max: 8 }) UserName!: string;
  @Optional({ kind: 'integer', min: 1, max: 1000 }) MaxItems?: number;
  @Optional({ kind: 'boolean' }) Really?: boolean;
  @Optional({ kind: 'strings', each: { kind: 'string', min: 1, max: 128 } }) TagKeys?: string[];
  @Optional({
    kind: 'structures',
    members: {
      Key: { constraint: { kind: 'string', min: 1, max: 128 }, required: true },
      Value: { constraint: { kind: 'string', min: 0, max: 256 }, required: true },
    },
  })
  Tags?: { Key: string; Value: string }[];
}

const decode = (query: string): object => ({
  ...decodeRequest(Asked, queryToJson(Asked, parseParameters(query, Buffer.alloc(0)))),
});

function refusal(query: string): string {
  try {
    decode(query);
  } catch (error) {
    if (error instanceof KmsError) return `${error.code}: ${error.message}`;
  }
  throw new Error(`${query} was not refused with a KmsError`);
}

describe('a query request', () => {
  test('has texts, numbers, booleans, lists and lists of structures', () => {
    const body =
      'Action=X&UserName=a%2Bb+c&MaxItems=7&Really=true&TagKeys.member.1=k&TagKeys.member.2=l' +
      '&Tags.member.1.Key=a&Tags.member.1.Value=&Tags.member.2.Value=w&Tags.member.2.Key=b';
    expect(decode(body)).toEqual({
      UserName: 'a+b c',
      MaxItems: 7,
      Really: true,
      TagKeys: ['k', 'l'],
      Tags: [
        { Key: 'a', Value: '' },
        { Key: 'b', Value: 'w' },
      ],
    });
  });

  test('may come in the query string, in the body, or in both', () => {
    const parameters = parseParameters('Action=X', Buffer.from('UserName=u'));
    expect([...parameters]).toEqual([
      ['Action', 'X'],
      ['UserName', 'u'],
    ]);
  });

  test('has its lists in the order of their numbers, which may have gaps', () => {
    expect(decode('UserName=u&TagKeys.member.10=z&TagKeys.member.2=a')).toEqual({
      UserName: 'u',
      TagKeys: ['a', 'z'],
    });
  });

  test('names an empty list by its name alone', () => {
    expect(decode('UserName=u&TagKeys=')).toEqual({ UserName: 'u', TagKeys: [] });
  });

  test.each([
    [
      'UserName=u&MaxItems=seven',
      "SerializationException: STRING_VALUE can not be converted to an Integer at 'maxItems'",
    ],
    ['UserName=u&Really=yes', "SerializationException: STRING_VALUE can not be converted to a Boolean at 'really'"],
    ['UserName=u&UserName=v', 'SerializationException: The parameter UserName is given twice.'],
    ['UserName=u&TagKeys.member.x=k', 'SerializationException: TagKeys.member.x: expected a number after ".member.".'],
    [
      'MaxItems=0',
      "ValidationException: 2 validation errors detected: Value null at 'userName' failed to satisfy constraint: " +
        "Member must not be null; Value '0' at 'maxItems' failed to satisfy constraint: " +
        'Member must have value greater than or equal to 1',
    ],
    [
      'UserName=u&Tags.member.1.Key=k',
      "ValidationException: 1 validation error detected: Value null at 'tags.1.member.value' failed to satisfy " +
        'constraint: Member must not be null',
    ],
  ])('is refused: %s', (query, expected) => {
    expect(refusal(query)).toBe(expected);
  });

  test('whatever it is, is taken or refused with a KmsError of status 400', () => {
    const name = fc.constantFrom(
      'UserName',
      'MaxItems',
      'TagKeys',
      'TagKeys.member.1',
      'Tags.member.1.Key',
      '__proto__',
    );
    const query = fc
      .array(fc.tuple(fc.oneof(name, fc.string()), fc.string()), { maxLength: 6 })
      .map((pairs) => pairs.map(([key, value]) => `${encodeURIComponent(key)}=${encodeURIComponent(value)}`).join('&'));
    fc.assert(
      fc.property(fc.oneof(query, fc.string()), (text) => {
        try {
          decode(text);
        } catch (error) {
          expect(error).toBeInstanceOf(KmsError);
          expect((error as KmsError).status).toBe(400);
        }
      }),
    );
  });

  test('that is not UTF-8 is refused', () => {
    expect(() => parseParameters('', Buffer.of(0x61, 0xff))).toThrow('The request body is not UTF-8.');
  });
});
