import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SettingsError } from '../settings';
import { XKS_PROXY_SETTING_TABLE, XKS_PROXY_SETTINGS } from './setting-names';
import { parseXksProxySettings } from './xks-proxy-settings';

const NEEDED = {
  KEYTRAIL_XKS_PKCS11_MODULE: '/usr/lib/module.so',
  KEYTRAIL_XKS_PKCS11_TOKEN: 'token',
  KEYTRAIL_XKS_PKCS11_PIN_FILE: '/pin',
};
const parsed = (more: Record<string, string> = {}) => parseXksProxySettings({ ...NEEDED, ...more });

test('with a token alone, it is served on loopback', () => {
  expect(parsed()).toMatchObject({
    ...{ host: '127.0.0.1', port: 4600, uriPath: '/kms/xks/v1', hsmTimeoutMs: 200, fleetSize: 1 },
    token: { module: '/usr/lib/module.so', label: 'token', pinFile: '/pin', sessions: 4 },
    healthKey: 'keytrail-xks-health',
    unknown: [],
  });
  expect(parsed().accessFile).toMatch(/\/data\/xks\/access\.json$/);
  expect(parsed({ KEYTRAIL_DATA_DIR: '/d' }).accessFile).toBe('/d/xks/access.json');
});

test.each<[Record<string, string>, RegExp]>([
  [{ KEYTRAIL_XKS_PORT: '70000' }, /KEYTRAIL_XKS_PORT="70000": expected a whole number from 0 to 65535/],
  [{ KEYTRAIL_XKS_HSM_TIMEOUT_MS: '5' }, /KEYTRAIL_XKS_HSM_TIMEOUT_MS="5": expected a whole number from 10 to 60000/],
  [{ KEYTRAIL_XKS_HEALTH_KEY: 'a b' }, /KEYTRAIL_XKS_HEALTH_KEY="a b": expected the label of a key/],
  [{ KEYTRAIL_XKS_PKCS11_TOKEN: 'x'.repeat(33) }, /KEYTRAIL_XKS_PKCS11_TOKEN=.*: expected the label of a token/],
  [{ KEYTRAIL_XKS_TLS_KEY: '/k' }, /KEYTRAIL_XKS_TLS_CERT and KEYTRAIL_XKS_TLS_KEY: expected both or neither/],
  [{ KEYTRAIL_XKS_TLS_CLIENT_CA: '/ca' }, /KEYTRAIL_XKS_TLS_CLIENT_CA: expected only with/],
  [{ KEYTRAIL_XKS_TLS_CLIENT_NAME: 'x' }, /KEYTRAIL_XKS_TLS_CLIENT_NAME: expected only with/],
  [{ KEYTRAIL_XKS_HOST: 'xks.example.com' }, /Set KEYTRAIL_XKS_TLS_CERT and KEYTRAIL_XKS_TLS_KEY, or/],
])('%j is refused', (more, message) => {
  expect(() => parsed(more)).toThrow(SettingsError);
  expect(() => parsed(more)).toThrow(message);
});

test('all that is wrong is said at once', () => {
  expect(() => parseXksProxySettings({ KEYTRAIL_XKS_PORT: 'x' })).toThrow(
    /KEYTRAIL_XKS_PKCS11_MODULE: .*\n.*KEYTRAIL_XKS_PKCS11_TOKEN: .*\n.*KEYTRAIL_XKS_PKCS11_PIN_FILE: /s,
  );
});

test('plain HTTP elsewhere than on loopback is served where that is asked for', () => {
  expect(parsed({ KEYTRAIL_XKS_HOST: '0.0.0.0', KEYTRAIL_XKS_ALLOW_PLAIN_HTTP: 'true' }).host).toBe('0.0.0.0');
});

test('a name that is none of its settings is noticed, one of the client of external key stores is not', () => {
  const more = { KEYTRAIL_XKS_PROT: '1', KEYTRAIL_XKS_STORE_CA: '/ca', KEYTRAIL_PORT: '2' };
  expect(parsed(more).unknown).toEqual(['KEYTRAIL_XKS_PROT']);
});

test('the help shows every setting that is read, and what holds without it', () => {
  const source = readFileSync(join(__dirname, 'xks-proxy-settings.ts'), 'utf8');
  const read = [...source.matchAll(/'(KEYTRAIL_XKS_\w+)'/g)].map(([, name]) => name);
  const destructured = [...source.matchAll(/\{ (KEYTRAIL_XKS_\w+):/g)].map(([, name]) => name);
  expect([...new Set([...read, ...destructured])].sort()).toEqual([...XKS_PROXY_SETTINGS].sort());
  for (const [name, otherwise] of XKS_PROXY_SETTING_TABLE) expect([name, otherwise.length > 0]).toEqual([name, true]);
});
