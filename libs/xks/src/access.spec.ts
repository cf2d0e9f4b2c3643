import { type Access, formatAccess, mayUse, parseAccess } from './access';

const CREDENTIAL = { accessKeyId: 'ABCDEFGHIJKLMNOPQRST', secretAccessKey: 'sEcReT'.repeat(8), keys: ['*'] };
const parsed = (json: object) => parseAccess(JSON.stringify(json));

test('who may use what is read as it was written', () => {
  const other = { ...CREDENTIAL, accessKeyId: 'TSRQPONMLKJIHGFEDCBA', keys: ['a', 'b.c'] };
  const access: Access = { credentials: [CREDENTIAL, other], disabledKeys: ['d'] };
  expect(parseAccess(formatAccess(access))).toEqual(access);
  expect(parsed({})).toEqual({ credentials: [], disabledKeys: [] });
});

test('a credential may use the keys that it names, or all', () => {
  expect(mayUse(CREDENTIAL, 'any')).toBe(true);
  expect(mayUse({ ...CREDENTIAL, keys: ['a'] }, 'a')).toBe(true);
  expect(mayUse({ ...CREDENTIAL, keys: ['a'] }, 'aa')).toBe(false);
  expect(mayUse({ ...CREDENTIAL, keys: [] }, '*')).toBe(false);
});

test.each<[object, string]>([
  [{ credentials: {} }, 'credentials: expected an array'],
  [{ disabledKeys: ['a b'] }, 'disabledKeys: expected an array of key ids'],
  [{ disabledKeys: ['*'] }, 'disabledKeys: expected an array of key ids'],
  [{ Credentials: [] }, '"Credentials": expected credentials and disabledKeys alone'],
  [{ credentials: [null] }, 'credentials[0]: expected an object'],
  [
    { credentials: [{ ...CREDENTIAL, accessKeyId: 'short' }] },
    'credentials[0].accessKeyId: expected 20 to 30 of the characters A to Z and 2 to 7',
  ],
  [
    { credentials: [CREDENTIAL, { ...CREDENTIAL, secretAccessKey: 'sEcReT' }] },
    'credentials[1].secretAccessKey: expected 43 to 64 characters of Base64',
  ],
  [{ credentials: [{ ...CREDENTIAL, keys: '*' }] }, 'credentials[0].keys: expected an array of key ids, or ["*"]'],
  [{ credentials: [CREDENTIAL, CREDENTIAL] }, 'credentials[1].accessKeyId: there is another of the same'],
])('%j is refused, and no secret is quoted', (json, message) => {
  expect(parsed(json)).toBe(message);
  expect(message).not.toContain('sEcReT');
});

test('a file that is no JSON is refused', () => {
  expect(parseAccess('{')).toBe('is not well-formed JSON');
});
