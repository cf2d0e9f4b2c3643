import {
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeHsmProvider, describeRootEpochs } from './hsm-provider.suite';
import { RootKeyError } from './root-key-error';
import { createRootKeyFile, removeRootKeys } from './root-key-file';
import { SoftwareHsmProvider } from './software-provider';

const base64 = (fill: number): string => Buffer.alloc(32, fill).toString('base64');
const fromEnvironment = (fill: number) => async () =>
  SoftwareHsmProvider.open({ rootKeyBase64: base64(fill), mayCreate: false });

describeHsmProvider('the software provider', { open: fromEnvironment(1), openOther: fromEnvironment(2) });

describeRootEpochs('the software provider', () => {
  const folder = mkdtempSync(join(tmpdir(), 'root-epochs-'));
  const rootKeyFile = join(folder, 'root-key.json');
  return {
    open: async (key) => SoftwareHsmProvider.open({ rootKeyFile, mayCreate: true, key }),
    remove: () => rmSync(folder, { recursive: true }),
  };
});

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

  describe('that is rotated', () => {
    const keysIn = (text: string): string[] => [...text.matchAll(/"key":"([^"]+)"/g)].map(([, key]) => key!);
    const onDisk = (text: string): string[] =>
      readdirSync(folder).filter((name) => readFileSync(join(folder, name)).includes(text));

    it('is kept with its successor in one file for its owner only, until it is destroyed', async () => {
      const provider = openFile(true);
      const [old] = keysIn(readFileSync(file, 'utf8'));
      // What the file was before, under a name of its own: whatever becomes of its bytes.
      linkSync(file, join(folder, 'still-linked'));
      provider.use(await provider.makeEpoch(2));
      expect(statSync(file)).toMatchObject({ mode: 0o100600 });
      expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ epochs: [{ epoch: 1, key: old }, { epoch: 2 }] });
      expect(onDisk(old!)).toEqual(['root-key.json']);
      await provider.destroyEpoch(1);
      expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ epoch: 2, id: expect.any(String) });
      expect(onDisk(old!)).toEqual([]);
      expect(readdirSync(folder).sort()).toEqual(['root-key.json', 'still-linked']);
    });

    it('is wiped from every file that a crash has left beside its own', async () => {
      const provider = openFile(true);
      const before = readFileSync(file);
      provider.use(await provider.makeEpoch(2));
      const leftOver = [`${file}.0123456789ab.old`, `${file}.ba9876543210.tmp`];
      for (const path of leftOver) writeFileSync(path, before, { mode: 0o600 });
      writeFileSync(`${file}.backup`, 'not ours');
      // What is left of the file whose name it had before shows what becomes of its bytes.
      linkSync(leftOver[0]!, join(folder, 'still-linked'));
      await provider.destroyEpoch(1);
      expect(readdirSync(folder).sort()).toEqual(['root-key.json', 'root-key.json.backup', 'still-linked']);
      expect(onDisk(keysIn(before.toString())[0]!)).toEqual([]);
      expect(statSync(join(folder, 'still-linked')).size).toBe(before.length);
    });

    it('is not the last one to be removed', () => {
      createRootKeyFile(file);
      expect(() => removeRootKeys(file, 1)).toThrow(RangeError);
      expect(keysIn(readFileSync(file, 'utf8'))).toHaveLength(1);
    });

    it('is refused where it comes from the environment, with what to do', async () => {
      const provider = await fromEnvironment(1)();
      await expect(provider.makeEpoch(2)).rejects.toThrow(
        /^the root key is in KEYTRAIL_ROOT_KEY, which .* root\/root-key.json/,
      );
      await expect(provider.makeEpoch(2)).rejects.toThrow(RootKeyError);
    });

    it.each([
      ['two keys of one epoch', { epochs: [1, 1].map((epoch) => ({ epoch, key: base64(1) })) }],
      ['no key at all', { epochs: [] }],
      [
        'a bad one among them',
        {
          epochs: [
            { epoch: 1, key: base64(1) },
            { epoch: 2, key: 'SECRET' },
          ],
        },
      ],
      ['an id that is no text', { epoch: 1, id: 5, key: base64(1) }],
    ])('is refused from a file with %s', (_what, content) => {
      put(JSON.stringify(content));
      expect(errorOf(openFile)).toBeInstanceOf(RootKeyError);
      expect(errorOf(openFile).message).not.toMatch(/SECRET/);
    });

    it('says which epochs there are where the log names another', () => {
      createRootKeyFile(file);
      const key = { epoch: 3, id: 'ab' };
      expect(errorOf(() => SoftwareHsmProvider.open({ rootKeyFile: file, mayCreate: false, key })).message).toMatch(
        /root-key.json: the log names another root key, of epoch 3 \(it has 1\); restore/,
      );
    });
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
