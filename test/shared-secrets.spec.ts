import { createPublicKey, diffieHellman, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateKeyCommand,
  DecapsulateCommand,
  DeriveSharedSecretCommand,
  type DeriveSharedSecretCommandInput,
  DisableKeyCommand,
  EnableKeyCommand,
  EncapsulateCommand,
  GetPublicKeyCommand,
  type KeySpec,
  type KeyUsageType,
  type KMSClient,
} from '@aws-sdk/client-kms';
import { ml_kem512, ml_kem768, ml_kem1024 } from '@noble/post-quantum/ml-kem.js';
import { findOpenssl } from './support/certificates';
import { opensslWith } from './support/openssl';
import { type KeytrailProcess, startProcess } from './support/processes';

const openssl = findOpenssl();
const withOpenssl = openssl === undefined ? test.skip : test;

let dataDir: string;
let server: KeytrailProcess;
let kms: KMSClient;

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-shared-secrets-'));
  server = await startProcess(dataDir);
  kms = server.kms;
});

afterAll(async () => {
  await server?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

async function newKey(KeySpec: KeySpec, KeyUsage: KeyUsageType): Promise<{ KeyId: string; Arn: string }> {
  const { KeyMetadata } = await kms.send(new CreateKeyCommand({ KeySpec, KeyUsage }));
  return { KeyId: KeyMetadata!.KeyId!, Arn: KeyMetadata!.Arn! };
}

const publicKeyOf = async (KeyId: string): Promise<Buffer> =>
  Buffer.from((await kms.send(new GetPublicKeyCommand({ KeyId }))).PublicKey!);
const spkiOf = (key: KeyObject): Buffer => key.export({ type: 'spki', format: 'der' });
const derive = (input: Omit<DeriveSharedSecretCommandInput, 'KeyAgreementAlgorithm'>) =>
  kms.send(new DeriveSharedSecretCommand({ KeyAgreementAlgorithm: 'ECDH', ...input }));

describe('DeriveSharedSecret', () => {
  test.each([
    ['ECC_NIST_P256', 32],
    ['ECC_NIST_P384', 48],
    ['ECC_NIST_P521', 66],
    ['SM2', 32],
  ] as const)('gives two keys of spec %s the same secret of %d bytes', async (spec, length) => {
    const [alice, bob] = [await newKey(spec, 'KEY_AGREEMENT'), await newKey(spec, 'KEY_AGREEMENT')];
    const [ofAlice, ofBob] = [await publicKeyOf(alice.KeyId), await publicKeyOf(bob.KeyId)];
    const { $metadata: _, ...reply } = await derive({ KeyId: alice.KeyId, PublicKey: ofBob });
    expect(reply).toEqual({
      KeyId: alice.Arn,
      SharedSecret: expect.anything(),
      KeyAgreementAlgorithm: 'ECDH',
      KeyOrigin: 'AWS_KMS',
    });
    expect(reply.SharedSecret).toHaveLength(length);
    const theirs = await derive({ KeyId: bob.KeyId, PublicKey: ofAlice });
    expect(theirs.SharedSecret).toEqual(reply.SharedSecret);
  });

  test.each([
    ['ECC_NIST_P256', 'P-256'],
    ['ECC_NIST_P384', 'P-384'],
    ['ECC_NIST_P521', 'P-521'],
  ] as const)('agrees on %s with a peer that has its key elsewhere', async (spec, namedCurve) => {
    const { KeyId } = await newKey(spec, 'KEY_AGREEMENT');
    const publicKey = createPublicKey({ key: await publicKeyOf(KeyId), format: 'der', type: 'spki' });
    const peer = generateKeyPairSync('ec', { namedCurve });
    const { SharedSecret } = await derive({ KeyId, PublicKey: spkiOf(peer.publicKey) });
    expect(Buffer.from(SharedSecret!)).toEqual(diffieHellman({ privateKey: peer.privateKey, publicKey }));
  });

  withOpenssl.each([
    ['ECC_NIST_P256', 'P-256'],
    ['ECC_NIST_P384', 'P-384'],
    ['ECC_NIST_P521', 'P-521'],
  ] as const)('agrees on %s with OpenSSL', async (spec, namedCurve) => {
    const { KeyId } = await newKey(spec, 'KEY_AGREEMENT');
    const peer = generateKeyPairSync('ec', { namedCurve });
    const { SharedSecret } = await derive({ KeyId, PublicKey: spkiOf(peer.publicKey) });
    const theirs = opensslWith(
      {
        private: Buffer.from(peer.privateKey.export({ type: 'pkcs8', format: 'pem' })),
        peer: await publicKeyOf(KeyId),
      },
      ...(['secret', 'pkeyutl', '-derive', '-inkey', 'private', '-peerkey', 'peer', '-peerform', 'DER'] as const),
      ...['-out', 'secret'],
    );
    expect(theirs).toEqual(Buffer.from(SharedSecret!));
  });

  test('refuses a public key that is none, or of another curve', async () => {
    const { KeyId } = await newKey('ECC_NIST_P256', 'KEY_AGREEMENT');
    const good = spkiOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey);
    const offCurve = Buffer.from(good);
    offCurve[offCurve.length - 1]! ^= 1;
    const others = ['P-384', 'secp256k1', 'SM2'].map((namedCurve) =>
      spkiOf(generateKeyPairSync('ec', { namedCurve }).publicKey),
    );
    for (const PublicKey of [
      Buffer.from('InvalidPublicKey'),
      offCurve,
      Buffer.concat([good, Buffer.of(0)]),
      ...others,
    ]) {
      const refusal = { name: 'ValidationException', message: 'UnknownError' };
      await expect(derive({ KeyId, PublicKey })).rejects.toMatchObject(refusal);
      await expect(derive({ KeyId, PublicKey, DryRun: true })).rejects.toMatchObject(refusal);
    }
    await expect(derive({ KeyId, PublicKey: good, DryRun: true })).rejects.toMatchObject({
      name: 'DryRunOperationException',
    });
    await expect(derive({ KeyId, PublicKey: Buffer.alloc(8193) })).rejects.toMatchObject({
      name: 'ValidationException',
      message:
        "1 validation error detected: Value at 'publicKey' failed to satisfy constraint: Member must have length less than or equal to 8192",
    });
  });

  test('is of keys for key agreement alone, and of the algorithm ECDH', async () => {
    const PublicKey = spkiOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey);
    for (const [spec, usage] of [
      ['ECC_NIST_P256', 'SIGN_VERIFY'],
      ['SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT'],
      ['ML_KEM_768', 'ENCAPSULATE_DECAPSULATE'],
    ] as const) {
      const { KeyId, Arn } = await newKey(spec, usage);
      await expect(derive({ KeyId, PublicKey })).rejects.toMatchObject({
        name: 'InvalidKeyUsageException',
        message: `${Arn} key usage is ${usage} which is not valid for DeriveSharedSecret.`,
      });
    }
    const { KeyId, Arn } = await newKey('ECC_NIST_P256', 'KEY_AGREEMENT');
    await expect(
      kms.send(new DeriveSharedSecretCommand({ KeyId, PublicKey, KeyAgreementAlgorithm: 'INVALID' as 'ECDH' })),
    ).rejects.toMatchObject({
      name: 'ValidationException',
      message:
        "1 validation error detected: Value 'INVALID' at 'keyAgreementAlgorithm' failed to satisfy constraint: Member must satisfy enum value set: [ECDH]",
    });
    await kms.send(new DisableKeyCommand({ KeyId }));
    await expect(derive({ KeyId, PublicKey })).rejects.toMatchObject({
      name: 'DisabledException',
      message: `${Arn} is disabled.`,
    });
    await kms.send(new EnableKeyCommand({ KeyId }));
    await derive({ KeyId, PublicKey });
  });
});

describe('ML-KEM', () => {
  const SPECS = [
    ['ML_KEM_512', ml_kem512, 800, 768],
    ['ML_KEM_768', ml_kem768, 1184, 1088],
    ['ML_KEM_1024', ml_kem1024, 1568, 1568],
  ] as const;
  const EncapsulationAlgorithm = 'ML_KEM';

  test.each(SPECS)('of %s decapsulates what it encapsulated', async (spec, _scheme, _publicKey, length) => {
    const { KeyId, Arn } = await newKey(spec, 'ENCAPSULATE_DECAPSULATE');
    const { $metadata: _, ...made } = await kms.send(new EncapsulateCommand({ KeyId, EncapsulationAlgorithm }));
    expect(made).toEqual({
      KeyId: Arn,
      SharedSecret: expect.anything(),
      SharedSecretCiphertextBlob: expect.anything(),
      EncapsulationAlgorithm,
    });
    const { SharedSecret, SharedSecretCiphertextBlob } = made;
    expect(SharedSecret).toHaveLength(32);
    expect(SharedSecretCiphertextBlob).toHaveLength(length);
    const { $metadata: __, ...got } = await kms.send(
      new DecapsulateCommand({ KeyId, SharedSecretCiphertextBlob, EncapsulationAlgorithm }),
    );
    expect(got).toEqual({ KeyId: Arn, SharedSecret, EncapsulationAlgorithm });
    const another = await kms.send(new EncapsulateCommand({ KeyId, EncapsulationAlgorithm }));
    expect(another.SharedSecret).not.toEqual(SharedSecret);
  });

  test.each(SPECS)('of %s decapsulates what anybody encapsulated', async (spec, scheme, publicKeyLength) => {
    const { KeyId } = await newKey(spec, 'ENCAPSULATE_DECAPSULATE');
    const publicKey = (await publicKeyOf(KeyId)).subarray(-publicKeyLength);
    const { cipherText, sharedSecret } = scheme.encapsulate(publicKey);
    const { SharedSecret } = await kms.send(
      new DecapsulateCommand({ KeyId, SharedSecretCiphertextBlob: cipherText, EncapsulationAlgorithm }),
    );
    expect(Buffer.from(SharedSecret!)).toEqual(Buffer.from(sharedSecret));
  });

  test('gives another secret for an altered ciphertext, and for that of another key', async () => {
    const [one, other] = [
      await newKey('ML_KEM_768', 'ENCAPSULATE_DECAPSULATE'),
      await newKey('ML_KEM_768', 'ENCAPSULATE_DECAPSULATE'),
    ];
    const made = await kms.send(new EncapsulateCommand({ KeyId: one.KeyId, EncapsulationAlgorithm }));
    const altered = Buffer.from(made.SharedSecretCiphertextBlob!);
    altered[0]! ^= 1;
    for (const [KeyId, SharedSecretCiphertextBlob] of [
      [one.KeyId, altered],
      [other.KeyId, made.SharedSecretCiphertextBlob],
    ] as const) {
      const input = { KeyId, SharedSecretCiphertextBlob, EncapsulationAlgorithm } as const;
      const { SharedSecret } = await kms.send(new DecapsulateCommand(input));
      expect(SharedSecret).toHaveLength(32);
      expect(SharedSecret).not.toEqual(made.SharedSecret);
      expect((await kms.send(new DecapsulateCommand(input))).SharedSecret).toEqual(SharedSecret);
    }
  });

  test('refuses a ciphertext of another length', async () => {
    const { KeyId } = await newKey('ML_KEM_512', 'ENCAPSULATE_DECAPSULATE');
    for (const length of [1, 767, 769, 1088]) {
      for (const DryRun of [false, true]) {
        await expect(
          kms.send(
            new DecapsulateCommand({
              KeyId,
              SharedSecretCiphertextBlob: Buffer.alloc(length),
              EncapsulationAlgorithm,
              DryRun,
            }),
          ),
        ).rejects.toMatchObject({ name: 'InvalidCiphertextException' });
      }
    }
  });

  test('is of keys for encapsulation alone, in the states that allow it', async () => {
    const refused = async (KeyId: string, refusal: (operation: string) => object): Promise<void> => {
      const SharedSecretCiphertextBlob = Buffer.alloc(1088);
      await expect(kms.send(new EncapsulateCommand({ KeyId, EncapsulationAlgorithm }))).rejects.toMatchObject(
        refusal('Encapsulate'),
      );
      await expect(
        kms.send(new DecapsulateCommand({ KeyId, SharedSecretCiphertextBlob, EncapsulationAlgorithm })),
      ).rejects.toMatchObject(refusal('Decapsulate'));
    };
    for (const [spec, usage] of [
      ['ECC_NIST_P256', 'KEY_AGREEMENT'],
      ['ML_DSA_44', 'SIGN_VERIFY'],
      ['SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT'],
    ] as const) {
      const { KeyId, Arn } = await newKey(spec, usage);
      await refused(KeyId, (operation) => ({
        name: 'InvalidKeyUsageException',
        message: `${Arn} key usage is ${usage} which is not valid for ${operation}.`,
      }));
    }
    const { KeyId, Arn } = await newKey('ML_KEM_768', 'ENCAPSULATE_DECAPSULATE');
    const ended = { name: 'DryRunOperationException' };
    await expect(
      kms.send(new EncapsulateCommand({ KeyId, EncapsulationAlgorithm, DryRun: true })),
    ).rejects.toMatchObject(ended);
    await expect(
      kms.send(
        new DecapsulateCommand({
          KeyId,
          SharedSecretCiphertextBlob: Buffer.alloc(1088),
          EncapsulationAlgorithm,
          DryRun: true,
        }),
      ),
    ).rejects.toMatchObject(ended);
    await kms.send(new DisableKeyCommand({ KeyId }));
    await refused(KeyId, () => ({ name: 'DisabledException', message: `${Arn} is disabled.` }));
  });
});
