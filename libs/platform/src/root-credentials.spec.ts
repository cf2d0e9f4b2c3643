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
