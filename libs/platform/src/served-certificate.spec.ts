import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { findOpenssl, TestAuthority } from '../../../test/support/certificates';
import { endsInItsOwnAuthority, ServedCertificate } from './served-certificate';
import { SettingsError } from './settings';

const suite = findOpenssl() === undefined ? describe.skip : describe;

suite('the certificate that is served', () => {
  const log = pino({ level: 'silent' });
  let work: string;
  let authority: TestAuthority;
  let garbage: string;

  beforeAll(() => {
    work = mkdtempSync(join(tmpdir(), 'keytrail-certificate-'));
    authority = new TestAuthority(work);
    garbage = join(work, 'garbage.pem');
    writeFileSync(garbage, 'no certificate');
  });

  afterAll(() => rmSync(work, { recursive: true, force: true }));

  const open = (files: { cert?: string; key?: string; clientCa?: string }) =>
    new ServedCertificate({ ...authority.issue('server'), clientCa: undefined, ...files }, log);

  it('asks clients for one only where an authority for them is set', () => {
    expect(open({}).options).toMatchObject({ requestCert: false, minVersion: 'TLSv1.2' });
    expect(open({ clientCa: authority.ca }).options).toMatchObject({ requestCert: true, rejectUnauthorized: true });
    expect(open({}).notAfter).toBeGreaterThan(Date.now() / 1000);
  });

  it.each([
    [
      'a file that is not there',
      () => ({ cert: '/nowhere.pem' }),
      'KEYTRAIL_TLS_CERT=/nowhere.pem: cannot be read (ENOENT)',
    ],
    ['a folder', () => ({ key: work }), 'cannot be read (EISDIR)'],
    [
      'a key of another certificate',
      () => ({ key: authority.issue('other').key }),
      'cannot be used: key values mismatch',
    ],
    ['a certificate that is none', () => ({ cert: garbage }), 'cannot be used: no start line'],
    ['a key that is none', () => ({ key: garbage }), 'cannot be used: '],
    ['authorities that are none', () => ({ clientCa: garbage }), 'cannot be used: '],
  ])('cannot be %s', (_what, files, said) => {
    expect(() => open(files())).toThrow(SettingsError);
    expect(() => open(files())).toThrow(said);
  });

  it('vouches for itself where its chain ends in an authority that does', () => {
    const chain = readFileSync(authority.issue('chained').cert, 'utf8');
    expect(endsInItsOwnAuthority(chain)).toBe(true);
    expect(endsInItsOwnAuthority(readFileSync(authority.ca, 'utf8'))).toBe(true);
    expect(endsInItsOwnAuthority(chain.slice(0, chain.indexOf('-----END') + 26))).toBe(false);
    expect(endsInItsOwnAuthority('no certificate')).toBe(false);
  });
});
