import { aliasArn } from '#domain/arn';
import { userRef } from '#domain/principal/principal-id';
import { ACCOUNT, allowing, MemoryOperations } from '../../../test/support/memory-operations';
import { compiledPolicy } from './compiled-policies';
import { OPERATION_TABLE } from './table';

const OTHER = '111122223333';
const ANN = `arn:aws:iam::${ACCOUNT}:user/ann`;
const BOB = `arn:aws:iam::${OTHER}:user/bob`;
const ann = { principalId: 'AIDAANNANNANNANNANN1' };
const bob = { account: OTHER, principalId: 'AIDABOBBOBBOBBOBBOB1' };
const NOWHERE =
  'because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access';

let operations: MemoryOperations;
let KeyId: string;
let Arn: string;
let CiphertextBlob: unknown;

beforeEach(async () => {
  operations = new MemoryOperations();
  const user = { type: 'CreateUser' as const, path: '/', tags: [] };
  await operations.runCommand(userRef(ACCOUNT, 'ann'), { ...user, name: 'ann', uniqueId: ann.principalId });
  await operations.runCommand(userRef(OTHER, 'bob'), { ...user, name: 'bob', uniqueId: bob.principalId });
  ({ KeyId, Arn } = await operations.newKey());
  await operations.call('CreateAlias', { AliasName: 'alias/orders', TargetKeyId: KeyId });
  ({ CiphertextBlob } = (await operations.call('Encrypt', { KeyId, Plaintext: 'AAAA' })).body);
});

const annMay = (policy: string) =>
  operations.runCommand(userRef(ACCOUNT, 'ann'), { type: 'PutPolicy', policyName: 'own', policy });
const bobMay = (policy: string) =>
  operations.runCommand(userRef(OTHER, 'bob'), { type: 'PutPolicy', policyName: 'own', policy });

const ROOT_MAY = {
  Effect: 'Allow',
  Principal: { AWS: `arn:aws:iam::${ACCOUNT}:root` },
  Action: 'kms:*',
  Resource: '*',
};
/** Gives the key a policy: root's statement and these. */
async function keyPolicy(...statements: object[]): Promise<void> {
  const Policy = JSON.stringify({ Version: '2012-10-17', Statement: [ROOT_MAY, ...statements] });
  expect(await operations.call('PutKeyPolicy', { KeyId, Policy })).toMatchObject({ code: 'OK' });
}

/** A grant of Decrypt on the key. */
const grantTo = (
  granteePrincipal: string,
  { id = 'a'.repeat(64), ...more }: Record<string, unknown> & { id?: string } = {},
) =>
  operations.runCommand(
    { region: 'us-east-1', account: ACCOUNT, aggregate: 'grant', id },
    {
      type: 'CreateGrant',
      issuedBy: `arn:aws:iam::${ACCOUNT}:root`,
      keySpec: 'SYMMETRIC_DEFAULT',
      keyUsage: 'ENCRYPT_DECRYPT',
      keyId: KeyId,
      granteePrincipal,
      operations: ['Decrypt'],
      ...more,
    },
  );

const denied = (who: string, action: string, resource: string, why: string) => ({
  code: 'AccessDeniedException',
  message: `User: ${who} is not authorized to perform: kms:${action} on resource: ${resource} ${why}`,
});
const noIdentity = (action: string, resource = Arn, who = ANN) =>
  denied(who, action, resource, `because no identity-based policy allows the kms:${action} action`);

const MISSING_STORE = { CustomKeyStoreId: 'cks-00000000000000000' };

describe('THE table of operations', () => {
  const GrantId = 'c'.repeat(64);
  beforeEach(() => grantTo(BOB, { id: GrantId }));

  /** A request of each that does what it is for. What root needs first is done by `before`. */
  const requests: Record<string, (about: { KeyId: string; CiphertextBlob: unknown }) => object> = {
    CancelKeyDeletion: ({ KeyId }) => ({ KeyId }),
    CreateAlias: ({ KeyId }) => ({ AliasName: 'alias/other', TargetKeyId: KeyId }),
    CreateGrant: ({ KeyId }) => ({ KeyId, GranteePrincipal: BOB, Operations: ['Decrypt'] }),
    CreateKey: () => ({}),
    Decrypt: ({ CiphertextBlob }) => ({ CiphertextBlob }),
    DeleteAlias: () => ({ AliasName: 'alias/orders' }),
    Decapsulate: ({ KeyId }) => ({ KeyId, EncapsulationAlgorithm: 'ML_KEM', SharedSecretCiphertextBlob: 'AAAA' }),
    DeriveSharedSecret: ({ KeyId }) => ({ KeyId, KeyAgreementAlgorithm: 'ECDH', PublicKey: 'AAAA' }),
    DeleteImportedKeyMaterial: ({ KeyId }) => ({ KeyId }),
    DescribeKey: ({ KeyId }) => ({ KeyId }),
    DisableKey: ({ KeyId }) => ({ KeyId }),
    DisableKeyRotation: ({ KeyId }) => ({ KeyId }),
    EnableKey: ({ KeyId }) => ({ KeyId }),
    EnableKeyRotation: ({ KeyId }) => ({ KeyId }),
    Encapsulate: ({ KeyId }) => ({ KeyId, EncapsulationAlgorithm: 'ML_KEM' }),
    Encrypt: ({ KeyId }) => ({ KeyId, Plaintext: 'AAAA' }),
    GenerateDataKey: ({ KeyId }) => ({ KeyId, KeySpec: 'AES_256' }),
    GenerateDataKeyPair: ({ KeyId }) => ({ KeyId, KeyPairSpec: 'ECC_NIST_P256' }),
    GenerateDataKeyPairWithoutPlaintext: ({ KeyId }) => ({ KeyId, KeyPairSpec: 'ECC_NIST_P256' }),
    GenerateDataKeyWithoutPlaintext: ({ KeyId }) => ({ KeyId, KeySpec: 'AES_256' }),
    GenerateMac: ({ KeyId }) => ({ KeyId, Message: 'AAAA', MacAlgorithm: 'HMAC_SHA_256' }),
    GenerateRandom: () => ({ NumberOfBytes: 8 }),
    GetKeyLastUsage: ({ KeyId }) => ({ KeyId }),
    GetKeyPolicy: ({ KeyId }) => ({ KeyId }),
    GetKeyRotationStatus: ({ KeyId }) => ({ KeyId }),
    GetParametersForImport: ({ KeyId }) => ({
      ...{ KeyId, WrappingAlgorithm: 'RSAES_OAEP_SHA_256', WrappingKeySpec: 'RSA_2048' },
    }),
    GetPublicKey: ({ KeyId }) => ({ KeyId }),
    ImportKeyMaterial: ({ KeyId }) => ({
      ...{ KeyId, ImportToken: 'AAAA', EncryptedKeyMaterial: 'AAAA' },
      ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE',
    }),
    ListAliases: () => ({}),
    ListGrants: ({ KeyId }) => ({ KeyId }),
    ListKeyPolicies: ({ KeyId }) => ({ KeyId }),
    ListKeyRotations: ({ KeyId }) => ({ KeyId }),
    ListKeys: () => ({}),
    ListResourceTags: ({ KeyId }) => ({ KeyId }),
    ListRetirableGrants: () => ({ RetiringPrincipal: ANN }),
    PutKeyPolicy: ({ KeyId }) => ({ KeyId, Policy: JSON.stringify({ Statement: [ROOT_MAY] }) }),
    ReEncrypt: ({ KeyId, CiphertextBlob }) => ({ CiphertextBlob, DestinationKeyId: KeyId }),
    ReplicateKey: ({ KeyId }) => ({ KeyId, ReplicaRegion: 'eu-west-1' }),
    RetireGrant: ({ KeyId }) => ({ KeyId, GrantId }),
    RevokeGrant: ({ KeyId }) => ({ KeyId, GrantId }),
    RotateKeyOnDemand: ({ KeyId }) => ({ KeyId }),
    ScheduleKeyDeletion: ({ KeyId }) => ({ KeyId }),
    Sign: ({ KeyId }) => ({ KeyId, Message: 'AAAA', SigningAlgorithm: 'ECDSA_SHA_256' }),
    TagResource: ({ KeyId }) => ({ KeyId, Tags: [{ TagKey: 'a', TagValue: 'b' }] }),
    UntagResource: ({ KeyId }) => ({ KeyId, TagKeys: ['a'] }),
    UpdateAlias: ({ KeyId }) => ({ AliasName: 'alias/orders', TargetKeyId: KeyId }),
    UpdateKeyDescription: ({ KeyId }) => ({ KeyId, Description: '' }),
    Verify: ({ KeyId }) => ({ KeyId, Message: 'AAAA', Signature: 'AAAA', SigningAlgorithm: 'ECDSA_SHA_256' }),
    VerifyMac: ({ KeyId }) => ({ KeyId, Message: 'AAAA', Mac: 'AAAA', MacAlgorithm: 'HMAC_SHA_256' }),
    UpdatePrimaryRegion: ({ KeyId }) => ({ KeyId, PrimaryRegion: 'eu-west-1' }),
    CreateCustomKeyStore: () => ({
      ...{ CustomKeyStoreName: 'a', CloudHsmClusterId: 'cluster-missingmissi', TrustAnchorCertificate: 'a' },
      KeyStorePassword: 'kmsuser-password',
    }),
    DescribeCustomKeyStores: () => ({}),
    UpdateCustomKeyStore: () => MISSING_STORE,
    ConnectCustomKeyStore: () => MISSING_STORE,
    DisconnectCustomKeyStore: () => MISSING_STORE,
    DeleteCustomKeyStore: () => MISSING_STORE,
  };
  /** Whatever may refuse it of root for another reason is told apart by its code. */
  const stateOnly: Record<string, string> = {
    CancelKeyDeletion: 'KMSInvalidStateException',
    Decapsulate: 'InvalidKeyUsageException',
    DeriveSharedSecret: 'InvalidKeyUsageException',
    Encapsulate: 'InvalidKeyUsageException',
    GenerateMac: 'InvalidKeyUsageException',
    DeleteImportedKeyMaterial: 'UnsupportedOperationException',
    GetParametersForImport: 'UnsupportedOperationException',
    GetPublicKey: 'UnsupportedOperationException',
    ImportKeyMaterial: 'UnsupportedOperationException',
    Sign: 'InvalidKeyUsageException',
    Verify: 'InvalidKeyUsageException',
    VerifyMac: 'InvalidKeyUsageException',
    ReplicateKey: 'UnsupportedOperationException',
    UpdatePrimaryRegion: 'UnsupportedOperationException',
    CreateCustomKeyStore: 'CloudHsmClusterNotFoundException',
    UpdateCustomKeyStore: 'CustomKeyStoreNotFoundException',
    ConnectCustomKeyStore: 'CustomKeyStoreNotFoundException',
    DisconnectCustomKeyStore: 'CustomKeyStoreNotFoundException',
    DeleteCustomKeyStore: 'CustomKeyStoreNotFoundException',
  };
  /** Asked of these, if not of the operation's own name. */
  const actions: Record<string, string> = { ReEncrypt: 'ReEncryptFrom' };

  test.each([...OPERATION_TABLE.values()].filter(({ service }) => service === 'kms').map(({ name }) => name))(
    'has %s denied to a user without any policy, and allowed to root',
    async (name) => {
      const request = requests[name]!({ KeyId, CiphertextBlob });
      const refused = await operations.call(name, request, ann);
      expect(refused.code).toBe('AccessDeniedException');
      const action = `kms:${actions[name] ?? name}`;
      expect(refused.message).toMatch(
        new RegExp(
          `^User: ${ANN} is not authorized to perform: ${action} on resource: (\\*|arn:\\S+) because no identity-based policy allows the ${action} action$`,
        ),
      );
      expect(await operations.call(name, request)).toMatchObject({ code: stateOnly[name] ?? 'OK' });
    },
  );

  test.each(Object.keys(requests))('has %s allowed by exactly its own actions', async (name) => {
    const request = requests[name]!({ KeyId, CiphertextBlob });
    const needed = name === 'ReEncrypt' ? ['kms:ReEncryptFrom', 'kms:ReEncryptTo'] : [`kms:${name}`];
    await annMay(allowing(...needed));
    expect(await operations.call(name, request, ann)).toMatchObject({ code: stateOnly[name] ?? 'OK' });
  });
});

describe('a refusal', () => {
  test('comes before the state of the key is told', async () => {
    await operations.call('DisableKey', { KeyId });
    expect(await operations.call('Encrypt', { KeyId, Plaintext: 'AAAA' }, ann)).toMatchObject(noIdentity('Encrypt'));
    await annMay(allowing('kms:Encrypt'));
    const disabled = { code: 'DisabledException' };
    expect(await operations.call('Encrypt', { KeyId, Plaintext: 'AAAA' }, ann)).toMatchObject(disabled);
  });

  test('names the kind of policy that denies', async () => {
    await annMay(allowing('kms:*'));
    await keyPolicy({ Effect: 'Deny', Principal: { AWS: ANN }, Action: 'kms:Encrypt', Resource: '*' });
    const encrypt = await operations.call('Encrypt', { KeyId, Plaintext: 'AAAA' }, ann);
    expect(encrypt).toMatchObject(denied(ANN, 'Encrypt', Arn, 'with an explicit deny in a resource-based policy'));
  });

  test('of a key named beside the ciphertext comes before it is told that it is another', async () => {
    const { KeyId: other, Arn: otherArn } = await operations.newKey();
    await annMay(
      JSON.stringify({ Version: '2012-10-17', Statement: { Effect: 'Allow', Action: 'kms:Decrypt', Resource: Arn } }),
    );
    const decrypt = await operations.call('Decrypt', { KeyId: other, CiphertextBlob }, ann);
    expect(decrypt).toMatchObject(noIdentity('Decrypt', otherArn));
    await annMay(allowing('kms:Decrypt'));
    const allowed = await operations.call('Decrypt', { KeyId: other, CiphertextBlob }, ann);
    expect(allowed).toMatchObject({ code: 'IncorrectKeyException' });
  });

  test('of an alias is by its own ARN, and of the keys by theirs', async () => {
    const alias = aliasArn('us-east-1', ACCOUNT, 'alias/orders');
    const only = (...Resource: string[]) =>
      annMay(JSON.stringify({ Version: '2012-10-17', Statement: { Effect: 'Allow', Action: 'kms:*', Resource } }));
    const next = await operations.newKey();
    const update = () => operations.call('UpdateAlias', { AliasName: 'alias/orders', TargetKeyId: next.KeyId }, ann);
    await only(Arn, next.Arn);
    expect(await update()).toMatchObject(noIdentity('UpdateAlias', alias));
    await only(alias, next.Arn);
    expect(await update()).toMatchObject(noIdentity('UpdateAlias', Arn));
    await only(alias, Arn);
    expect(await update()).toMatchObject(noIdentity('UpdateAlias', next.Arn));
    await only(alias, Arn, next.Arn);
    expect(await update()).toMatchObject({ code: 'OK' });
  });

  test('of ReEncrypt is by the permission on each of its keys', async () => {
    const { KeyId: target, Arn: targetArn } = await operations.newKey();
    const reEncrypt = () => operations.call('ReEncrypt', { CiphertextBlob, DestinationKeyId: target }, ann);
    await annMay(allowing('kms:ReEncryptTo'));
    expect(await reEncrypt()).toMatchObject(noIdentity('ReEncryptFrom'));
    await annMay(allowing('kms:ReEncryptFrom'));
    expect(await reEncrypt()).toMatchObject(noIdentity('ReEncryptTo', targetArn));
    await annMay(allowing('kms:ReEncrypt*'));
    expect(await reEncrypt()).toMatchObject({ code: 'OK' });
  });

  test('of tags at creation is by the permission to tag', async () => {
    await annMay(allowing('kms:CreateKey'));
    const tagged = await operations.call('CreateKey', { Tags: [{ TagKey: 'a', TagValue: 'b' }] }, ann);
    expect(tagged).toMatchObject(noIdentity('TagResource', '*'));
  });
});

describe('a key of another account', () => {
  const bobs = { Effect: 'Allow', Principal: { AWS: BOB }, Action: 'kms:*', Resource: '*' };
  const nowhere = (action: string, what = 'this resource') => ({
    code: 'AccessDeniedException',
    message: `User: ${BOB} is not authorized to perform: kms:${action} on ${what} ${NOWHERE}`,
  });

  test('needs its own policy and the caller’s', async () => {
    const encrypt = () => operations.call('Encrypt', { KeyId: Arn, Plaintext: 'AAAA' }, bob);
    expect(await encrypt()).toMatchObject(nowhere('Encrypt'));
    await bobMay(allowing('kms:Encrypt'));
    expect(await encrypt()).toMatchObject(nowhere('Encrypt'));
    await keyPolicy(bobs);
    expect(await encrypt()).toMatchObject({ code: 'OK' });
    await bobMay(allowing('kms:Decrypt'));
    expect(await encrypt()).toMatchObject(noIdentity('Encrypt', Arn, BOB));
  });

  test('is found by alias ARN, and by what was encrypted under it', async () => {
    const alias = aliasArn('us-east-1', ACCOUNT, 'alias/orders');
    const decrypt = () => operations.call('Decrypt', { CiphertextBlob }, bob);
    await bobMay(allowing('kms:*'));
    expect(await operations.call('DescribeKey', { KeyId: alias }, bob)).toMatchObject(nowhere('DescribeKey'));
    expect(await decrypt()).toMatchObject(nowhere('Decrypt', 'the resource associated with this ciphertext'));
    await keyPolicy(bobs);
    const described = await operations.call('DescribeKey', { KeyId: alias }, bob);
    expect(described.body).toMatchObject({ KeyMetadata: { Arn, AWSAccountId: ACCOUNT } });
    expect(await decrypt()).toMatchObject({ code: 'OK', body: { Plaintext: 'AAAA', KeyId: Arn } });
    // An alias without ARN is one of the caller's own account.
    expect(await operations.call('DescribeKey', { KeyId: 'alias/orders' }, bob)).toMatchObject({
      code: 'NotFoundException',
    });
  });

  test.each(['DisableKey', 'GetKeyPolicy', 'TagResource', 'ScheduleKeyDeletion', 'PutKeyPolicy'])(
    'is refused to %s, whatever its policy says',
    async (operation) => {
      await bobMay(allowing('kms:*'));
      await keyPolicy(bobs);
      const request = { KeyId: Arn, Policy: '{}', Tags: [] };
      expect(await operations.call(operation, request, bob)).toMatchObject(nowhere(operation));
    },
  );
});

describe('a grant', () => {
  const decrypt = (claim: object) => operations.call('Decrypt', { CiphertextBlob }, claim);

  test('lets its grantee do what it names, and nothing else', async () => {
    await grantTo(ANN);
    expect(await decrypt(ann)).toMatchObject({ code: 'OK' });
    expect(await operations.call('Encrypt', { KeyId, Plaintext: 'AAAA' }, ann)).toMatchObject(noIdentity('Encrypt'));
  });

  test('across accounts needs the caller’s own policy as well', async () => {
    await grantTo(BOB);
    expect(await decrypt(bob)).toMatchObject(noIdentity('Decrypt', Arn, BOB));
    await bobMay(allowing('kms:Decrypt'));
    expect(await decrypt(bob)).toMatchObject({ code: 'OK' });
  });

  test('binds the encryption context by its constraint', async () => {
    await grantTo(ANN, { constraints: { encryptionContextSubset: { team: 'a' } } });
    expect(await decrypt(ann)).toMatchObject(noIdentity('Decrypt'));
    const EncryptionContext = { team: 'a', job: '1' };
    const { body } = await operations.call('Encrypt', { KeyId, Plaintext: 'AAAA', EncryptionContext });
    const request = { CiphertextBlob: body['CiphertextBlob'], EncryptionContext };
    expect(await operations.call('Decrypt', request, ann)).toMatchObject({ code: 'OK' });
  });

  test('is not for a new user of the old name', async () => {
    await grantTo(ANN, { granteeUniqueId: 'AIDAFORMER' });
    expect(await decrypt(ann)).toMatchObject(noIdentity('Decrypt'));
  });
});

test.each(['key', 'identity', 'session', 'trust'] as const)(
  'a stored %s policy that can no longer be read denies everything',
  (kind) => {
    const [statement] = compiledPolicy(kind, 'no policy').statements;
    expect(statement).toMatchObject({ effect: 'Deny', conditions: [] });
    expect(statement!.fitsAction('kms:decrypt')).toBe(true);
  },
);

test('an unreadable policy of a user denies it everything, and no more', async () => {
  await annMay('no policy');
  const described = await operations.call('DescribeKey', { KeyId }, ann);
  expect(described).toMatchObject(denied(ANN, 'DescribeKey', Arn, 'with an explicit deny in an identity-based policy'));
  expect(await operations.call('DescribeKey', { KeyId })).toMatchObject({ code: 'OK' });
});
