import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  buildAwsKmsMrkAwareStrictMultiKeyringNode,
  buildClient,
  CommitmentPolicy,
  getLocalCryptographicMaterialsCache,
  KMS,
  KmsKeyringNode,
  MultiKeyringNode,
  NodeCachingMaterialsManager,
} from '@aws-crypto/client-node';
import { type KeytrailProcess, startProcess } from './support/processes';

/** The AWS Encryption SDK for JavaScript, as it comes: only its clients are given an endpoint and credentials. */
const { encrypt, decrypt } = buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT);
const TEN_MIB = 10 * 1024 * 1024;
const context = { purpose: 'round trip', tenant: 'ä' };

let dataDir: string;
let server: KeytrailProcess;
let kms: KMS;
/** That all clients have made. */
let requests = 0;

/** The SDK asks for the client of the region that a key's ARN names. */
const clientProvider = (region: string): KMS => {
  const { endpoint, kms } = server;
  const client = new KMS({ endpoint, region, maxAttempts: 1, credentials: kms.config.credentials });
  client.middlewareStack.add(
    (next) => (args) => {
      requests++;
      return next(args);
    },
    { step: 'build', name: 'counted' },
  );
  return client;
};
const newKey = async (more: object = {}): Promise<string> => (await kms.createKey(more)).KeyMetadata!.Arn!;

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-esdk-'));
  server = await startProcess(dataDir);
  kms = clientProvider('us-east-1');
});

afterAll(async () => {
  await server?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

test('10 MiB come back from under a key', async () => {
  const keyring = new KmsKeyringNode({ clientProvider, generatorKeyId: await newKey() });
  const plaintext = randomBytes(TEN_MIB);
  const { result } = await encrypt(keyring, plaintext, { encryptionContext: context });
  expect(result.length).toBeGreaterThan(TEN_MIB);
  const opened = await decrypt(keyring, result);
  expect(opened.plaintext.equals(plaintext)).toBe(true);
  expect(opened.messageHeader.encryptionContext).toMatchObject(context);
});

test('what several keys sealed, each of them alone opens, and no other', async () => {
  const [first, second, other] = await Promise.all([newKey(), newKey(), newKey()]);
  const sealing = new MultiKeyringNode({
    generator: new KmsKeyringNode({ clientProvider, generatorKeyId: first }),
    children: [new KmsKeyringNode({ clientProvider, keyIds: [second] })],
  });
  const { result } = await encrypt(sealing, 'kept by two', { encryptionContext: context });
  for (const keyId of [first, second]) {
    const { plaintext } = await decrypt(new KmsKeyringNode({ clientProvider, keyIds: [keyId] }), result);
    expect(plaintext.toString()).toBe('kept by two');
  }
  const stranger = new KmsKeyringNode({ clientProvider, keyIds: [other] });
  await expect(decrypt(stranger, result)).rejects.toThrow(/unencryptedDataKey/);
});

test('what a multi-Region key sealed, its replica opens', async () => {
  const primary = await newKey({ MultiRegion: true });
  const { ReplicaKeyMetadata } = await kms.replicateKey({ KeyId: primary, ReplicaRegion: 'eu-west-1' });
  const keyringOf = (generatorKeyId: string) =>
    buildAwsKmsMrkAwareStrictMultiKeyringNode({ clientProvider, generatorKeyId });
  const { result } = await encrypt(keyringOf(primary), 'across regions', { encryptionContext: context });
  const { plaintext } = await decrypt(keyringOf(ReplicaKeyMetadata!.Arn!), result);
  expect(plaintext.toString()).toBe('across regions');
});

test('a caching manager asks once for many messages', async () => {
  const keyring = new KmsKeyringNode({ clientProvider, generatorKeyId: await newKey() });
  const manager = new NodeCachingMaterialsManager({
    backingMaterials: keyring,
    cache: getLocalCryptographicMaterialsCache(10),
    maxAge: 60_000,
    maxMessagesEncrypted: 100,
  });
  const before = requests;
  const sealed: Buffer[] = [];
  for (let message = 0; message < 10; message++) {
    const plaintext = `message ${message}`;
    sealed.push((await encrypt(manager, plaintext, { encryptionContext: context, plaintextLength: 100 })).result);
  }
  expect(requests - before).toBe(1);
  const opened = await Promise.all(sealed.map(async (one) => (await decrypt(manager, one)).plaintext.toString()));
  expect(opened).toEqual(sealed.map((_, message) => `message ${message}`));
});
