import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CancelKeyDeletionCommand,
  CreateAliasCommand,
  CreateGrantCommand,
  CreateKeyCommand,
  DecryptCommand,
  DeleteAliasCommand,
  DescribeKeyCommand,
  DisableKeyCommand,
  DisableKeyRotationCommand,
  EnableKeyCommand,
  EnableKeyRotationCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GenerateDataKeyPairCommand,
  GenerateDataKeyPairWithoutPlaintextCommand,
  GenerateDataKeyWithoutPlaintextCommand,
  GetKeyPolicyCommand,
  GetKeyRotationStatusCommand,
  type KMSClient,
  ListAliasesCommand,
  ListGrantsCommand,
  ListKeyPoliciesCommand,
  ListKeyRotationsCommand,
  ListResourceTagsCommand,
  PutKeyPolicyCommand,
  ReEncryptCommand,
  RetireGrantCommand,
  RevokeGrantCommand,
  RotateKeyOnDemandCommand,
  ScheduleKeyDeletionCommand,
  TagResourceCommand,
  UntagResourceCommand,
  UpdateAliasCommand,
  UpdateKeyDescriptionCommand,
} from '@aws-sdk/client-kms';
import type { KeyOperation } from '#domain/key/state-table';
import { type KeytrailProcess, startProcess } from './support/processes';
import { PUBLISHED_CELLS } from './support/published-states';

let dataDir: string;
let server: KeytrailProcess;
let kms: KMSClient;

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-states-'));
  server = await startProcess(dataDir);
  kms = server.kms;
});

afterAll(async () => {
  await server?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

/** A key with all that an operation may need of it, made while it was enabled. */
interface Subject {
  KeyId: string;
  AliasName: string;
  CiphertextBlob: Uint8Array;
  Policy: string;
  GrantId: string;
  /** An alias of another key, which is enabled. */
  otherAlias: string;
  otherKeyId: string;
}

const newKey = async (): Promise<string> => (await kms.send(new CreateKeyCommand({}))).KeyMetadata!.KeyId!;
const Plaintext = Buffer.from('made while it was enabled');
const encrypt = async (KeyId: string): Promise<Uint8Array> =>
  (await kms.send(new EncryptCommand({ KeyId, Plaintext }))).CiphertextBlob!;

const GranteePrincipal = 'arn:aws:iam::999999999999:root';
const createGrant = async (KeyId: string): Promise<string> =>
  (await kms.send(new CreateGrantCommand({ KeyId, GranteePrincipal, Operations: ['Decrypt'] }))).GrantId!;

async function newSubject(): Promise<Subject> {
  const [KeyId, otherKeyId] = await Promise.all([newKey(), newKey()]);
  const [AliasName, otherAlias] = [`alias/${KeyId}`, `alias/${otherKeyId}`];
  await kms.send(new CreateAliasCommand({ AliasName, TargetKeyId: KeyId }));
  await kms.send(new CreateAliasCommand({ AliasName: otherAlias, TargetKeyId: otherKeyId }));
  const { Policy } = await kms.send(new GetKeyPolicyCommand({ KeyId }));
  const GrantId = await createGrant(KeyId);
  return { KeyId, AliasName, CiphertextBlob: await encrypt(KeyId), Policy: Policy!, GrantId, otherAlias, otherKeyId };
}

const BRING_TO: Record<string, (KeyId: string) => Promise<unknown>> = {
  Enabled: async () => {},
  Disabled: (KeyId) => kms.send(new DisableKeyCommand({ KeyId })),
  PendingDeletion: (KeyId) => kms.send(new ScheduleKeyDeletionCommand({ KeyId, PendingWindowInDays: 7 })),
};

/** What symmetric keys made by AWS KMS cannot be asked to do, whatever their state. */
const OF_OTHER_KINDS = [
  'DeriveSharedSecret',
  'Encapsulate',
  'Decapsulate',
  'Sign',
  'Verify',
  'GenerateMac',
  'VerifyMac',
  'GetPublicKey',
  'GetParametersForImport',
  'ImportKeyMaterial',
  'DeleteImportedKeyMaterial',
  'ReplicateKey',
  'UpdatePrimaryRegion',
] as const satisfies readonly KeyOperation[];
type OfTheseKeys = Exclude<KeyOperation, (typeof OF_OTHER_KINDS)[number]>;

const OPERATIONS: Record<OfTheseKeys, (subject: Subject) => Promise<unknown>> = {
  Encrypt: ({ KeyId }) => kms.send(new EncryptCommand({ KeyId, Plaintext })),
  Decrypt: ({ CiphertextBlob }) => kms.send(new DecryptCommand({ CiphertextBlob })),
  ReEncrypt: ({ KeyId, CiphertextBlob }) => kms.send(new ReEncryptCommand({ CiphertextBlob, DestinationKeyId: KeyId })),
  GenerateDataKey: ({ KeyId }) => kms.send(new GenerateDataKeyCommand({ KeyId, KeySpec: 'AES_256' })),
  GenerateDataKeyWithoutPlaintext: ({ KeyId }) =>
    kms.send(new GenerateDataKeyWithoutPlaintextCommand({ KeyId, KeySpec: 'AES_256' })),
  GenerateDataKeyPair: ({ KeyId }) => kms.send(new GenerateDataKeyPairCommand({ KeyId, KeyPairSpec: 'ECC_NIST_P256' })),
  GenerateDataKeyPairWithoutPlaintext: ({ KeyId }) =>
    kms.send(new GenerateDataKeyPairWithoutPlaintextCommand({ KeyId, KeyPairSpec: 'ECC_NIST_P256' })),
  CancelKeyDeletion: ({ KeyId }) => kms.send(new CancelKeyDeletionCommand({ KeyId })),
  ScheduleKeyDeletion: ({ KeyId }) => kms.send(new ScheduleKeyDeletionCommand({ KeyId })),
  EnableKey: ({ KeyId }) => kms.send(new EnableKeyCommand({ KeyId })),
  DisableKey: ({ KeyId }) => kms.send(new DisableKeyCommand({ KeyId })),
  EnableKeyRotation: ({ KeyId }) => kms.send(new EnableKeyRotationCommand({ KeyId })),
  DisableKeyRotation: ({ KeyId }) => kms.send(new DisableKeyRotationCommand({ KeyId })),
  RotateKeyOnDemand: ({ KeyId }) => kms.send(new RotateKeyOnDemandCommand({ KeyId })),
  GetKeyRotationStatus: ({ KeyId }) => kms.send(new GetKeyRotationStatusCommand({ KeyId })),
  ListKeyRotations: ({ KeyId }) => kms.send(new ListKeyRotationsCommand({ KeyId })),
  CreateAlias: ({ KeyId, AliasName }) =>
    kms.send(new CreateAliasCommand({ AliasName: `${AliasName}/2`, TargetKeyId: KeyId })),
  UpdateAlias: ({ KeyId, otherAlias }) =>
    kms.send(new UpdateAliasCommand({ AliasName: otherAlias, TargetKeyId: KeyId })),
  TagResource: ({ KeyId }) =>
    kms.send(new TagResourceCommand({ KeyId, Tags: [{ TagKey: 'team', TagValue: 'orders' }] })),
  UntagResource: ({ KeyId }) => kms.send(new UntagResourceCommand({ KeyId, TagKeys: ['team'] })),
  UpdateKeyDescription: ({ KeyId }) => kms.send(new UpdateKeyDescriptionCommand({ KeyId, Description: 'changed' })),
  DescribeKey: ({ KeyId }) => kms.send(new DescribeKeyCommand({ KeyId })),
  GetKeyPolicy: ({ KeyId }) => kms.send(new GetKeyPolicyCommand({ KeyId })),
  PutKeyPolicy: ({ KeyId, Policy }) => kms.send(new PutKeyPolicyCommand({ KeyId, Policy: `${Policy} ` })),
  DeleteAlias: ({ AliasName }) => kms.send(new DeleteAliasCommand({ AliasName })),
  ListAliases: ({ KeyId }) => kms.send(new ListAliasesCommand({ KeyId })),
  ListKeyPolicies: ({ KeyId }) => kms.send(new ListKeyPoliciesCommand({ KeyId })),
  ListResourceTags: ({ KeyId }) => kms.send(new ListResourceTagsCommand({ KeyId })),
  CreateGrant: ({ KeyId }) => createGrant(KeyId),
  ListGrants: ({ KeyId }) => kms.send(new ListGrantsCommand({ KeyId })),
  RetireGrant: ({ KeyId, GrantId }) => kms.send(new RetireGrantCommand({ KeyId, GrantId })),
  RevokeGrant: ({ KeyId, GrantId }) => kms.send(new RevokeGrantCommand({ KeyId, GrantId })),
};

const outcomeOf = (answer: Promise<unknown>): Promise<string> =>
  answer.then(
    () => 'ok',
    (error: Error) => error.name,
  );

const reachable = PUBLISHED_CELLS.filter(
  ([operation, state]) => Object.hasOwn(BRING_TO, state) && Object.hasOwn(OPERATIONS, operation),
);

describe('over HTTP', () => {
  test.each(reachable)('%s on a key that is %s: %s', async (operation, state, code) => {
    const subject = await newSubject();
    await BRING_TO[state]!(subject.KeyId);
    expect(await outcomeOf(OPERATIONS[operation as OfTheseKeys](subject))).toBe(code);
  });

  test.each([
    ['Disabled', 'DisabledException'],
    ['PendingDeletion', 'KMSInvalidStateException'],
  ])('ReEncrypt needs both its keys: one that is %s is %s', async (state, code) => {
    const { KeyId, otherKeyId, CiphertextBlob } = await newSubject();
    const others = await encrypt(otherKeyId);
    await BRING_TO[state]!(KeyId);
    const reEncrypt = (blob: Uint8Array, DestinationKeyId: string) =>
      outcomeOf(kms.send(new ReEncryptCommand({ CiphertextBlob: blob, DestinationKeyId })));
    expect(await reEncrypt(CiphertextBlob, otherKeyId)).toBe(code);
    expect(await reEncrypt(others, KeyId)).toBe(code);
    expect(await reEncrypt(others, otherKeyId)).toBe('ok');
  });

  test('an alias of a key that is pending deletion can be pointed at another key', async () => {
    const { KeyId, AliasName, otherKeyId } = await newSubject();
    await BRING_TO['PendingDeletion']!(KeyId);
    await kms.send(new UpdateAliasCommand({ AliasName, TargetKeyId: otherKeyId }));
    expect((await kms.send(new DescribeKeyCommand({ KeyId: AliasName }))).KeyMetadata!.KeyId).toBe(otherKeyId);
  });
});
