import fc from 'fast-check';
import { endOffLoop } from '#hsm/off-loop';
import { change, changed } from '../../../test/support/changed-bytes';
import { FUZZ_SEED } from '../../../test/support/fuzzed-requests';
import { MemoryOperations } from '../../../test/support/memory-operations';

const Plaintext = Buffer.from('a secret').toString('base64');
const EncryptionContext = { purpose: 'fuzz' };

let kms: MemoryOperations;

beforeAll(() => {
  kms = new MemoryOperations();
});
afterAll(endOffLoop);

/** That what came of a changed ciphertext is a refusal that its caller can do something about, and never the plaintext. */
async function expectRefused(
  operation: string,
  member: string,
  input: object,
  good: string,
  runs: number,
): Promise<void> {
  const original = Buffer.from(good, 'base64');
  const seen = new Set<string>();
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), async (changes) => {
      const blob = changes.reduce<Buffer>(changed, original);
      if (blob.equals(original)) return;
      // An internal error is thrown here, by the observer of the call.
      const { code, message } = await kms.call(operation, { ...input, [member]: blob.toString('base64') });
      seen.add(code === 'ValidationException' ? `${code} of ${/at '(\w+)'/.exec(message)?.[1]}` : code);
    }),
    { numRuns: runs, seed: FUZZ_SEED },
  );
  const empty = `ValidationException of ${member[0]!.toLowerCase()}${member.slice(1)}`;
  expect([...seen].filter((code) => code !== 'InvalidCiphertextException' && code !== empty)).toEqual([]);
  expect(await kms.call(operation, { ...input, [member]: good })).toMatchObject({ code: 'OK' });
}

test('10,000 changed ciphertexts of a symmetric key are refused', async () => {
  const { KeyId } = await kms.newKey();
  const { body } = await kms.call('Encrypt', { KeyId, Plaintext, EncryptionContext });
  const good = String(body['CiphertextBlob']);
  await expectRefused('Decrypt', 'CiphertextBlob', { EncryptionContext }, good, 8_000);
  await expectRefused('Decrypt', 'CiphertextBlob', { KeyId, EncryptionContext }, good, 1_000);
  const reEncrypted = { SourceEncryptionContext: EncryptionContext, DestinationKeyId: KeyId };
  await expectRefused('ReEncrypt', 'CiphertextBlob', reEncrypted, good, 1_000);
});

test.each([
  ['RSA_2048', 'RSAES_OAEP_SHA_256', 300],
  ['SM2', 'SM2PKE', 150],
])('changed ciphertexts of a key of %s are refused', async (KeySpec, EncryptionAlgorithm, runs) => {
  const made = await kms.call('CreateKey', { KeySpec, KeyUsage: 'ENCRYPT_DECRYPT' });
  const { KeyId } = made.body['KeyMetadata'] as { KeyId: string };
  const { body } = await kms.call('Encrypt', { KeyId, Plaintext, EncryptionAlgorithm });
  const input = { KeyId, EncryptionAlgorithm };
  await expectRefused('Decrypt', 'CiphertextBlob', input, String(body['CiphertextBlob']), runs);
});
