import { MemoryOperations } from '../../../test/support/memory-operations';

const operations = new MemoryOperations();
const ENDED = {
  code: 'DryRunOperationException',
  message: 'The request would have succeeded, but the DryRun option is set.',
};
const PERMISSIONS_ONLY = { DryRun: true, DryRunModifiers: ['IGNORE_CIPHERTEXT'] };
const missing = (sentence: string) => ({
  code: 'ValidationException',
  message: `1 validation error detected: ${sentence} failed to satisfy constraint: Member must not be null`,
});

describe('a dry run', () => {
  test('ends after every check of the ciphertext', async () => {
    const { KeyId } = await operations.newKey();
    const { body } = await operations.call('Encrypt', { KeyId, Plaintext: 'AAAA' });
    const decrypt = { CiphertextBlob: body['CiphertextBlob'], DryRun: true };
    expect(await operations.call('Decrypt', decrypt)).toMatchObject(ENDED);
    const otherContext = await operations.call('Decrypt', { ...decrypt, EncryptionContext: { a: 'b' } });
    expect(otherContext).toMatchObject({ code: 'InvalidCiphertextException' });
  });

  test('that ignores the ciphertext needs none, and looks at the keys', async () => {
    const { KeyId } = await operations.newKey();
    for (const CiphertextBlob of [undefined, 'AAAA']) {
      const decrypt = { KeyId, CiphertextBlob, ...PERMISSIONS_ONLY };
      expect(await operations.call('Decrypt', decrypt)).toMatchObject(ENDED);
      const reEncrypt = { SourceKeyId: KeyId, DestinationKeyId: KeyId, CiphertextBlob, ...PERMISSIONS_ONLY };
      expect(await operations.call('ReEncrypt', reEncrypt)).toMatchObject(ENDED);
    }
    await operations.call('DisableKey', { KeyId });
    const refused = await operations.call('Decrypt', { KeyId, ...PERMISSIONS_ONLY });
    expect(refused).toMatchObject({ code: 'DisabledException' });
  });

  test.each([
    ['Encrypt', { Plaintext: 'AAAA' }],
    ['GenerateDataKey', { KeySpec: 'AES_256' }],
    ['GenerateDataKeyWithoutPlaintext', { KeySpec: 'AES_256' }],
    ['Decrypt', PERMISSIONS_ONLY],
  ])('of %s refuses a context that is no text', async (operation, input) => {
    const { KeyId } = await operations.newKey();
    for (const EncryptionContext of [{ a: '\ud800' }, { '\udc00b': 'c' }]) {
      const request = { KeyId, ...input, EncryptionContext, DryRun: true };
      expect(await operations.call(operation, request)).toMatchObject({
        code: 'ValidationException',
        message: expect.stringContaining('well-formed Unicode'),
      });
    }
  });

  test.each([
    ['Encrypt', { Plaintext: 'AAAA' }],
    ['GenerateDataKey', { KeySpec: 'AES_256' }],
  ])('of %s does not pass without the key material', async (operation, input) => {
    const without = new MemoryOperations();
    const { KeyId } = await without.newKey();
    without.loseMaterial();
    await expect(without.call(operation, { KeyId, ...input, DryRun: true })).rejects.toThrow('no material');
  });

  test('has no key material on record, since it used none', async () => {
    const { KeyId } = await operations.newKey();
    const { body } = await operations.call('Encrypt', { KeyId, Plaintext: 'AAAA' });
    const { CiphertextBlob } = body;
    const used: unknown[] = [];
    operations.onRecord = (record) => used.push(record.additionalEventData);
    for (const [operation, input] of [
      ['Encrypt', { KeyId, Plaintext: 'AAAA' }],
      ['Decrypt', { CiphertextBlob }],
      ['ReEncrypt', { CiphertextBlob, DestinationKeyId: KeyId }],
      ['GenerateDataKey', { KeyId, KeySpec: 'AES_256' }],
    ] as const) {
      expect(await operations.call(operation, { ...input, DryRun: true })).toMatchObject(ENDED);
    }
    operations.onRecord = undefined;
    expect(used).toEqual(Array(4).fill({ decidedBy: expect.anything() }));
  });

  test('that ignores the ciphertext must name the key', async () => {
    const { KeyId } = await operations.newKey();
    expect(await operations.call('Decrypt', PERMISSIONS_ONLY)).toMatchObject(missing("Value null at 'keyId'"));
    const reEncrypt = await operations.call('ReEncrypt', { DestinationKeyId: KeyId, ...PERMISSIONS_ONLY });
    expect(reEncrypt).toMatchObject(missing("Value null at 'sourceKeyId'"));
  });
});

test('what is no dry run needs its ciphertext and takes no modifiers', async () => {
  const { KeyId } = await operations.newKey();
  expect(await operations.call('Decrypt', { KeyId })).toMatchObject(missing("Value null at 'ciphertextBlob'"));
  const modified = await operations.call('Decrypt', { KeyId, DryRunModifiers: ['IGNORE_CIPHERTEXT'] });
  expect(modified).toMatchObject({ code: 'ValidationException' });
});
