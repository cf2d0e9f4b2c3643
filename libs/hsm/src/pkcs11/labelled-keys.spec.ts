import { createHash, randomBytes } from 'node:crypto';
import { type SoftHsm, softHsm, softHsmModule } from '../../../../test/support/softhsm';
import { TokenClient } from './token-client';

const modulePath = softHsmModule();
const aad = Buffer.from('bound');
const data = Buffer.from('to be encrypted');

(modulePath === undefined ? describe.skip : describe)('keys of a token that are known by their label', () => {
  let hsm: SoftHsm;
  let token: TokenClient;
  let iv: Buffer;

  beforeAll(() => {
    hsm = softHsm(modulePath!);
    token = new TokenClient(hsm, { pauseMs: 0, maxPauseMs: 0 });
  });
  beforeEach(() => {
    iv = randomBytes(12);
  });
  afterAll(async () => {
    await token.close();
    hsm.remove();
  });

  const newId = (): string => randomBytes(8).toString('hex');

  test('are found by the whole of it, with what they may do', async () => {
    const id = newId();
    await token.call('generateKey', { label: 'one', id });
    await token.call('generateKey', { label: 'one-more', id: newId() });
    expect(await token.call('keysLabelled', { label: 'one' })).toEqual([
      { id, bytes: 32, mayEncrypt: true, mayDecrypt: true },
    ]);
    expect(await token.call('keysLabelled', { label: 'on' })).toEqual([]);
  });

  test('do what they were made for, and nothing else', async () => {
    const [encrypts, decrypts] = [newId(), newId()];
    await token.call('generateKey', { label: 'encrypts', id: encrypts, mayDecrypt: false });
    await token.call('generateKey', { label: 'decrypts', id: decrypts, mayEncrypt: false });
    expect(await token.call('keysLabelled', { label: 'encrypts' })).toMatchObject([
      { mayDecrypt: false, mayEncrypt: true },
    ]);
    expect(await token.call('keysLabelled', { label: 'decrypts' })).toMatchObject([
      { mayDecrypt: true, mayEncrypt: false },
    ]);
    const sealed = await token.call('encrypt', { id: encrypts, iv, aad, data });
    await expect(token.call('decrypt', { id: encrypts, iv, aad, data: sealed })).rejects.toThrow(
      /FUNCTION_NOT_PERMITTED/,
    );
    await expect(token.call('encrypt', { id: decrypts, iv, aad, data })).rejects.toThrow(/FUNCTION_NOT_PERMITTED/);
  });

  test('that only decrypt say of what was altered that it was, and not that the HSM is gone', async () => {
    const id = newId();
    await token.call('generateKey', { label: 'only', id, mayEncrypt: false });
    await expect(token.call('decrypt', { id, label: 'only', iv, aad, data: randomBytes(40) })).rejects.toMatchObject({
      failure: 'altered',
    });
  });

  test('are told apart by their label where somebody gave them the same id', async () => {
    const id = newId();
    await token.call('generateKey', { label: 'twin-a', id });
    await token.call('generateKey', { label: 'twin-b', id });
    const sealed = await Promise.all(
      ['twin-a', 'twin-b'].map((label) => token.call('encrypt', { id, label, iv, aad, data })),
    );
    expect(new Set(sealed.map((some) => createHash('sha256').update(some).digest('hex'))).size).toBe(2);
    for (const [at, label] of ['twin-a', 'twin-b'].entries()) {
      expect(Buffer.from(await token.call('decrypt', { id, label, iv, aad, data: sealed[at]! }))).toEqual(data);
      const other = token.call('decrypt', { id, label, iv, aad, data: sealed[1 - at]! });
      await expect(other).rejects.toMatchObject({ failure: 'altered' });
    }
    await expect(token.call('encrypt', { id, label: 'twin-c', iv, aad, data })).rejects.toMatchObject({
      failure: 'no-key',
    });
  });

  test('are gone once they are destroyed, by another process too', async () => {
    const id = newId();
    await token.call('generateKey', { label: 'gone', id });
    await token.call('encrypt', { id, label: 'gone', iv, aad, data });
    const other = new TokenClient(hsm);
    await other.call('destroyKey', { id });
    await other.close();
    await expect(token.call('encrypt', { id, label: 'gone', iv, aad, data })).rejects.toMatchObject({
      failure: 'no-key',
    });
    expect(await token.call('keysLabelled', { label: 'gone' })).toEqual([]);
  });
});
