import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeHsmProvider } from './hsm-provider.suite';
import { RootKeyError } from './root-key-error';
import { createRootKeyFile } from './root-key-file';
import { SoftwareHsmProvider } from './software-provider';

const base64 = (fill: number): string => Buffer.alloc(32, fill).toString('base64');
const fromEnvironment = (fill: number) => async () =>
  SoftwareHsmProvider.open({ rootKeyBase64: base64(fill), mayCreate: false });

describeHsmProvider('the software provider', { open: fromEnvironment(1), openOther: fromEnvironment(2) });

describe('the software root key', () => {
  const aad = Buffer.from('aad');
  let folder: string;
  let file: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'root-key-'));
    file = join(folder, 'root-key.json');
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  const openFile = (mayCreate = false): SoftwareHsmProvider =>
    SoftwareHsmProvider.open({ rootKeyFile: file, mayCreate });
  const put = (content: string): void => writeFileSync(file, content, { mode: 0o600 });
  const errorOf = (action: () => unknown): Error => {
    try {
      action();
    } catch (error) {
      return error as Error;
    }
    throw new Error('expected an error');
  };

  it('is made where there is none, for its owner only, and serves from then on', async () => {
    const wrapped = await openFile(true).wrap(Buffer.from('material'), aad);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder)).toEqual(['root-key.json']);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({ epoch: 1, key: expect.stringMatching(/^[\w+/]{43}=$/) });
    expect((await openFile().unwrap(wrapped, aad)).toString()).toBe('material');
    expect((await openFile(true).unwrap(wrapped, aad)).toString()).toBe('material');
  });

  it('is made in a folder that is not there yet', () => {
    file = join(folder, 'deep', 'root-key.json');
    openFile(true);
    expect(statSync(join(folder, 'deep')).mode & 0o777).toBe(0o700);
  });

  it('is never made where materials would need the lost one', () => {
    const error = errorOf(() => openFile(false));
    expect(error).toBeInstanceOf(RootKeyError);
    expect(error.message).toMatch(`${file}: missing`);
    expect(error.message).toMatch(/restore it from its backup/);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('is never overwritten', () => {
    createRootKeyFile(file);
    const before = readFileSync(file, 'utf8');
    createRootKeyFile(file);
    expect(readFileSync(file, 'utf8')).toBe(before);
    expect(readdirSync(folder)).toEqual(['root-key.json']);
  });

  it('keeps its epoch', async () => {
    put(JSON.stringify({ epoch: 7, key: base64(1) }));
    expect(await openFile().currentEpoch()).toBe(7);
  });

  it.each([0o640, 0o604, 0o620, 0o777])('is refused when others may touch its file: mode %o', (mode) => {
    put(JSON.stringify({ epoch: 1, key: base64(1) }));
    chmodSync(file, mode);
    expect(errorOf(openFile).message).toMatch(`chmod 600 ${file}`);
  });

  it.each([
    ['an empty file', ''],
    ['no JSON', 'SECRET'],
    ['null', 'null'],
    ['no key', '{"epoch":1}'],
    ['no epoch', `{"key":"${base64(1)}"}`],
    ['epoch 0', `{"epoch":0,"key":"${base64(1)}"}`],
    ['a fraction for an epoch', `{"epoch":1.5,"key":"${base64(1)}"}`],
    ['a short key', '{"epoch":1,"key":"U0VDUkVU"}'],
    ['a key that is not base64', `{"epoch":1,"key":"SECRET${base64(1)}"}`],
  ])('is refused, without a word of it, from %s', (_what, content) => {
    put(content);
    const error = errorOf(openFile);
    expect(error).toBeInstanceOf(RootKeyError);
    expect(error.message).toMatch(file);
    expect(`${error.message} ${error.cause}`).not.toMatch(/SECRET|U0VDUkVU/);
  });

  it('is refused when its name is a folder', () => {
    mkdirSync(file, { mode: 0o700 });
    expect(errorOf(openFile)).toBeInstanceOf(RootKeyError);
  });

  it('comes from the environment first', async () => {
    put(JSON.stringify({ epoch: 1, key: base64(2) }));
    const both = SoftwareHsmProvider.open({ rootKeyBase64: base64(1), rootKeyFile: file, mayCreate: false });
    const wrapped = await both.wrap(Buffer.from('material'), aad);
    expect((await (await fromEnvironment(1)()).unwrap(wrapped, aad)).toString()).toBe('material');
  });

  it.each(['', 'SECRET', base64(1).slice(1), `${base64(1)}AAAA`])('is refused from a bad environment value', (text) => {
    const error = errorOf(() => SoftwareHsmProvider.open({ rootKeyBase64: text, mayCreate: true }));
    expect(error.message).toMatch(/^KEYTRAIL_ROOT_KEY: expected 32 bytes in base64/);
    expect(error.message).not.toMatch(/SECRET/);
  });

  it('must come from somewhere', () => {
    expect(errorOf(() => SoftwareHsmProvider.open({ mayCreate: true }))).toBeInstanceOf(RootKeyError);
  });
});
