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

  test('that ignores the ciphertext must name the key', async () => {
    const { KeyId } = await operations.newKey();
    expect(await operations.call('Decrypt', PERMISSIONS_ONLY)).toMatchObject(missing("Value null at 'keyId'"));
    const reEncrypt = await operations.call('ReEncrypt', { DestinationKeyId: KeyId, ...PERMISSIONS_ONLY });
    expect(reEncrypt).toMatchObject(missing("Value null at 'sourceKeyId'"));
  });
});

test('what is no dry run needs its ciphertext and takes no modifiers', async () => {
  const { KeyId } = await operations.newKey();
  expect(await operations.call('Decrypt', { KeyId })).toMatchObject(missing("Value at 'ciphertextBlob'"));
  const modified = await operations.call('Decrypt', { KeyId, DryRunModifiers: ['IGNORE_CIPHERTEXT'] });
  expect(modified).toMatchObject({ code: 'ValidationException' });
});
