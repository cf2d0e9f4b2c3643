import fc from 'fast-check';
import { isUriPath, isXksKeyId, pathOf, proxyEndpoint, type Route, routeOf } from './paths';

const PREFIX = '/some/prefix/kms/xks/v1';
const keyId = fc.stringMatching(/^[a-zA-Z0-9_.-]{1,128}$/);

test('every route has a path of its own', () => {
  const route: fc.Arbitrary<Route> = fc.oneof(
    fc.constant({ operation: 'health' as const }),
    fc.record({ operation: fc.constantFrom('metadata' as const, 'encrypt' as const, 'decrypt' as const), keyId }),
  );
  fc.assert(fc.property(route, (one) => expect(routeOf(PREFIX, pathOf(PREFIX, one))).toEqual(one)));
});

test.each([
  [''],
  ['/'],
  [PREFIX],
  [`${PREFIX}/`],
  [`${PREFIX}/health/`],
  [`${PREFIX}/Health`],
  [`${PREFIX}//health`],
  [`/other${PREFIX}/health`],
  ['/kms/xks/v1/health'],
  [`${PREFIX}/keys/a`],
  [`${PREFIX}/keys/a/`],
  [`${PREFIX}/keys//encrypt`],
  [`${PREFIX}/keys/a/encrypt/`],
  [`${PREFIX}/keys/a/destroy`],
  [`${PREFIX}/keys/a/toString`],
  [`${PREFIX}/keys/a%2Fb/encrypt`],
  [`${PREFIX}/keys/${'a'.repeat(129)}/encrypt`],
])('%s is no path of the API', (path) => {
  expect(routeOf(PREFIX, path)).toBeUndefined();
});

test.each([
  ['/kms/xks/v1', true],
  ['/a/b_c-d/kms/xks/v1', true],
  [`/${'a'.repeat(116)}/kms/xks/v1`, true],
  [`/${'a'.repeat(117)}/kms/xks/v1`, false],
  ['/kms/xks/v2', false],
  ['/kms/xks/v1/', false],
  ['kms/xks/v1', false],
  ['/a.b/kms/xks/v1', false],
  ['/a?/kms/xks/v1', false],
])('whether %s is a path of a proxy: %s', (path, is) => {
  expect(isUriPath(path)).toBe(is);
});

test.each([
  ['https://xks.example.com', false, true],
  ['https://xks', false, true],
  ['http://xks.example.com', true, false],
  ['https://xks.example.com/', true, false],
  ['https://xks.example.com:8443', true, false],
  ['https://user@xks.example.com', true, false],
  ['https://10.1.2.3', true, false],
  ['https://0x7f.1', true, false],
  ['https://2130706433', true, false],
  ['https://a..b', false, true],
  [`https://${'a'.repeat(121)}`, false, false],
  ['http://localhost:4600', false, false],
  ['http://localhost:4600', true, true],
  ['http://127.0.0.1:4600', true, true],
  ['http://[::1]:4600', true, true],
  ['http://127.0.0.1:99999', true, false],
  ['http://127.0.0.2:80', true, false],
])('whether %s is an endpoint, loopback allowed %s: %s', (text, allowLoopback, is) => {
  expect(proxyEndpoint(text, allowLoopback) !== undefined).toBe(is);
});

test('an id of a key has 1 to 128 characters of those that AWS KMS takes', () => {
  for (const id of ['a', 'A.b_c-9', 'x'.repeat(128)]) expect(isXksKeyId(id)).toBe(true);
  for (const id of ['', 'x'.repeat(129), 'a b', 'a/b', 'ä', 'a\n']) expect(isXksKeyId(id)).toBe(false);
});
