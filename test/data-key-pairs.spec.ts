import {
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  privateDecrypt,
  publicEncrypt,
  sign,
  verify,
} from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateKeyCommand,
  DataKeyPairSpec,
  DecryptCommand,
  DisableKeyCommand,
  GenerateDataKeyPairCommand,
  GenerateDataKeyPairWithoutPlaintextCommand,
  type KeySpec,
  type KeyUsageType,
  type KMSClient,
} from '@aws-sdk/client-kms';
import { type KeytrailProcess, startProcess } from './support/processes';

let dataDir: string;
let server: KeytrailProcess;
let kms: KMSClient;
let key: { KeyId: string; Arn: string };

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-pairs-'));
  // The default of one RSA_4096 pair a second is AWS's, and is tested with the quotas.
  const rates = ['rsa-2048', 'rsa-3072', 'rsa-4096', 'ecc'].map((kind) => `GenerateDataKeyPair-${kind}=1000`);
  server = await startProcess(dataDir, { KEYTRAIL_QUOTAS: rates.join(',') });
  kms = server.kms;
  key = await newKey();
});

afterAll(async () => {
  await server?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

async function newKey(KeySpec?: KeySpec, KeyUsage?: KeyUsageType): Promise<{ KeyId: string; Arn: string }> {
  const { KeyMetadata } = await kms.send(new CreateKeyCommand({ KeySpec, KeyUsage }));
  return { KeyId: KeyMetadata!.KeyId!, Arn: KeyMetadata!.Arn! };
}

const EncryptionContext = { purpose: 'pairs' };
const SPECS = Object.values(DataKeyPairSpec);
const MESSAGE = Buffer.from('signed, or encrypted');

const opened = (privateKey: Uint8Array, publicKey: Uint8Array) => ({
  privateKey: createPrivateKey({ key: Buffer.from(privateKey), format: 'der', type: 'pkcs8' }),
  publicKey: createPublicKey({ key: Buffer.from(publicKey), format: 'der', type: 'spki' }),
});

test.each(SPECS)(
  'a data key pair of spec %s comes with its private key, in plaintext and encrypted',
  async (KeyPairSpec) => {
    const { KeyId, Arn } = key;
    const { $metadata: _, ...reply } = await kms.send(
      new GenerateDataKeyPairCommand({ KeyId, KeyPairSpec, EncryptionContext }),
    );
    expect(reply).toEqual({
      KeyId: Arn,
      KeyPairSpec,
      KeyMaterialId: expect.stringMatching(/^[0-9a-f]{64}$/),
      PrivateKeyCiphertextBlob: expect.anything(),
      PrivateKeyPlaintext: expect.anything(),
      PublicKey: expect.anything(),
    });
    const { Plaintext, KeyMaterialId } = await kms.send(
      new DecryptCommand({ CiphertextBlob: reply.PrivateKeyCiphertextBlob, EncryptionContext }),
    );
    expect(Plaintext).toEqual(reply.PrivateKeyPlaintext);
    expect(KeyMaterialId).toBe(reply.KeyMaterialId);
    const { privateKey, publicKey } = opened(reply.PrivateKeyPlaintext!, reply.PublicKey!);
    expect(createPublicKey(privateKey).export({ type: 'spki', format: 'der' })).toEqual(Buffer.from(reply.PublicKey!));
    if (KeyPairSpec.startsWith('RSA')) {
      expect(publicKey.asymmetricKeyDetails).toMatchObject({ modulusLength: Number(KeyPairSpec.slice(4)) });
      expect(privateDecrypt(privateKey, publicEncrypt(publicKey, MESSAGE))).toEqual(MESSAGE);
    } else if (KeyPairSpec !== 'SM2') {
      const digest = KeyPairSpec.endsWith('25519') ? null : 'sha256';
      expect(verify(digest, MESSAGE, publicKey, sign(digest, MESSAGE, privateKey))).toBe(true);
    }
    await expect(
      kms.send(new DecryptCommand({ CiphertextBlob: reply.PrivateKeyCiphertextBlob })),
    ).rejects.toMatchObject({ name: 'InvalidCiphertextException' });
  },
);

test.each(SPECS)('a data key pair of spec %s comes without its private key in plaintext', async (KeyPairSpec) => {
  const { KeyId, Arn } = key;
  const { $metadata: _, ...reply } = await kms.send(
    new GenerateDataKeyPairWithoutPlaintextCommand({ KeyId, KeyPairSpec, EncryptionContext }),
  );
  expect(reply).toEqual({
    KeyId: Arn,
    KeyPairSpec,
    KeyMaterialId: expect.stringMatching(/^[0-9a-f]{64}$/),
    PrivateKeyCiphertextBlob: expect.anything(),
    PublicKey: expect.anything(),
  });
  const { Plaintext } = await kms.send(
    new DecryptCommand({ CiphertextBlob: reply.PrivateKeyCiphertextBlob, EncryptionContext }),
  );
  const { privateKey } = opened(Plaintext!, reply.PublicKey!);
  expect(createPublicKey(privateKey).export({ type: 'spki', format: 'der' })).toEqual(Buffer.from(reply.PublicKey!));
});

test('data key pairs are never the same twice, and agree on secrets with others', async () => {
  const { KeyId } = key;
  const make = () => kms.send(new GenerateDataKeyPairCommand({ KeyId, KeyPairSpec: 'ECC_NIST_P384' }));
  const [one, other] = [await make(), await make()];
  expect(one.PublicKey).not.toEqual(other.PublicKey);
  const peer = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  const { privateKey, publicKey } = opened(one.PrivateKeyPlaintext!, one.PublicKey!);
  expect(diffieHellman({ privateKey, publicKey: peer.publicKey })).toEqual(
    diffieHellman({ privateKey: peer.privateKey, publicKey }),
  );
});

const both = [
  ['GenerateDataKeyPair', GenerateDataKeyPairCommand],
  ['GenerateDataKeyPairWithoutPlaintext', GenerateDataKeyPairWithoutPlaintextCommand],
] as const;

describe.each(both)('%s', (operation, Command) => {
  const KeyPairSpec = 'ECC_NIST_P256';
  const send = (input: { KeyId: string; KeyPairSpec?: DataKeyPairSpec; DryRun?: boolean }): Promise<unknown> =>
    kms.send(new Command({ KeyPairSpec, ...input }) as GenerateDataKeyPairCommand);

  test('is under symmetric keys alone', async () => {
    const rsa = await newKey('RSA_2048', 'ENCRYPT_DECRYPT');
    await expect(send({ KeyId: rsa.KeyId })).rejects.toMatchObject({
      name: 'InvalidKeyUsageException',
      message: 'You cannot generate a data key with an asymmetric CMK',
    });
    const agreement = await newKey('ECC_NIST_P256', 'KEY_AGREEMENT');
    await expect(send({ KeyId: agreement.KeyId })).rejects.toMatchObject({
      name: 'InvalidKeyUsageException',
      message: `${agreement.Arn} key usage is KEY_AGREEMENT which is not valid for ${operation}.`,
    });
  });

  test('needs the key enabled, and a pair spec that there is', async () => {
    const { KeyId, Arn } = await newKey();
    await kms.send(new DisableKeyCommand({ KeyId }));
    await expect(send({ KeyId })).rejects.toMatchObject({ name: 'DisabledException', message: `${Arn} is disabled.` });
    await expect(send({ KeyId, KeyPairSpec: 'ML_KEM_512' as DataKeyPairSpec })).rejects.toMatchObject({
      name: 'ValidationException',
      message: `1 validation error detected: Value 'ML_KEM_512' at 'keyPairSpec' failed to satisfy constraint: Member must satisfy enum value set: [${SPECS.join(', ')}]`,
    });
    await expect(send({ KeyId, KeyPairSpec: undefined as unknown as DataKeyPairSpec })).rejects.toMatchObject({
      name: 'ValidationException',
    });
  });

  test('ends a dry run after every check', async () => {
    await expect(send({ KeyId: key.KeyId, DryRun: true })).rejects.toMatchObject({ name: 'DryRunOperationException' });
  });
});
