import fc from 'fast-check';
import type { StoreFailure } from '#hsm/key-store/store-connection';
import {
  clusterRequest,
  connectedStore,
  disconnect,
  keyInStore,
  proxyRequest,
} from '../../../../test/support/memory-key-stores';
import { MemoryOperations } from '../../../../test/support/memory-operations';

const KINDS = ['cluster', 'external'] as const;
type Kind = (typeof KINDS)[number];
const DAY = 86_400_000;
const Plaintext = Buffer.from('what is kept in the store').toString('base64');
const EncryptionContext = { tenant: 'blue' };

async function started(kind: Kind) {
  const operations = new MemoryOperations();
  const { KeyId, Arn, CustomKeyStoreId } = await keyInStore(operations, kind);
  const backing = kind === 'cluster' ? operations.backings.ofCluster : operations.backings.ofProxy;
  const call = (name: string, input: object) => operations.call(name, input);
  const ok = async (name: string, input: object) => {
    const reply = await call(name, input);
    expect(reply).toMatchObject({ code: 'OK' });
    return reply.body as Record<string, string>;
  };
  const state = async () =>
    ((await ok('DescribeKey', { KeyId }))['KeyMetadata'] as unknown as Record<string, unknown>)['KeyState'];
  const encrypted = async () => (await ok('Encrypt', { KeyId, Plaintext, EncryptionContext }))['CiphertextBlob']!;
  return { operations, backing, call, ok, state, encrypted, KeyId, Arn, CustomKeyStoreId };
}

describe.each(KINDS)('a key in a store (%s)', (kind) => {
  it('is described with its store', async () => {
    const { ok, KeyId, CustomKeyStoreId } = await started(kind);
    const { KeyMetadata } = await ok('DescribeKey', { KeyId });
    expect(KeyMetadata).toMatchObject({
      ...{ KeyState: 'Enabled', Enabled: true, KeySpec: 'SYMMETRIC_DEFAULT', MultiRegion: false, CustomKeyStoreId },
      ...(kind === 'cluster'
        ? { Origin: 'AWS_CLOUDHSM', CloudHsmClusterId: 'cluster-abcdefghijk' }
        : { Origin: 'EXTERNAL_KEY_STORE', XksKeyConfiguration: { Id: 'outer-key' } }),
    });
    expect(KeyMetadata).not.toHaveProperty('CurrentKeyMaterialId');
  });

  it('encrypts and decrypts there, bound to the context', async () => {
    const { backing, call, ok, encrypted, Arn } = await started(kind);
    const { calls } = backing;
    const CiphertextBlob = await encrypted();
    expect(await ok('Decrypt', { CiphertextBlob, EncryptionContext })).toMatchObject({ Plaintext, KeyId: Arn });
    expect(backing.calls).toBe(calls + 2);
    for (const other of [undefined, {}, { tenant: 'red' }]) {
      const refused = await call('Decrypt', { CiphertextBlob, EncryptionContext: other });
      expect(refused).toMatchObject({ code: 'InvalidCiphertextException', message: '' });
    }
  });

  it('refuses a ciphertext of which any bit was changed', async () => {
    const { call, encrypted } = await started(kind);
    const blob = Buffer.from(await encrypted(), 'base64');
    await fc.assert(
      fc.asyncProperty(fc.nat(blob.length * 8 - 1), async (bit) => {
        const changed = Buffer.from(blob);
        changed[bit >> 3]! ^= 1 << (bit & 7);
        const { code } = await call('Decrypt', { CiphertextBlob: changed.toString('base64'), EncryptionContext });
        // Another region, account or key id names another key: of that one nobody is told.
        expect(['InvalidCiphertextException', 'AccessDeniedException']).toContain(code);
      }),
      { numRuns: 300 },
    );
    for (const cut of [0, 1, 30, blob.length - 1]) {
      const CiphertextBlob = blob.subarray(0, cut).toString('base64');
      if (cut > 0)
        expect(await call('Decrypt', { CiphertextBlob })).toMatchObject({ code: 'InvalidCiphertextException' });
    }
    const longer = Buffer.concat([blob, Buffer.of(0)]).toString('base64');
    expect(await call('Decrypt', { CiphertextBlob: longer, EncryptionContext })).toMatchObject({
      code: 'InvalidCiphertextException',
    });
  });

  it('makes data keys, which are the ones that its ciphertext holds', async () => {
    const { call, ok, KeyId } = await started(kind);
    const made = await ok('GenerateDataKey', { KeyId, KeySpec: 'AES_256', EncryptionContext });
    expect(Buffer.from(made['Plaintext']!, 'base64')).toHaveLength(32);
    expect(Buffer.from(made['Plaintext']!, 'base64').equals(Buffer.alloc(32))).toBe(false);
    const { CiphertextBlob } = made;
    expect(await ok('Decrypt', { CiphertextBlob, EncryptionContext })).toMatchObject({ Plaintext: made['Plaintext'] });
    const hidden = await ok('GenerateDataKeyWithoutPlaintext', { KeyId, NumberOfBytes: 24 });
    const opened = await ok('Decrypt', { CiphertextBlob: hidden['CiphertextBlob'] });
    expect(Buffer.from(opened['Plaintext']!, 'base64')).toHaveLength(24);
    for (const name of ['GenerateDataKeyPair', 'GenerateDataKeyPairWithoutPlaintext']) {
      expect(await call(name, { KeyId, KeyPairSpec: 'ECC_NIST_P256' })).toMatchObject({
        code: 'UnsupportedOperationException',
      });
    }
  });

  it('is re-encrypted from and to', async () => {
    const { operations, ok, encrypted, KeyId, Arn } = await started(kind);
    const other = await operations.newKey();
    const out = await ok('ReEncrypt', {
      ...{ CiphertextBlob: await encrypted(), SourceEncryptionContext: EncryptionContext },
      ...{ DestinationKeyId: other.KeyId },
    });
    expect(out).toMatchObject({ SourceKeyId: Arn, KeyId: other.Arn });
    const back = await ok('ReEncrypt', { CiphertextBlob: out['CiphertextBlob'], DestinationKeyId: KeyId });
    const again = await ok('ReEncrypt', { CiphertextBlob: back['CiphertextBlob'], DestinationKeyId: KeyId });
    expect(await ok('Decrypt', { CiphertextBlob: again['CiphertextBlob'] })).toMatchObject({ Plaintext, KeyId: Arn });
  });

  it('is not decrypted with by a blob that says its key is elsewhere', async () => {
    const { call, encrypted } = await started(kind);
    const blob = Buffer.from(await encrypted(), 'base64');
    for (const algorithm of [1, 2, 3].filter((one) => one !== blob[2])) {
      const changed = Buffer.from(blob);
      changed[2] = algorithm;
      const asked = { CiphertextBlob: changed.toString('base64'), EncryptionContext };
      expect(await call('Decrypt', asked)).toMatchObject({ code: 'InvalidCiphertextException' });
    }
  });

  it('is Unavailable while the store is not connected, and as it was once it is again', async () => {
    const { operations, call, ok, state, encrypted, KeyId, Arn, CustomKeyStoreId } = await started(kind);
    const CiphertextBlob = await encrypted();
    const before = operations.projection.position;
    await disconnect(operations, CustomKeyStoreId);
    // No event for each key.
    expect(operations.projection.position).toBe(before + 2);
    expect(await state()).toBe('Unavailable');
    const refused = { code: 'KMSInvalidStateException', message: `${Arn} is unavailable.` };
    expect(await call('Encrypt', { KeyId, Plaintext })).toMatchObject(refused);
    expect(await call('Decrypt', { CiphertextBlob, EncryptionContext })).toMatchObject(refused);
    expect(await call('GenerateDataKey', { KeyId, KeySpec: 'AES_256' })).toMatchObject(refused);
    expect(
      await call('ReEncrypt', { CiphertextBlob, SourceEncryptionContext: EncryptionContext, DestinationKeyId: KeyId }),
    ).toMatchObject(refused);
    for (const name of ['GetKeyRotationStatus', 'ListKeyRotations', 'EnableKeyRotation', 'GetParametersForImport']) {
      const more =
        name === 'GetParametersForImport'
          ? { WrappingAlgorithm: 'RSAES_OAEP_SHA_256', WrappingKeySpec: 'RSA_2048' }
          : {};
      expect(await call(name, { KeyId, ...more })).toMatchObject({ code: 'UnsupportedOperationException' });
    }
    expect(await call('CancelKeyDeletion', { KeyId })).toMatchObject({ code: 'KMSInvalidStateException' });
    await ok('DisableKey', { KeyId });
    expect(await state()).toBe('Unavailable');
    await ok('TagResource', { KeyId, Tags: [{ TagKey: 'a', TagValue: 'b' }] });
    await ok('CreateAlias', { AliasName: 'alias/stored', TargetKeyId: KeyId });
    await ok('CreateGrant', { KeyId, GranteePrincipal: 'arn:aws:iam::000000000000:root', Operations: ['Decrypt'] });
    await ok('ConnectCustomKeyStore', { CustomKeyStoreId });
    await operations.storeReaches(CustomKeyStoreId, 'CONNECTED');
    expect(await state()).toBe('Disabled');
    await ok('EnableKey', { KeyId });
    expect(await ok('Decrypt', { CiphertextBlob, EncryptionContext })).toMatchObject({ Plaintext });
  });

  it('is pending deletion rather than Unavailable', async () => {
    const { operations, ok, state, KeyId, CustomKeyStoreId } = await started(kind);
    await disconnect(operations, CustomKeyStoreId);
    await ok('ScheduleKeyDeletion', { KeyId, PendingWindowInDays: 7 });
    expect(await state()).toBe('PendingDeletion');
    await ok('CancelKeyDeletion', { KeyId });
    expect(await state()).toBe('Unavailable');
  });

  it('has no rotation, no import and no replica', async () => {
    const { call, ok, KeyId } = await started(kind);
    const refused = { code: 'UnsupportedOperationException' };
    expect(await call('EnableKeyRotation', { KeyId })).toMatchObject(refused);
    expect(await call('RotateKeyOnDemand', { KeyId })).toMatchObject(refused);
    expect(await ok('GetKeyRotationStatus', { KeyId })).toMatchObject({ KeyRotationEnabled: false });
    expect(await call('ReplicateKey', { KeyId, ReplicaRegion: 'eu-west-1' })).toMatchObject(refused);
    expect(await call('DeleteImportedKeyMaterial', { KeyId })).toMatchObject(refused);
  });

  it('is answered by its state as it is after the store’s answer', async () => {
    const { backing, call, ok, KeyId } = await started(kind);
    let release = () => {};
    backing.held = new Promise((resolve) => {
      release = resolve;
    });
    const asked = backing.nextCall();
    const encrypting = call('Encrypt', { KeyId, Plaintext });
    await asked;
    await ok('DisableKey', { KeyId });
    release();
    expect(await encrypting).toMatchObject({ code: 'DisabledException' });
  });

  it('has room for so many calls at once, of which others have none', async () => {
    const { operations, backing, call, ok, KeyId } = await started(kind);
    let release = () => {};
    backing.held = new Promise((resolve) => {
      release = resolve;
    });
    const asked = Array.from({ length: 130 }, () => call('Encrypt', { KeyId, Plaintext }));
    const other = await operations.newKey();
    await ok('Encrypt', { KeyId: other.KeyId, Plaintext });
    const { KeyMetadata } = await ok('CreateKey', { KeySpec: 'RSA_2048', KeyUsage: 'SIGN_VERIFY' });
    const rsa = (KeyMetadata as unknown as { KeyId: string }).KeyId;
    await ok('Sign', { KeyId: rsa, Message: Plaintext, SigningAlgorithm: 'RSASSA_PSS_SHA_256' });
    release();
    const codes = (await Promise.all(asked)).map(({ code }) => code).sort();
    expect(codes).toEqual([...Array(128).fill('OK'), ...Array(2).fill('ThrottlingException')]);
  });

  it('passes a dry run without the store', async () => {
    const { backing, call, KeyId } = await started(kind);
    const { calls } = backing;
    expect(await call('Encrypt', { KeyId, Plaintext, DryRun: true })).toMatchObject({
      code: 'DryRunOperationException',
    });
    expect(backing.calls).toBe(calls);
  });

  const CREATED: Record<Kind, Partial<Record<StoreFailure, string>>> = {
    cluster: {
      unreachable: 'CloudHsmClusterInvalidConfigurationException',
      'insufficient-hsms': 'CloudHsmClusterInvalidConfigurationException',
      timeout: 'DependencyTimeoutException',
      authentication: 'CustomKeyStoreInvalidStateException',
    },
    external: {
      unreachable: 'CustomKeyStoreInvalidStateException',
      timeout: 'CustomKeyStoreInvalidStateException',
      'key-not-found': 'XksKeyNotFoundException',
      'key-usage': 'XksKeyInvalidConfigurationException',
      'access-denied': 'XksKeyInvalidConfigurationException',
    },
  };
  it.each(Object.entries(CREATED[kind]) as [StoreFailure, string][])(
    'is not created while the store fails with %s: %s',
    async (failure, code) => {
      const { operations, backing, call, CustomKeyStoreId } = await started(kind);
      const { position } = operations.projection;
      const wanted =
        kind === 'cluster' ? { Origin: 'AWS_CLOUDHSM' } : { Origin: 'EXTERNAL_KEY_STORE', XksKeyId: 'second' };
      operations.backings.ofProxy.addKey('second');
      backing.failure = failure;
      operations.toleratesFaults = true;
      expect(await call('CreateKey', { CustomKeyStoreId, ...wanted })).toMatchObject({ code });
      expect(operations.projection.position).toBe(position);
    },
  );

  const USED: Record<Kind, Partial<Record<StoreFailure, string>>> = {
    cluster: {
      unreachable: 'KeyUnavailableException',
      timeout: 'DependencyTimeoutException',
      'key-not-found': 'KMSInvalidStateException',
      'insufficient-hsms': 'KMSInvalidStateException',
    },
    external: {
      unreachable: 'KMSInvalidStateException',
      timeout: 'KMSInvalidStateException',
      throttled: 'KMSInvalidStateException',
      'key-state': 'KMSInvalidStateException',
      'invalid-response': 'KMSInvalidStateException',
    },
  };
  it.each(Object.entries(USED[kind]) as [StoreFailure, string][])(
    'fails, where the store fails with %s, with %s',
    async (failure, code) => {
      const { operations, backing, call, encrypted, KeyId } = await started(kind);
      const CiphertextBlob = await encrypted();
      operations.toleratesFaults = true;
      backing.failure = failure;
      const replies = [
        await call('Encrypt', { KeyId, Plaintext }),
        await call('Decrypt', { CiphertextBlob, EncryptionContext }),
        await call('GenerateDataKey', { KeyId, KeySpec: 'AES_256' }),
        await call('GenerateDataKeyWithoutPlaintext', { KeyId, KeySpec: 'AES_256' }),
        await call('ReEncrypt', {
          CiphertextBlob,
          SourceEncryptionContext: EncryptionContext,
          DestinationKeyId: KeyId,
        }),
      ];
      for (const reply of replies) expect(reply).toMatchObject({ code });
      expect(JSON.stringify(replies)).not.toContain('a test has it fail');
    },
  );
});

describe('CreateKey in a store', () => {
  it.each<[string, string, object]>([
    ['ValidationException', 'a store without its origin', { Origin: undefined }],
    ['ValidationException', 'the origin without a store', { CustomKeyStoreId: undefined }],
    ['ValidationException', 'an external key id in a cluster', { XksKeyId: 'outer-key' }],
    ['ValidationException', 'an external key without its id', { Origin: 'EXTERNAL_KEY_STORE' }],
    [
      'UnsupportedOperationException',
      'an origin that the store has not',
      { Origin: 'EXTERNAL_KEY_STORE', XksKeyId: 'a' },
    ],
    ['UnsupportedOperationException', 'an RSA key', { KeySpec: 'RSA_2048', KeyUsage: 'SIGN_VERIFY' }],
    ['UnsupportedOperationException', 'a multi-Region key', { MultiRegion: true }],
    ['CustomKeyStoreNotFoundException', 'a store that there is not', { CustomKeyStoreId: 'cks-00000000000000000' }],
  ])('is refused with %s for %s', async (code, _what, changes) => {
    const operations = new MemoryOperations();
    const CustomKeyStoreId = await connectedStore(operations, clusterRequest(operations.backings));
    const asked = { CustomKeyStoreId, Origin: 'AWS_CLOUDHSM', ...changes };
    expect(await operations.call('CreateKey', asked)).toMatchObject({ code });
    expect(operations.backings.ofCluster.keys.size).toBe(0);
  });

  it('needs the store connected', async () => {
    const operations = new MemoryOperations();
    const CustomKeyStoreId = await connectedStore(operations, clusterRequest(operations.backings));
    await disconnect(operations, CustomKeyStoreId);
    expect(await operations.call('CreateKey', { CustomKeyStoreId, Origin: 'AWS_CLOUDHSM' })).toMatchObject({
      code: 'CustomKeyStoreInvalidStateException',
    });
  });

  it('makes no key in a store that is disconnected while it is made', async () => {
    const operations = new MemoryOperations();
    const { ofCluster } = operations.backings;
    const CustomKeyStoreId = await connectedStore(operations, clusterRequest(operations.backings));
    let release = () => {};
    ofCluster.held = new Promise((resolve) => {
      release = resolve;
    });
    const making = ofCluster.nextCall();
    const creating = operations.call('CreateKey', { CustomKeyStoreId, Origin: 'AWS_CLOUDHSM' });
    await making;
    await disconnect(operations, CustomKeyStoreId);
    release();
    expect(await creating).toMatchObject({ code: 'CustomKeyStoreInvalidStateException' });
    expect([...operations.projection.allKeys()]).toEqual([]);
    // What was made there is left to the sweep, by its note.
    expect(operations.sealedPlaces.filter((place) => /^[0-9a-f]{64}(-copy)?$/.test(place))).toHaveLength(2);
  });

  it('needs HSMs in two zones', async () => {
    const operations = new MemoryOperations();
    const { ofCluster } = operations.backings;
    const CustomKeyStoreId = await connectedStore(operations, clusterRequest(operations.backings));
    ofCluster.facts = { ...ofCluster.facts, activeZones: ['us-east-1a'] };
    expect(await operations.call('CreateKey', { CustomKeyStoreId, Origin: 'AWS_CLOUDHSM' })).toMatchObject({
      code: 'CloudHsmClusterInvalidConfigurationException',
    });
  });

  it.each([
    ['of another size', { keySpec: 'AES_128' }],
    ['that is disabled', { keyStatus: 'DISABLED' }],
    ['that only encrypts', { keyUsage: ['ENCRYPT'] }],
    ['that only decrypts', { keyUsage: ['DECRYPT'] }],
  ])('takes no external key %s', async (_what, metadata) => {
    const operations = new MemoryOperations();
    operations.backings.ofProxy.addKey('unfit', metadata);
    const CustomKeyStoreId = await connectedStore(operations, proxyRequest());
    const asked = { CustomKeyStoreId, Origin: 'EXTERNAL_KEY_STORE', XksKeyId: 'unfit' };
    expect(await operations.call('CreateKey', asked)).toMatchObject({ code: 'XksKeyInvalidConfigurationException' });
  });

  it('gives each external key to one KMS key of the store', async () => {
    const { operations, call, KeyId, CustomKeyStoreId } = await started('external');
    const asked = { CustomKeyStoreId, Origin: 'EXTERNAL_KEY_STORE', XksKeyId: 'outer-key' };
    expect(await call('CreateKey', asked)).toMatchObject({ code: 'XksKeyAlreadyInUseException' });
    await call('ScheduleKeyDeletion', { KeyId, PendingWindowInDays: 7 });
    expect(await call('CreateKey', asked)).toMatchObject({ code: 'XksKeyAlreadyInUseException' });
    operations.now += 8 * DAY;
    await operations.fireDue();
    const both = await Promise.all([call('CreateKey', asked), call('CreateKey', asked)]);
    expect(both.map(({ code }) => code).sort()).toEqual(['OK', 'XksKeyAlreadyInUseException']);
  });
});

describe('the deletion of a key', () => {
  it('in a cluster destroys it there, and its copy', async () => {
    const { operations, backing, call, KeyId } = await started('cluster');
    expect(backing.keys.size).toBe(1);
    await call('ScheduleKeyDeletion', { KeyId, PendingWindowInDays: 7 });
    operations.now += 8 * DAY;
    await operations.fireDue();
    expect(backing.keys.size).toBe(0);
    expect(operations.sealedPlaces).toHaveLength(1);
    expect(operations.projection.key('us-east-1', '000000000000', KeyId)!.state).toMatchObject({
      ...{ keyState: 'Deleted', materialIds: [] },
    });
  });

  it('in a store that is not connected waits until it is', async () => {
    const { operations, backing, call, KeyId, CustomKeyStoreId } = await started('cluster');
    await call('CreateAlias', { AliasName: 'alias/stored', TargetKeyId: KeyId });
    await call('ScheduleKeyDeletion', { KeyId, PendingWindowInDays: 7 });
    await disconnect(operations, CustomKeyStoreId);
    operations.now += 8 * DAY;
    await operations.fireDue();
    const state = () => operations.projection.key('us-east-1', '000000000000', KeyId)!.state;
    expect(state()).toMatchObject({ keyState: 'Deleted', materialIds: [expect.any(String), expect.any(String)] });
    expect((await call('ListAliases', {})).body['Aliases']).toEqual([]);
    expect(backing.keys.size).toBe(1);
    const { position } = operations.projection;
    await operations.fireDue();
    expect(operations.projection.position).toBe(position);
    await call('ConnectCustomKeyStore', { CustomKeyStoreId });
    await operations.storeReaches(CustomKeyStoreId, 'CONNECTED');
    await operations.fireDue();
    expect(state()).toMatchObject({ materialIds: [] });
    expect(backing.keys.size).toBe(0);
  });

  it('in a store that is deleted then leaves to the cluster’s owner what is in it', async () => {
    const { operations, backing, call, KeyId, CustomKeyStoreId } = await started('cluster');
    await call('ScheduleKeyDeletion', { KeyId, PendingWindowInDays: 7 });
    await disconnect(operations, CustomKeyStoreId);
    operations.now += 8 * DAY;
    await operations.fireDue();
    expect(await call('DeleteCustomKeyStore', { CustomKeyStoreId })).toMatchObject({ code: 'OK' });
    await operations.fireDue();
    expect(operations.projection.key('us-east-1', '000000000000', KeyId)!.state).toMatchObject({ materialIds: [] });
    expect(operations.sealedPlaces).toEqual([]);
    expect(backing.keys.size).toBe(1);
  });

  it('behind a proxy erases KMS’s own material, and nothing of the external key', async () => {
    const { operations, backing, call, KeyId } = await started('external');
    expect(operations.storedMaterial).toHaveLength(1);
    await call('ScheduleKeyDeletion', { KeyId, PendingWindowInDays: 7 });
    operations.now += 8 * DAY;
    await operations.fireDue();
    expect(operations.storedMaterial).toEqual([]);
    expect(backing.keys.size).toBe(1);
  });
});

describe('GenerateRandom', () => {
  it('gives bytes of the cluster’s HSMs', async () => {
    const { operations, backing, call, CustomKeyStoreId } = await started('cluster');
    const { calls } = backing;
    const { code, body } = await call('GenerateRandom', { NumberOfBytes: 24, CustomKeyStoreId });
    expect(code).toBe('OK');
    const bytes = Buffer.from(String(body['Plaintext']), 'base64');
    expect(bytes).toHaveLength(24);
    expect(bytes.equals(Buffer.alloc(24))).toBe(false);
    expect(backing.calls).toBe(calls + 1);
    operations.toleratesFaults = true;
    backing.failure = 'unreachable';
    expect(await call('GenerateRandom', { NumberOfBytes: 24, CustomKeyStoreId })).toMatchObject({
      code: 'DependencyTimeoutException',
    });
    await disconnect(operations, CustomKeyStoreId);
    expect(await call('GenerateRandom', { NumberOfBytes: 24, CustomKeyStoreId })).toMatchObject({
      code: 'CustomKeyStoreInvalidStateException',
    });
  });

  it('has none of an external store', async () => {
    const { call, CustomKeyStoreId } = await started('external');
    expect(await call('GenerateRandom', { NumberOfBytes: 24, CustomKeyStoreId })).toMatchObject({
      code: 'UnsupportedOperationException',
    });
  });
});
