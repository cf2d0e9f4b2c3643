import fc from 'fast-check';
import { parseStrictly } from './strict-json';

const parsed = (text: string) => parseStrictly(Buffer.from(text));

describe('JSON of this API', () => {
  test('is read as JSON.parse reads it, where no member comes twice', () => {
    const object = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 5 }), { maxKeys: 5 });
    fc.assert(
      fc.property(object, fc.constantFrom(undefined, 1, '\t'), (value, space) => {
        const text = JSON.stringify(value, undefined, space);
        expect(parsed(text)).toEqual(JSON.parse(text));
      }),
    );
  });

  test.each([
    ['{"a":1,"a":1}'],
    ['{"a":1,"b":{"c":1, "c" : 2}}'],
    ['{"a":[{"b":1},{"b":1,"b":2}]}'],
    ['{"a":1,"\\u0061":2}'],
    ['{"a\\"b":1,"c":"}","a\\"b":2}'],
    ['{"__proto__":1,"__proto__":2}'],
  ])('is refused with a member that comes twice: %s', (text) => {
    expect(parsed(text)).toBe('has a member more than once');
  });

  test.each([
    ['{"a":{"a":1},"b":[{"a":1},{"a":2}]}'],
    ['{"a":"a","b":"a","c":["a","a"]}'],
    ['{"a":"{\\"a\\":1,\\"a\\":2}"}'],
    ['{"a":"\\\\","b":1}'],
  ])('may have the same name in different objects, or as a value: %s', (text) => {
    expect(parsed(text)).toEqual(JSON.parse(text));
  });

  test.each([
    ['', 'is not well-formed JSON'],
    ['{"a":', 'is not well-formed JSON'],
    ['[]', 'is not a JSON object'],
    ['null', 'is not a JSON object'],
    ['"text"', 'is not a JSON object'],
    [`{"a":${'['.repeat(20)}${']'.repeat(20)}}`, 'is nested too deep'],
  ])('is refused where it is no object, or too deep: %s', (text, fault) => {
    expect(parsed(text)).toBe(fault);
  });

  test('is refused where it is not UTF-8', () => {
    expect(parseStrictly(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]))).toBe('is not UTF-8');
  });
});
