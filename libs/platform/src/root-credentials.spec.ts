import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { awsConfigPaths, CredentialsFileError, rootCredentials } from './root-credentials';
import { parseSettings } from './settings';

let dataDir: string;

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-credentials-'));
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

const credentials = (extra: Record<string, string> = {}) =>
  rootCredentials(parseSettings({ KEYTRAIL_DATA_DIR: dataDir, ...extra }));

describe('the root credentials', () => {
  test('are made once and kept', () => {
    const made = credentials();
    expect(made.secretAccessKey).toHaveLength(40);
    expect(credentials()).toEqual(made);
  });

  test('are those of the settings, which are kept too', () => {
    const given = { accessKeyId: 'AKIAGIVEN', secretAccessKey: 'a/secret+of=mine' };
    const settings = {
      KEYTRAIL_ROOT_ACCESS_KEY_ID: given.accessKeyId,
      KEYTRAIL_ROOT_SECRET_ACCESS_KEY: given.secretAccessKey,
    };
    expect(credentials(settings)).toEqual(given);
    expect(credentials()).toEqual(given);
  });

  test.each(['with space', 'with\nline break', 'ümläut'])('are not %j, which the file could not hold', (secret) => {
    const settings = { KEYTRAIL_ROOT_ACCESS_KEY_ID: 'AKIAGIVEN', KEYTRAIL_ROOT_SECRET_ACCESS_KEY: secret };
    expect(() => credentials(settings)).toThrow('KEYTRAIL_ROOT_SECRET_ACCESS_KEY=***');
  });

  test('are never other ones than were made, whichever bit of the file is flipped', () => {
    const made = credentials();
    const path = awsConfigPaths(dataDir).credentials;
    const whole = readFileSync(path);
    for (let bit = 0; bit < whole.length * 8; bit++) {
      const damaged = Buffer.from(whole);
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      writeFileSync(path, damaged);
      try {
        expect(credentials()).toEqual(made);
      } catch (error) {
        if (!(error instanceof CredentialsFileError)) throw error;
        expect(error.message).toContain(path);
        expect(readFileSync(path)).toEqual(damaged);
      }
    }
  });

  test('are those of a file that an earlier release wrote, or from which somebody took the checksum', () => {
    const path = awsConfigPaths(dataDir).credentials;
    credentials();
    const changed = readFileSync(path, 'utf8').replace(/secret_access_key = .*/, 'secret_access_key = changed');
    writeFileSync(path, changed);
    expect(() => credentials()).toThrow(`${path}: the access key does not fit its checksum`);
    writeFileSync(path, changed.replace(/^#.*\n/, ''));
    expect(credentials().secretAccessKey).toBe('changed');
    expect(credentials().secretAccessKey).toBe('changed');
  });

  test('are never taken from a file that was cut short, at whichever byte', () => {
    const { secretAccessKey } = credentials();
    const path = awsConfigPaths(dataDir).credentials;
    const whole = readFileSync(path, 'utf8');
    for (let length = 0; length < whole.length; length++) {
      writeFileSync(path, whole.slice(0, length));
      expect(() => credentials()).toThrow(CredentialsFileError);
      expect(() => credentials()).toThrow(path);
      expect(readFileSync(path, 'utf8')).toHaveLength(length);
    }
    writeFileSync(path, whole);
    expect(credentials().secretAccessKey).toBe(secretAccessKey);
  });
});
