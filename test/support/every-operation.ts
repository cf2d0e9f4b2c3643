import { signedByOwner } from './cluster-certificates';
import { wrap } from './wrapping';

/** A call of one operation: its request, blobs in base64, from what the calls before gave. */
export interface Step {
  operation: string;
  input(held: Held): Record<string, unknown>;
  /** What later steps need of the reply. */
  keep?(reply: Reply, held: Held): void;
  /** Takes the place of `input` where that would be let through for anybody. */
  refused?: Record<string, unknown>;
  /** Asked until its reply has it: what a crypto-worker does meanwhile. */
  until?(reply: Reply): boolean;
  /** Only somebody who does not exist is refused this. */
  openToAll?: true;
}

export type Reply = Record<string, unknown>;
export type Held = Record<string, string>;

const WrappingAlgorithm = 'RSAES_OAEP_SHA_256';
const trustOf = (arn: string): string =>
  JSON.stringify({
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Principal: { AWS: arn }, Action: 'sts:AssumeRole' }],
  });
const READ = JSON.stringify({
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: 'kms:ListKeys', Resource: '*' }],
});

const at = (reply: unknown, ...path: string[]): string =>
  String(path.reduce((value, name) => (value as Reply)?.[name], reply));
/** A key besides the one that most steps are about; its id is held under `name`. */
const keyFor = (KeyUsage: string, KeySpec: string, name: string): Step[] => [
  {
    operation: 'CreateKey',
    input: () => ({ KeyUsage, KeySpec }),
    keep: (reply, held) => {
      held[name] = at(reply, 'KeyMetadata', 'KeyId');
    },
  },
];
const onKey =
  (more: Record<string, unknown> = {}) =>
  ({ KeyId }: Held) => ({ KeyId, ...more });

/** `https://<host>`: where an XKS proxy answers, whatever the path. That of the tests in memory. */
const PROXY = 'https://every.example.com';
const inCluster =
  (more: Record<string, unknown> = {}) =>
  ({ ClusterId }: Held) => ({ ClusterId, ...more });
const csrIn = (reply: Reply): string => at(reply, 'Clusters', '0', 'Certificates', 'ClusterCsr');
const backupIn = (reply: Reply): string => at(reply, 'Backups', '0', 'BackupId');

/** Every operation of the table, in an order in which each can be done. `tag` sets two runs apart. */
export function everyOperation(account: string, tag: string, secret: Buffer, proxy = PROXY): Step[] {
  const root = `arn:aws:iam::${account}:root`;
  const Plaintext = secret.toString('base64');
  const signed = { Message: Plaintext, SigningAlgorithm: 'ECDSA_SHA_256' };
  const authenticated = { Message: Plaintext, MacAlgorithm: 'HMAC_SHA_256' };
  const EncryptionContext = { patient: `context-${secret.toString('hex')}` };
  const material = Buffer.concat([secret, secret]).subarray(0, 32);
  const AliasName = `alias/${tag}`;
  const UserName = `user-${tag}`;
  const RoleName = `role-${tag}`;
  const user = () => ({ UserName });
  const role = () => ({ RoleName });
  const Tags = [{ Key: 'team', Value: 'red' }];
  const kmsTags = [{ TagKey: 'team', TagValue: 'red' }];
  const grant = ({ KeyId }: Held) => ({
    KeyId,
    GranteePrincipal: root,
    RetiringPrincipal: root,
    Operations: ['Decrypt'],
  });
  const keepGrant = (reply: Reply, held: Held): void => {
    held['GrantId'] = at(reply, 'GrantId');
    held['GrantToken'] = at(reply, 'GrantToken');
  };
  const keyPolicy = JSON.stringify({
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Principal: { AWS: root }, Action: 'kms:*', Resource: '*' }],
  });
  return [
    {
      operation: 'CreateKey',
      input: () => ({ Description: tag, Tags: kmsTags }),
      keep: (reply, held) => {
        held['KeyId'] = at(reply, 'KeyMetadata', 'KeyId');
      },
    },
    { operation: 'DescribeKey', input: onKey() },
    { operation: 'ListKeys', input: () => ({ Limit: 1 }) },
    { operation: 'UpdateKeyDescription', input: onKey({ Description: 'other' }) },
    { operation: 'TagResource', input: onKey({ Tags: kmsTags }) },
    { operation: 'ListResourceTags', input: onKey() },
    { operation: 'UntagResource', input: onKey({ TagKeys: ['team'] }) },
    { operation: 'CreateAlias', input: ({ KeyId }) => ({ AliasName, TargetKeyId: KeyId }) },
    { operation: 'UpdateAlias', input: ({ KeyId }) => ({ AliasName, TargetKeyId: KeyId }) },
    { operation: 'ListAliases', input: onKey() },
    { operation: 'DeleteAlias', input: () => ({ AliasName }) },
    {
      operation: 'Encrypt',
      input: onKey({ Plaintext, EncryptionContext }),
      keep: (reply, held) => {
        held['CiphertextBlob'] = at(reply, 'CiphertextBlob');
      },
    },
    { operation: 'Decrypt', input: ({ CiphertextBlob }) => ({ CiphertextBlob, EncryptionContext }) },
    {
      operation: 'ReEncrypt',
      input: ({ KeyId, CiphertextBlob }) => ({
        ...{ CiphertextBlob, DestinationKeyId: KeyId },
        ...{ SourceEncryptionContext: EncryptionContext, DestinationEncryptionContext: EncryptionContext },
      }),
    },
    {
      operation: 'GenerateDataKey',
      input: onKey({ KeySpec: 'AES_256', EncryptionContext }),
      keep: (reply, held) => {
        held['DataKey'] = at(reply, 'Plaintext');
      },
    },
    { operation: 'GenerateDataKeyWithoutPlaintext', input: onKey({ KeySpec: 'AES_256', EncryptionContext }) },
    {
      operation: 'GenerateDataKeyPair',
      input: onKey({ KeyPairSpec: 'ECC_NIST_P256', EncryptionContext }),
      keep: (reply, held) => {
        held['PrivateKey'] = at(reply, 'PrivateKeyPlaintext');
        held['PublicKey'] = at(reply, 'PublicKey');
      },
    },
    {
      operation: 'GenerateDataKeyPairWithoutPlaintext',
      input: onKey({ KeyPairSpec: 'ECC_NIST_P256', EncryptionContext }),
    },
    ...keyFor('KEY_AGREEMENT', 'ECC_NIST_P256', 'AgreementKeyId'),
    {
      operation: 'DeriveSharedSecret',
      input: ({ AgreementKeyId, PublicKey }) => ({
        ...{ KeyId: AgreementKeyId, KeyAgreementAlgorithm: 'ECDH', PublicKey },
      }),
      keep: (reply, held) => {
        held['DerivedSecret'] = at(reply, 'SharedSecret');
      },
    },
    ...keyFor('ENCAPSULATE_DECAPSULATE', 'ML_KEM_512', 'KemKeyId'),
    {
      operation: 'Encapsulate',
      input: ({ KemKeyId }) => ({ KeyId: KemKeyId, EncapsulationAlgorithm: 'ML_KEM' }),
      keep: (reply, held) => {
        held['SharedSecret'] = at(reply, 'SharedSecret');
        held['SharedSecretCiphertextBlob'] = at(reply, 'SharedSecretCiphertextBlob');
      },
    },
    {
      operation: 'Decapsulate',
      input: ({ KemKeyId, SharedSecretCiphertextBlob }) => ({
        ...{ KeyId: KemKeyId, EncapsulationAlgorithm: 'ML_KEM', SharedSecretCiphertextBlob },
      }),
    },
    {
      operation: 'GenerateRandom',
      input: () => ({ NumberOfBytes: 32 }),
      keep: (reply, held) => {
        held['Random'] = at(reply, 'Plaintext');
      },
    },
    {
      operation: 'CreateKey',
      input: () => ({ KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' }),
      keep: (reply, held) => {
        held['SigningKeyId'] = at(reply, 'KeyMetadata', 'KeyId');
      },
    },
    {
      operation: 'Sign',
      input: ({ SigningKeyId }) => ({ KeyId: SigningKeyId, ...signed }),
      keep: (reply, held) => {
        held['Signature'] = at(reply, 'Signature');
      },
    },
    { operation: 'Verify', input: ({ SigningKeyId, Signature }) => ({ KeyId: SigningKeyId, ...signed, Signature }) },
    { operation: 'GetPublicKey', input: ({ SigningKeyId }) => ({ KeyId: SigningKeyId }) },
    {
      operation: 'CreateKey',
      input: () => ({ KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' }),
      keep: (reply, held) => {
        held['MacKeyId'] = at(reply, 'KeyMetadata', 'KeyId');
      },
    },
    {
      operation: 'GenerateMac',
      input: ({ MacKeyId }) => ({ KeyId: MacKeyId, ...authenticated }),
      keep: (reply, held) => {
        held['Mac'] = at(reply, 'Mac');
      },
    },
    { operation: 'VerifyMac', input: ({ MacKeyId, Mac }) => ({ KeyId: MacKeyId, ...authenticated, Mac }) },
    { operation: 'EnableKeyRotation', input: onKey({ RotationPeriodInDays: 100 }) },
    { operation: 'GetKeyRotationStatus', input: onKey() },
    { operation: 'DisableKeyRotation', input: onKey() },
    { operation: 'RotateKeyOnDemand', input: onKey() },
    { operation: 'ListKeyRotations', input: onKey() },
    {
      operation: 'CreateKey',
      input: () => ({ MultiRegion: true }),
      keep: (reply, held) => {
        held['MultiRegionKeyId'] = at(reply, 'KeyMetadata', 'KeyId');
      },
    },
    {
      operation: 'ReplicateKey',
      input: ({ MultiRegionKeyId }) => ({ KeyId: MultiRegionKeyId, ReplicaRegion: 'eu-west-1', Tags: kmsTags }),
    },
    {
      operation: 'UpdatePrimaryRegion',
      input: ({ MultiRegionKeyId }) => ({ KeyId: MultiRegionKeyId, PrimaryRegion: 'eu-west-1' }),
    },
    { operation: 'GetKeyPolicy', input: onKey() },
    { operation: 'PutKeyPolicy', input: onKey({ Policy: keyPolicy }) },
    { operation: 'ListKeyPolicies', input: onKey() },
    { operation: 'CreateGrant', input: grant, keep: keepGrant },
    { operation: 'ListGrants', input: onKey() },
    { operation: 'ListRetirableGrants', input: () => ({ RetiringPrincipal: root }) },
    { operation: 'RetireGrant', input: ({ GrantToken }) => ({ GrantToken }) },
    { operation: 'CreateGrant', input: (held) => ({ ...grant(held), Name: 'second' }), keep: keepGrant },
    { operation: 'RevokeGrant', input: ({ KeyId, GrantId }) => ({ KeyId, GrantId }) },
    { operation: 'DisableKey', input: onKey() },
    { operation: 'EnableKey', input: onKey() },
    { operation: 'GetKeyLastUsage', input: onKey() },
    { operation: 'ScheduleKeyDeletion', input: onKey({ PendingWindowInDays: 7 }) },
    { operation: 'CancelKeyDeletion', input: onKey() },
    {
      operation: 'CreateKey',
      input: () => ({ Origin: 'EXTERNAL' }),
      keep: (reply, held) => {
        held['ImportedKeyId'] = at(reply, 'KeyMetadata', 'KeyId');
      },
    },
    {
      operation: 'GetParametersForImport',
      input: ({ ImportedKeyId }) => ({ KeyId: ImportedKeyId, WrappingAlgorithm, WrappingKeySpec: 'RSA_2048' }),
      keep: (reply, held) => {
        held['ImportToken'] = at(reply, 'ImportToken');
        held['WrappingKey'] = at(reply, 'PublicKey');
      },
    },
    {
      operation: 'ImportKeyMaterial',
      input: ({ ImportedKeyId, ImportToken, WrappingKey }) => ({
        ...{ KeyId: ImportedKeyId, ImportToken, ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' },
        EncryptedKeyMaterial: wrap(WrappingAlgorithm, Buffer.from(WrappingKey!, 'base64'), material).toString('base64'),
      }),
    },
    { operation: 'DeleteImportedKeyMaterial', input: ({ ImportedKeyId }) => ({ KeyId: ImportedKeyId }) },
    { operation: 'CreateUser', input: () => ({ UserName, Tags }) },
    { operation: 'GetUser', input: user },
    { operation: 'ListUsers', input: () => ({ MaxItems: 5 }) },
    { operation: 'TagUser', input: () => ({ UserName, Tags }) },
    { operation: 'ListUserTags', input: user },
    { operation: 'UntagUser', input: () => ({ UserName, TagKeys: ['team'] }) },
    { operation: 'PutUserPolicy', input: () => ({ UserName, PolicyName: 'own', PolicyDocument: READ }) },
    { operation: 'GetUserPolicy', input: () => ({ UserName, PolicyName: 'own' }) },
    { operation: 'ListUserPolicies', input: user },
    { operation: 'DeleteUserPolicy', input: () => ({ UserName, PolicyName: 'own' }) },
    {
      operation: 'CreateAccessKey',
      input: user,
      keep: (reply, held) => {
        held['AccessKeyId'] = at(reply, 'AccessKey', 'AccessKeyId');
        held['SecretAccessKey'] = at(reply, 'AccessKey', 'SecretAccessKey');
      },
    },
    { operation: 'ListAccessKeys', input: user },
    {
      operation: 'UpdateAccessKey',
      input: ({ AccessKeyId }) => ({ UserName, AccessKeyId, Status: 'Inactive' }),
    },
    { operation: 'GetAccessKeyLastUsed', input: ({ AccessKeyId }) => ({ AccessKeyId }) },
    { operation: 'DeleteAccessKey', input: ({ AccessKeyId }) => ({ UserName, AccessKeyId }) },
    { operation: 'DeleteUser', input: user },
    { operation: 'CreateRole', input: () => ({ RoleName, AssumeRolePolicyDocument: trustOf(root) }) },
    { operation: 'GetRole', input: role },
    { operation: 'ListRoles', input: () => ({ MaxItems: 5 }) },
    { operation: 'UpdateAssumeRolePolicy', input: () => ({ RoleName, PolicyDocument: trustOf(root) }) },
    { operation: 'TagRole', input: () => ({ RoleName, Tags }) },
    { operation: 'ListRoleTags', input: role },
    { operation: 'UntagRole', input: () => ({ RoleName, TagKeys: ['team'] }) },
    { operation: 'PutRolePolicy', input: () => ({ RoleName, PolicyName: 'own', PolicyDocument: READ }) },
    { operation: 'GetRolePolicy', input: () => ({ RoleName, PolicyName: 'own' }) },
    { operation: 'ListRolePolicies', input: role },
    {
      operation: 'AssumeRole',
      input: () => ({ RoleArn: `arn:aws:iam::${account}:role/${RoleName}`, RoleSessionName: 'job' }),
      keep: (reply, held) => {
        held['AssumedSecret'] = at(reply, 'Credentials', 'SecretAccessKey');
        held['AssumedToken'] = at(reply, 'Credentials', 'SessionToken');
      },
    },
    { operation: 'DeleteRolePolicy', input: () => ({ RoleName, PolicyName: 'own' }) },
    { operation: 'DeleteRole', input: role },
    ...customKeyStores(tag, secret, proxy),
    {
      operation: 'CreateCluster',
      input: () => ({ HsmType: 'hsm1.medium', SubnetIds: ['subnet-0123abcd'], TagList: Tags }),
      keep: (reply, held) => {
        held['ClusterId'] = at(reply, 'Cluster', 'ClusterId');
      },
    },
    {
      operation: 'CreateHsm',
      input: inCluster({ AvailabilityZone: 'us-east-1a' }),
      keep: (reply, held) => {
        held['HsmId'] = at(reply, 'Hsm', 'HsmId');
      },
    },
    {
      operation: 'DescribeClusters',
      input: ({ ClusterId }) => ({ Filters: { clusterIds: [ClusterId] } }),
      until: (reply) => csrIn(reply) !== 'undefined',
      keep: (reply, held) => {
        held['ClusterCsr'] = csrIn(reply);
      },
    },
    {
      operation: 'InitializeCluster',
      input: ({ ClusterId, ClusterCsr }) => ({ ClusterId, ...signedByOwner(ClusterCsr!) }),
    },
    { operation: 'ModifyCluster', input: inCluster({ BackupRetentionPolicy: { Type: 'DAYS', Value: '30' } }) },
    { operation: 'TagClusterResource', input: ({ ClusterId }) => ({ ResourceId: ClusterId, TagList: Tags }) },
    { operation: 'ListTags', input: ({ ClusterId }) => ({ ResourceId: ClusterId }) },
    { operation: 'UntagClusterResource', input: ({ ClusterId }) => ({ ResourceId: ClusterId, TagKeyList: ['team'] }) },
    { operation: 'DeleteHsm', input: ({ ClusterId, HsmId }) => ({ ClusterId, HsmId }) },
    {
      operation: 'DescribeBackups',
      input: ({ ClusterId }) => ({ Filters: { clusterIds: [ClusterId] } }),
      until: (reply) => backupIn(reply) !== 'undefined',
      keep: (reply, held) => {
        held['BackupId'] = backupIn(reply);
      },
    },
    { operation: 'ModifyBackupAttributes', input: ({ BackupId }) => ({ BackupId, NeverExpires: true }) },
    { operation: 'DeleteBackup', input: ({ BackupId }) => ({ BackupId }) },
    { operation: 'RestoreBackup', input: ({ BackupId }) => ({ BackupId }) },
    { operation: 'DeleteCluster', input: inCluster() },
    { operation: 'LookupEvents', input: () => ({ MaxResults: 1 }) },
    { operation: 'ListPublicKeys', input: () => ({}) },
    { operation: 'GetCallerIdentity', input: () => ({}), openToAll: true },
    {
      operation: 'GetSessionToken',
      input: () => ({ DurationSeconds: 900 }),
      refused: { DurationSeconds: 1 },
      keep: (reply, held) => {
        held['OwnSecret'] = at(reply, 'Credentials', 'SecretAccessKey');
        held['OwnToken'] = at(reply, 'Credentials', 'SessionToken');
      },
    },
  ];
}

/** One store that is made, changed and deleted, and one that is connected: which way that goes, nobody waits for. */
function customKeyStores(tag: string, secret: Buffer, proxy: string): Step[] {
  const create = (name: string): Step => ({
    operation: 'CreateCustomKeyStore',
    input: () => ({
      CustomKeyStoreName: `${name} of ${tag}`,
      CustomKeyStoreType: 'EXTERNAL_KEY_STORE',
      XksProxyConnectivity: 'PUBLIC_ENDPOINT',
      XksProxyUriEndpoint: proxy,
      XksProxyUriPath: `/${tag}/${name}/kms/xks/v1`,
      XksProxyAuthenticationCredential: {
        AccessKeyId: 'ABCDEFGHIJKLMNOPQRST',
        RawSecretAccessKey: secret.toString('hex').padEnd(43, 's').slice(0, 64),
      },
    }),
    keep: (reply, held) => {
      held['CustomKeyStoreId'] = at(reply, 'CustomKeyStoreId');
    },
  });
  const onStore =
    (more: Record<string, unknown> = {}) =>
    ({ CustomKeyStoreId }: Held) => ({ CustomKeyStoreId, ...more });
  return [
    create('first'),
    { operation: 'DescribeCustomKeyStores', input: () => ({ Limit: 5 }) },
    { operation: 'UpdateCustomKeyStore', input: onStore({ NewCustomKeyStoreName: `renamed ${tag}` }) },
    { operation: 'DeleteCustomKeyStore', input: onStore() },
    create('second'),
    { operation: 'ConnectCustomKeyStore', input: onStore() },
    { operation: 'DisconnectCustomKeyStore', input: onStore() },
  ];
}
