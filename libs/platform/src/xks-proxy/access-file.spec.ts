import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NO_ACCESS } from '#xks/access';
import { changeAccess, readAccess } from './access-file';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'keytrail-access-'));
  file = join(folder, 'credentials.json');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const disabling = (id: string) => (access: typeof NO_ACCESS) => ({ ...access, disabledKeys: [id] });

test('is nobody, where there is no file, and what was written afterwards', () => {
  expect(readAccess(file)).toEqual(NO_ACCESS);
  changeAccess(file, disabling('a'));
  expect(readAccess(file)).toEqual({ credentials: [], disabledKeys: ['a'] });
  expect(readdirSync(folder)).toEqual(['credentials.json']);
});

test('is not changed by two at once, and stays as it was where the change fails', () => {
  changeAccess(file, disabling('a'));
  expect(() =>
    changeAccess(file, (access) => {
      changeAccess(file, disabling('b'));
      return access;
    }),
  ).toThrow(`${file}: is being changed by another command (pid ${process.pid}); try again`);
  expect(readAccess(file).disabledKeys).toEqual(['a']);
  changeAccess(file, disabling('c'));
  expect(readAccess(file).disabledKeys).toEqual(['c']);
});
