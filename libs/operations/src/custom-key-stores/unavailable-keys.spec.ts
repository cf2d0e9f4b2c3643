import { disconnect, keyInStore } from '../../../../test/support/memory-key-stores';
import { MemoryOperations } from '../../../../test/support/memory-operations';
import { PUBLISHED_CELLS } from '../../../../test/support/published-states';

const ROOT = 'arn:aws:iam::000000000000:root';
const Plaintext = 'AAAA';

interface Asked {
  KeyId: string;
  CiphertextBlob: string;
  GrantId: string;
}

/** What can be asked of a key in a custom key store, by operation: the others are about keys of another kind. */
const REQUESTS: Record<string, (asked: Asked) => object> = {
  Encrypt: ({ KeyId }) => ({ KeyId, Plaintext }),
  Decrypt: ({ CiphertextBlob }) => ({ CiphertextBlob }),
  ReEncrypt: ({ KeyId, CiphertextBlob }) => ({ CiphertextBlob, DestinationKeyId: KeyId }),
  GenerateDataKey: ({ KeyId }) => ({ KeyId, KeySpec: 'AES_256' }),
  GenerateDataKeyWithoutPlaintext: ({ KeyId }) => ({ KeyId, KeySpec: 'AES_256' }),
  GenerateDataKeyPair: ({ KeyId }) => ({ KeyId, KeyPairSpec: 'ECC_NIST_P256' }),
  GenerateDataKeyPairWithoutPlaintext: ({ KeyId }) => ({ KeyId, KeyPairSpec: 'ECC_NIST_P256' }),
  GetParametersForImport: ({ KeyId }) => ({
    ...{ KeyId, WrappingAlgorithm: 'RSAES_OAEP_SHA_256', WrappingKeySpec: 'RSA_2048' },
  }),
  ImportKeyMaterial: ({ KeyId }) => ({
    ...{ KeyId, ImportToken: 'AAAA', EncryptedKeyMaterial: 'AAAA', ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' },
  }),
  DeleteImportedKeyMaterial: ({ KeyId }) => ({ KeyId }),
  CreateGrant: ({ KeyId }) => ({ KeyId, GranteePrincipal: ROOT, Operations: ['Encrypt'] }),
  CancelKeyDeletion: ({ KeyId }) => ({ KeyId }),
  ScheduleKeyDeletion: ({ KeyId }) => ({ KeyId }),
  EnableKey: ({ KeyId }) => ({ KeyId }),
  DisableKey: ({ KeyId }) => ({ KeyId }),
  EnableKeyRotation: ({ KeyId }) => ({ KeyId }),
  DisableKeyRotation: ({ KeyId }) => ({ KeyId }),
  RotateKeyOnDemand: ({ KeyId }) => ({ KeyId }),
  GetKeyRotationStatus: ({ KeyId }) => ({ KeyId }),
  ListKeyRotations: ({ KeyId }) => ({ KeyId }),
  CreateAlias: ({ KeyId }) => ({ AliasName: 'alias/new', TargetKeyId: KeyId }),
  UpdateAlias: ({ KeyId }) => ({ AliasName: 'alias/old', TargetKeyId: KeyId }),
  TagResource: ({ KeyId }) => ({ KeyId, Tags: [{ TagKey: 'a', TagValue: 'b' }] }),
  UntagResource: ({ KeyId }) => ({ KeyId, TagKeys: ['a'] }),
  UpdateKeyDescription: ({ KeyId }) => ({ KeyId, Description: 'b' }),
  DescribeKey: ({ KeyId }) => ({ KeyId }),
  GetKeyPolicy: ({ KeyId }) => ({ KeyId }),
  PutKeyPolicy: ({ KeyId }) => ({
    KeyId,
    Policy: JSON.stringify({
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Principal: { AWS: ROOT }, Action: 'kms:*', Resource: '*' }],
    }),
  }),
  DeleteAlias: () => ({ AliasName: 'alias/old' }),
  ListAliases: ({ KeyId }) => ({ KeyId }),
  ListGrants: ({ KeyId }) => ({ KeyId }),
  ListKeyPolicies: ({ KeyId }) => ({ KeyId }),
  ListResourceTags: ({ KeyId }) => ({ KeyId }),
  RetireGrant: ({ KeyId, GrantId }) => ({ KeyId, GrantId }),
  RevokeGrant: ({ KeyId, GrantId }) => ({ KeyId, GrantId }),
};

const cells = PUBLISHED_CELLS.flatMap(([operation, state, code]): [string, string][] =>
  state === 'Unavailable' && REQUESTS[operation] ? [[operation, code === 'ok' ? 'OK' : code]] : [],
);

test('all operations are tried that a key in a custom key store knows', () => {
  expect(cells.map(([operation]) => operation).sort()).toEqual(Object.keys(REQUESTS).sort());
});

describe.each(['cluster', 'external'] as const)('a key whose store is not connected (%s)', (kind) => {
  test.each(cells)('answers %s with %s, as AWS’s table of key states has it', async (operation, code) => {
    const operations = new MemoryOperations();
    const { KeyId, CustomKeyStoreId } = await keyInStore(operations, kind);
    const ok = async (name: string, input: object) => (await operations.call(name, input)).body as unknown as Asked;
    const { CiphertextBlob } = await ok('Encrypt', { KeyId, Plaintext });
    const { GrantId } = await ok('CreateGrant', { KeyId, GranteePrincipal: ROOT, Operations: ['Decrypt'] });
    await ok('CreateAlias', { AliasName: 'alias/old', TargetKeyId: KeyId });
    await disconnect(operations, CustomKeyStoreId);
    const answer = await operations.call(operation, REQUESTS[operation]!({ KeyId, CiphertextBlob, GrantId }));
    expect(answer).toMatchObject({ code });
  });
});
