import { posix } from 'node:path';
import fc from 'fast-check';
import { canonicalPath, canonicalQuery, canonicalRequest, parseQuery } from './canonical-request';
import { canonicalComponent, decodeComponent, uriEncode } from './uri-encoding';

const queryOf = (raw: string) => canonicalQuery(parseQuery(raw));
const bytes = fc.uint8Array({ maxLength: 40 }).map((value) => Buffer.from(value).toString('latin1'));

describe('the canonical path', () => {
  it('is encoded once more than the client encoded it', () => {
    expect(canonicalPath('/keys/a%20b/%E1%88%B4')).toBe('/keys/a%2520b/%25E1%2588%25B4');
  });

  it.each([
    ['', '/'],
    ['/', '/'],
    ['/a/', '/a/'],
    ['/a/../../b', '/b'],
    ['/a/..', '/'],
    ['/..%2f', '/..%252f'],
    ['*', '/%2A'],
  ])('of %j is %j', (raw, canonical) => {
    expect(canonicalPath(raw)).toBe(canonical);
  });

  it('removes empty and dot segments as POSIX does', () => {
    const path = fc
      .array(fc.constantFrom('a', 'b', '.', '..', ''), { maxLength: 8 })
      .map((parts) => `/${parts.join('/')}`);
    fc.assert(
      fc.property(path, (raw) => {
        // POSIX keeps no trailing slash for "/a/." and "/a/..", and neither do the SDKs.
        expect(canonicalPath(raw)).toBe(posix.normalize(raw));
      }),
    );
  });
});

describe('the canonical query', () => {
  it.each([
    ['', ''],
    ['a', 'a='],
    ['b=2&a=1', 'a=1&b=2'],
    ['a=2&a=1&a=10', 'a=1&a=10&a=2'],
    ['a-b=1&a=2', 'a=2&a-b=1'],
    ['a=b=c', 'a=b%3Dc'],
    ['a=+', 'a=%2B'],
    ['a=%2f%7e%41', 'a=%2F~A'],
    ['&', '=&='],
    ['b&X-Amz-Signature=00&a', 'a=&b='],
  ])('of %j is %j', (raw, canonical) => {
    expect(queryOf(raw)).toBe(canonical);
  });

  it('does not depend on the order or the escaping of the parameters', () => {
    const pairs = fc.array(fc.tuple(bytes, bytes), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(pairs, (list) => {
        const escapeAll = (text: string) =>
          [...text].map((character) => `%${character.charCodeAt(0).toString(16).padStart(2, '0')}`).join('');
        const plain = list.map(([name, value]) => `${uriEncode(name)}=${uriEncode(value)}`).join('&');
        const escaped = list
          .map(([name, value]) => `${escapeAll(name)}=${escapeAll(value)}`)
          .reverse()
          .join('&');
        expect(queryOf(escaped)).toBe(queryOf(plain));
      }),
    );
  });
});

describe('the canonical request', () => {
  const parts = { method: 'GET', path: '/', parameters: [], signedHeaders: ['host', 'x-a'], bodyHash: '00' };
  const withHeader = (value: string | string[] | undefined) =>
    canonicalRequest({ ...parts, headers: { host: 'localhost', 'x-a': value } });

  it('trims header values, and joins those of a repeated header', () => {
    expect(withHeader([' a  b\t', '', 'c'])).toBe('GET\n/\n\nhost:localhost\nx-a:a b,,c\n\nhost;x-a\n00');
    expect(withHeader('\xa0a\xa0')).toContain('x-a:\xa0a\xa0\n');
  });

  it.each([undefined, 'a\nx-b:c', ['a', 'b\r'], 'a\0', '\x7f'])('is refused where a signed header is %j', (value) => {
    expect(() => withHeader(value)).toThrow('does not match');
  });

  it('is refused where the method holds a line break', () => {
    const headers = { host: 'localhost', 'x-a': 'a' };
    expect(() => canonicalRequest({ ...parts, method: 'GET\n/a', headers })).toThrow('does not match');
  });
});

describe('URI encoding', () => {
  it('agrees with encodeURIComponent but for the characters that one leaves alone', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const expected = encodeURIComponent(text).replace(
          /[!'()*]/g,
          (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
        );
        expect(uriEncode(Buffer.from(text, 'utf8').toString('latin1'))).toBe(expected);
      }),
    );
  });

  it('is undone by decoding, and is its own canonical form', () => {
    fc.assert(
      fc.property(bytes, (text) => {
        expect(decodeComponent(uriEncode(text))).toBe(text);
        expect(canonicalComponent(uriEncode(text))).toBe(uriEncode(text));
      }),
    );
  });

  it('refuses what is not bytes', () => {
    expect(() => uriEncode('ሴ')).toThrow('a character that is not a byte');
    expect(() => canonicalComponent('ሴ')).toThrow('a character that is not a byte');
  });
});
