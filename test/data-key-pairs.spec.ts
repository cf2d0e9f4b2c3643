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
import { ml_kem512, ml_kem768, ml_kem1024 } from '@noble/post-quantum/ml-kem.js';
import { type KeytrailProcess, startProcess } from './support/processes';

let dataDir: string;
let server: KeytrailProcess;
let kms: KMSClient;
let key: { KeyId: string; Arn: string };

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-pairs-'));
  server = await startProcess(dataDir);
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

const ML_KEM: Partial<Record<DataKeyPairSpec, typeof ml_kem512>> = {
  ML_KEM_512: ml_kem512,
  ML_KEM_768: ml_kem768,
  ML_KEM_1024: ml_kem1024,
};

/** That they are a pair. */
function expectPair(spec: DataKeyPairSpec, privateKey: Uint8Array, publicKey: Uint8Array): void {
  const scheme = ML_KEM[spec];
  if (!scheme) {
    const half = createPublicKey(opened(privateKey, publicKey).privateKey);
    expect(half.export({ type: 'spki', format: 'der' })).toEqual(Buffer.from(publicKey));
    return;
  }
  // PKCS #8 with the seed alone, which ends it (RFC 9935).
  expect(privateKey).toHaveLength(86);
  const expanded = scheme.keygen(privateKey.slice(-64));
  expect(Buffer.from(publicKey).subarray(-expanded.publicKey.length)).toEqual(Buffer.from(expanded.publicKey));
}

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
    expectPair(KeyPairSpec, reply.PrivateKeyPlaintext!, reply.PublicKey!);
    if (KeyPairSpec.startsWith('ML_KEM')) return;
    const { privateKey, publicKey } = opened(reply.PrivateKeyPlaintext!, reply.PublicKey!);
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
  expectPair(KeyPairSpec, Plaintext!, reply.PublicKey!);
});

test('the private key of a data key pair is bound to its encryption context', async () => {
  const { PrivateKeyCiphertextBlob } = await kms.send(
    new GenerateDataKeyPairCommand({ KeyId: key.KeyId, KeyPairSpec: 'ECC_NIST_P256', EncryptionContext }),
  );
  await expect(kms.send(new DecryptCommand({ CiphertextBlob: PrivateKeyCiphertextBlob }))).rejects.toMatchObject({
    name: 'InvalidCiphertextException',
  });
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
    await expect(send({ KeyId, KeyPairSpec: 'HMAC_256' as DataKeyPairSpec })).rejects.toMatchObject({
      name: 'ValidationException',
      message: expect.stringMatching(
        /^1 validation error detected: Value 'HMAC_256' at 'keyPairSpec' failed to satisfy constraint: Member must satisfy enum value set: \[RSA_2048, [A-Z0-9_, ]+\]$/,
      ),
    });
    await expect(send({ KeyId, KeyPairSpec: undefined as unknown as DataKeyPairSpec })).rejects.toMatchObject({
      name: 'ValidationException',
    });
  });

  test('ends a dry run after every check', async () => {
    await expect(send({ KeyId: key.KeyId, DryRun: true })).rejects.toMatchObject({ name: 'DryRunOperationException' });
  });
});
