import { httpPort, httpUrl } from './http-address';
import { parseSettings } from './settings';

describe('the address of HTTP', () => {
  test.each([
    ['127.0.0.1', 'http://127.0.0.1:4599'],
    ['0.0.0.0', 'http://127.0.0.1:4599'],
    ['::', 'http://[::1]:4599'],
    ['::1', 'http://[::1]:4599'],
    ['fe80::1', 'http://[fe80::1]:4599'],
    ['kms.example', 'http://kms.example:4599'],
  ])('of a service on %s is %s', (host, url) => {
    expect(httpUrl(host, 4599)).toBe(url);
  });

  test('has the port of the API for a gateway, whatever the port for health', () => {
    const settings = parseSettings({ KEYTRAIL_PORT: '4600', KEYTRAIL_HEALTH_PORT: '8080' });
    expect(httpPort(['gateway'], settings)).toBe(4600);
    expect(httpPort(['key-manager'], settings)).toBe(8080);
    expect(httpPort(['key-manager'], parseSettings({}))).toBeUndefined();
  });
});
