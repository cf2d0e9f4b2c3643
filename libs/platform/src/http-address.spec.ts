import { httpPort, httpUrl, listenAddress } from './http-address';
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
    expect(httpUrl({ host }, 4599)).toBe(url);
  });

  test('is one of HTTPS where there is a certificate', () => {
    expect(httpUrl({ host: '0.0.0.0', tlsCert: '/served/cert.pem' }, 4599)).toBe('https://127.0.0.1:4599');
  });

  test('is listened on by one server, whatever localhost stands for', () => {
    expect(['localhost', '127.0.0.1', '::1', '0.0.0.0'].map((host) => listenAddress({ host }))).toEqual([
      '127.0.0.1',
      '127.0.0.1',
      '::1',
      '0.0.0.0',
    ]);
  });

  test('has the port of the API for a gateway, whatever the port for health', () => {
    const settings = parseSettings({ KEYTRAIL_PORT: '4600', KEYTRAIL_HEALTH_PORT: '8080' });
    expect(httpPort(['gateway'], settings)).toBe(4600);
    expect(httpPort(['key-manager'], settings)).toBe(8080);
    expect(httpPort(['key-manager'], parseSettings({}))).toBeUndefined();
  });
});
