import { constants, createPublicKey, publicEncrypt } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateKeyCommand,
  DecryptCommand,
  type DecryptCommandInput,
  DisableKeyCommand,
  EncryptCommand,
  type EncryptCommandInput,
  type EncryptionAlgorithmSpec,
  GenerateDataKeyCommand,
  GenerateDataKeyWithoutPlaintextCommand,
  GetPublicKeyCommand,
  type KeySpec,
  type KeyUsageType,
  type KMSClient,
  ReEncryptCommand,
  type ReEncryptCommandInput,
  ScheduleKeyDeletionCommand,
} from '@aws-sdk/client-kms';
import { findOpenssl } from './support/certificates';
import { opensslWith } from './support/openssl';
import { type KeytrailProcess, startProcess } from './support/processes';

const openssl = findOpenssl();
const withOpenssl = openssl === undefined ? test.skip : test;

let dataDir: string;
let server: KeytrailProcess;
let kms: KMSClient;
/** One key of each kind that the tests need, by spec and usage; made once. */
const keys = new Map<string, { KeyId: string; Arn: string }>();

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-asymmetric-'));
  server = await startProcess(dataDir);
  kms = server.kms;
  const kinds: [KeySpec, KeyUsageType][] = [
    ['SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT'],
    ['RSA_2048', 'ENCRYPT_DECRYPT'],
    ['RSA_3072', 'ENCRYPT_DECRYPT'],
    ['RSA_4096', 'ENCRYPT_DECRYPT'],
    ['SM2', 'ENCRYPT_DECRYPT'],
    ['RSA_2048', 'SIGN_VERIFY'],
    ['ECC_NIST_P256', 'KEY_AGREEMENT'],
    ['HMAC_256', 'GENERATE_VERIFY_MAC'],
    ['ML_KEM_512', 'ENCAPSULATE_DECAPSULATE'],
  ];
  for (const [keySpec, keyUsage] of kinds) keys.set(`${keySpec} ${keyUsage}`, await newKey(keySpec, keyUsage));
});

afterAll(async () => {
  await server?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

async function newKey(KeySpec: KeySpec, KeyUsage: KeyUsageType): Promise<{ KeyId: string; Arn: string }> {
  const { KeyMetadata } = await kms.send(new CreateKeyCommand({ KeySpec, KeyUsage }));
  return { KeyId: KeyMetadata!.KeyId!, Arn: KeyMetadata!.Arn! };
}

const key = (keySpec: KeySpec, keyUsage: KeyUsageType = 'ENCRYPT_DECRYPT') => keys.get(`${keySpec} ${keyUsage}`)!;
const Plaintext = Buffer.from('the quick brown fox');
const encrypt = (input: Omit<EncryptCommandInput, 'Plaintext'> & { Plaintext?: Uint8Array }) =>
  kms.send(new EncryptCommand({ Plaintext, ...input }));
const decrypt = (input: DecryptCommandInput) => kms.send(new DecryptCommand(input));
const reEncrypt = (input: ReEncryptCommandInput) => kms.send(new ReEncryptCommand(input));
const publicKeyOf = async (KeyId: string): Promise<Buffer> =>
  Buffer.from((await kms.send(new GetPublicKeyCommand({ KeyId }))).PublicKey!);

const RSA_SPECS = ['RSA_2048', 'RSA_3072', 'RSA_4096'] as const;
const BYTES = { RSA_2048: 256, RSA_3072: 384, RSA_4096: 512 };
const OAEP = [
  ['RSAES_OAEP_SHA_1', 'sha1', 42],
  ['RSAES_OAEP_SHA_256', 'sha256', 66],
] as const;
const ON_RSA = RSA_SPECS.flatMap((spec) =>
  OAEP.map(([algorithm, hash, padding]) => ({ spec, algorithm, hash, padding })),
);

const incompatible = (algorithm: string, spec: string) => ({
  name: 'InvalidKeyUsageException',
  message: `Algorithm ${algorithm} is incompatible with key spec ${spec}.`,
});

describe('RSA keys', () => {
  test.each(ON_RSA)('of spec $spec encrypt and decrypt with $algorithm', async ({ spec, algorithm }) => {
    const { KeyId, Arn } = key(spec);
    const { $metadata: _, ...encrypted } = await encrypt({ KeyId, EncryptionAlgorithm: algorithm });
    expect(encrypted).toEqual({ CiphertextBlob: expect.anything(), KeyId: Arn, EncryptionAlgorithm: algorithm });
    const { CiphertextBlob } = encrypted;
    expect(CiphertextBlob).toHaveLength(BYTES[spec]);
    const { $metadata: __, ...decrypted } = await decrypt({ KeyId, CiphertextBlob, EncryptionAlgorithm: algorithm });
    // No KeyMaterialId: an asymmetric key has one key material, which AWS does not name.
    expect({ ...decrypted, Plaintext: Buffer.from(decrypted.Plaintext!) }).toEqual({
      Plaintext,
      KeyId: Arn,
      EncryptionAlgorithm: algorithm,
    });
  });

  test.each(ON_RSA)(
    'of spec $spec decrypt what anybody encrypted with $algorithm',
    async ({ spec, algorithm, hash }) => {
      const { KeyId } = key(spec);
      const publicKey = createPublicKey({ key: await publicKeyOf(KeyId), format: 'der', type: 'spki' });
      const padding = constants.RSA_PKCS1_OAEP_PADDING;
      const CiphertextBlob = publicEncrypt({ key: publicKey, padding, oaepHash: hash }, Plaintext);
      const decrypted = await decrypt({ KeyId, CiphertextBlob, EncryptionAlgorithm: algorithm });
      expect(Buffer.from(decrypted.Plaintext!)).toEqual(Plaintext);
    },
  );

  withOpenssl.each(ON_RSA)(
    'of spec $spec decrypt what OpenSSL encrypted with $algorithm',
    async ({ spec, algorithm, hash }) => {
      const { KeyId } = key(spec);
      const CiphertextBlob = opensslWith(
        { public: await publicKeyOf(KeyId), plaintext: Plaintext },
        ...(['ciphertext', 'pkeyutl', '-encrypt', '-pubin', '-inkey', 'public', '-keyform', 'DER'] as const),
        ...['-in', 'plaintext', '-out', 'ciphertext', '-pkeyopt', 'rsa_padding_mode:oaep'],
        ...['-pkeyopt', `rsa_oaep_md:${hash}`, '-pkeyopt', `rsa_mgf1_md:${hash}`],
      );
      const decrypted = await decrypt({ KeyId, CiphertextBlob, EncryptionAlgorithm: algorithm });
      expect(Buffer.from(decrypted.Plaintext!)).toEqual(Plaintext);
    },
  );

  test.each(ON_RSA)('of spec $spec take with $algorithm as much as AWS says', async ({ spec, algorithm, padding }) => {
    const { KeyId } = key(spec);
    const longest = BYTES[spec] - padding;
    const full = Buffer.alloc(longest, 0xa5);
    const { CiphertextBlob } = await encrypt({ KeyId, Plaintext: full, EncryptionAlgorithm: algorithm });
    const decrypted = await decrypt({ KeyId, CiphertextBlob, EncryptionAlgorithm: algorithm });
    expect(Buffer.from(decrypted.Plaintext!)).toEqual(full);
    const tooLong = { KeyId, Plaintext: Buffer.alloc(longest + 1), EncryptionAlgorithm: algorithm };
    const refusal = {
      name: 'ValidationException',
      message: `Algorithm ${algorithm} and key spec ${spec} cannot encrypt data larger than ${longest} bytes.`,
    };
    await expect(encrypt(tooLong)).rejects.toMatchObject(refusal);
    await expect(encrypt({ ...tooLong, DryRun: true })).rejects.toMatchObject(refusal);
  });

  test('never say what is wrong with a ciphertext', async () => {
    const { KeyId } = key('RSA_2048');
    const EncryptionAlgorithm = 'RSAES_OAEP_SHA_256';
    const good = Buffer.from((await encrypt({ KeyId, EncryptionAlgorithm })).CiphertextBlob!);
    const altered = Buffer.from(good);
    altered[17]! ^= 1;
    const bad: [Uint8Array, EncryptionAlgorithmSpec][] = [
      [altered, EncryptionAlgorithm],
      [good.subarray(1), EncryptionAlgorithm],
      [Buffer.concat([good, Buffer.of(0)]), EncryptionAlgorithm],
      [Buffer.alloc(256), EncryptionAlgorithm],
      [Buffer.alloc(256, 0xff), EncryptionAlgorithm],
      [good, 'RSAES_OAEP_SHA_1'],
      [Buffer.from((await encrypt({ KeyId: key('SYMMETRIC_DEFAULT').KeyId })).CiphertextBlob!), EncryptionAlgorithm],
    ];
    for (const [CiphertextBlob, algorithm] of bad) {
      await expect(decrypt({ KeyId, CiphertextBlob, EncryptionAlgorithm: algorithm })).rejects.toMatchObject({
        name: 'InvalidCiphertextException',
        message: expect.stringMatching(/^(UnknownError|InvalidCiphertextException)?$/),
      });
    }
    const ofAnother = await encrypt({
      KeyId: (await newKey('RSA_2048', 'ENCRYPT_DECRYPT')).KeyId,
      EncryptionAlgorithm,
    });
    await expect(
      decrypt({ KeyId, CiphertextBlob: ofAnother.CiphertextBlob, EncryptionAlgorithm }),
    ).rejects.toMatchObject({ name: 'InvalidCiphertextException' });
  });

  test('end a dry run after every check', async () => {
    const { KeyId } = key('RSA_2048');
    const EncryptionAlgorithm = 'RSAES_OAEP_SHA_256';
    const DryRun = true;
    const ended = { name: 'DryRunOperationException' };
    await expect(encrypt({ KeyId, EncryptionAlgorithm, DryRun })).rejects.toMatchObject(ended);
    const { CiphertextBlob } = await encrypt({ KeyId, EncryptionAlgorithm });
    await expect(decrypt({ KeyId, CiphertextBlob, EncryptionAlgorithm, DryRun })).rejects.toMatchObject(ended);
    await expect(
      decrypt({ KeyId, EncryptionAlgorithm, DryRun, DryRunModifiers: ['IGNORE_CIPHERTEXT'] }),
    ).rejects.toMatchObject(ended);
    await expect(decrypt({ KeyId, DryRun, DryRunModifiers: ['IGNORE_CIPHERTEXT'] })).rejects.toMatchObject(
      incompatible('SYMMETRIC_DEFAULT', 'RSA_2048'),
    );
    await expect(
      decrypt({ KeyId, CiphertextBlob: Buffer.alloc(256), EncryptionAlgorithm, DryRun }),
    ).rejects.toMatchObject({ name: 'InvalidCiphertextException' });
  });
});

describe('SM2 keys', () => {
  const EncryptionAlgorithm = 'SM2PKE';

  test('encrypt and decrypt with SM2PKE, up to 1024 bytes', async () => {
    const { KeyId, Arn } = key('SM2');
    const full = Buffer.alloc(1024, 7);
    const encrypted = await encrypt({ KeyId, Plaintext: full, EncryptionAlgorithm });
    expect(encrypted).toMatchObject({ KeyId: Arn, EncryptionAlgorithm });
    const decrypted = await decrypt({ KeyId, CiphertextBlob: encrypted.CiphertextBlob, EncryptionAlgorithm });
    expect(decrypted).toMatchObject({ KeyId: Arn, EncryptionAlgorithm });
    expect(Buffer.from(decrypted.Plaintext!)).toEqual(full);
    await expect(encrypt({ KeyId, Plaintext: Buffer.alloc(1025), EncryptionAlgorithm })).rejects.toMatchObject({
      name: 'ValidationException',
      message: 'Algorithm SM2PKE and key spec SM2 cannot encrypt data larger than 1024 bytes.',
    });
  });

  withOpenssl('decrypt what OpenSSL encrypted', async () => {
    const { KeyId } = key('SM2');
    const CiphertextBlob = opensslWith(
      { public: await publicKeyOf(KeyId), plaintext: Plaintext },
      ...(['ciphertext', 'pkeyutl', '-encrypt', '-pubin', '-inkey', 'public', '-keyform', 'DER'] as const),
      ...['-in', 'plaintext', '-out', 'ciphertext'],
    );
    const decrypted = await decrypt({ KeyId, CiphertextBlob, EncryptionAlgorithm });
    expect(Buffer.from(decrypted.Plaintext!)).toEqual(Plaintext);
  });

  test('refuse every altered ciphertext', async () => {
    const { KeyId } = key('SM2');
    const good = Buffer.from((await encrypt({ KeyId, EncryptionAlgorithm })).CiphertextBlob!);
    for (const at of [0, 5, 40, 80, good.length - 1]) {
      const CiphertextBlob = Buffer.from(good);
      CiphertextBlob[at]! ^= 1;
      await expect(decrypt({ KeyId, CiphertextBlob, EncryptionAlgorithm })).rejects.toMatchObject({
        name: 'InvalidCiphertextException',
      });
    }
  });
});

describe('what does not fit the key', () => {
  test('is an algorithm, or none, of another key spec', async () => {
    const of = (keySpec: KeySpec) => key(keySpec).KeyId;
    await expect(encrypt({ KeyId: of('RSA_2048') })).rejects.toMatchObject(
      incompatible('SYMMETRIC_DEFAULT', 'RSA_2048'),
    );
    await expect(encrypt({ KeyId: of('SM2'), EncryptionAlgorithm: 'RSAES_OAEP_SHA_1' })).rejects.toMatchObject(
      incompatible('RSAES_OAEP_SHA_1', 'SM2'),
    );
    await expect(encrypt({ KeyId: of('RSA_4096'), EncryptionAlgorithm: 'SM2PKE' })).rejects.toMatchObject(
      incompatible('SM2PKE', 'RSA_4096'),
    );
    await expect(
      encrypt({ KeyId: of('SYMMETRIC_DEFAULT'), EncryptionAlgorithm: 'RSAES_OAEP_SHA_256' }),
    ).rejects.toMatchObject(incompatible('RSAES_OAEP_SHA_256', 'SYMMETRIC_DEFAULT'));
    const { CiphertextBlob } = await encrypt({ KeyId: of('SYMMETRIC_DEFAULT') });
    await expect(
      decrypt({ KeyId: of('SYMMETRIC_DEFAULT'), CiphertextBlob, EncryptionAlgorithm: 'RSAES_OAEP_SHA_256' }),
    ).rejects.toMatchObject(incompatible('RSAES_OAEP_SHA_256', 'SYMMETRIC_DEFAULT'));
  });

  test.each<[KeySpec, KeyUsageType]>([
    ['RSA_2048', 'SIGN_VERIFY'],
    ['ECC_NIST_P256', 'KEY_AGREEMENT'],
    ['HMAC_256', 'GENERATE_VERIFY_MAC'],
    ['ML_KEM_512', 'ENCAPSULATE_DECAPSULATE'],
  ])('is every encryption with a key of spec %s for %s', async (keySpec, keyUsage) => {
    const { KeyId, Arn } = key(keySpec, keyUsage);
    const refusal = (operation: string) => ({
      name: 'InvalidKeyUsageException',
      message: `${Arn} key usage is ${keyUsage} which is not valid for ${operation}.`,
    });
    const EncryptionAlgorithm = 'RSAES_OAEP_SHA_256';
    const CiphertextBlob = Buffer.alloc(256);
    await expect(encrypt({ KeyId, EncryptionAlgorithm })).rejects.toMatchObject(refusal('Encrypt'));
    await expect(encrypt({ KeyId })).rejects.toMatchObject(refusal('Encrypt'));
    await expect(decrypt({ KeyId, CiphertextBlob, EncryptionAlgorithm })).rejects.toMatchObject(refusal('Decrypt'));
    const { CiphertextBlob: source } = await encrypt({ KeyId: key('SYMMETRIC_DEFAULT').KeyId });
    await expect(reEncrypt({ CiphertextBlob: source, DestinationKeyId: KeyId })).rejects.toMatchObject(
      refusal('ReEncryptTo'),
    );
    await expect(kms.send(new GenerateDataKeyCommand({ KeyId, KeySpec: 'AES_256' }))).rejects.toMatchObject(
      refusal('GenerateDataKey'),
    );
    await expect(
      kms.send(new GenerateDataKeyWithoutPlaintextCommand({ KeyId, NumberOfBytes: 8 })),
    ).rejects.toMatchObject(refusal('GenerateDataKeyWithoutPlaintext'));
  });

  test('is a data key under an asymmetric key', async () => {
    const refusal = {
      name: 'InvalidKeyUsageException',
      message: 'You cannot generate a data key with an asymmetric CMK',
    };
    const { KeyId } = key('RSA_2048');
    await expect(kms.send(new GenerateDataKeyCommand({ KeyId, KeySpec: 'AES_256' }))).rejects.toMatchObject(refusal);
    await expect(
      kms.send(new GenerateDataKeyWithoutPlaintextCommand({ KeyId, KeySpec: 'AES_128' })),
    ).rejects.toMatchObject(refusal);
  });

  test('is an encryption context with an asymmetric key', async () => {
    const EncryptionContext = { tenant: 'blue' };
    const refusal = {
      name: 'ValidationException',
      message: 'EncryptionContext is not supported when encrypting/decrypting with asymmetric CMKs.',
    };
    for (const [keySpec, EncryptionAlgorithm] of [
      ['RSA_2048', 'RSAES_OAEP_SHA_256'],
      ['SM2', 'SM2PKE'],
    ] as const) {
      const { KeyId } = key(keySpec);
      const { CiphertextBlob } = await encrypt({ KeyId, EncryptionAlgorithm });
      await expect(encrypt({ KeyId, EncryptionAlgorithm, EncryptionContext })).rejects.toMatchObject(refusal);
      await expect(decrypt({ KeyId, CiphertextBlob, EncryptionAlgorithm, EncryptionContext })).rejects.toMatchObject(
        refusal,
      );
      await encrypt({ KeyId, EncryptionAlgorithm, EncryptionContext: {} });
    }
  });

  test('is a ciphertext of an asymmetric key whose key is not named', async () => {
    const { KeyId } = key('RSA_2048');
    const { CiphertextBlob } = await encrypt({ KeyId, EncryptionAlgorithm: 'RSAES_OAEP_SHA_256' });
    await expect(decrypt({ CiphertextBlob, EncryptionAlgorithm: 'RSAES_OAEP_SHA_256' })).rejects.toMatchObject({
      name: 'ValidationException',
      message: 'KeyId must not be null',
    });
    // Without an algorithm it is taken for a symmetric one, which it is not.
    await expect(decrypt({ CiphertextBlob })).rejects.toMatchObject({ name: 'InvalidCiphertextException' });
    await expect(decrypt({ KeyId, CiphertextBlob })).rejects.toMatchObject({ name: 'InvalidCiphertextException' });
  });

  test('is a symmetric ciphertext with an asymmetric key', async () => {
    const { CiphertextBlob } = await encrypt({ KeyId: key('SYMMETRIC_DEFAULT').KeyId });
    for (const KeyId of [key('RSA_2048').KeyId, key('RSA_2048', 'SIGN_VERIFY').KeyId]) {
      await expect(decrypt({ KeyId, CiphertextBlob })).rejects.toMatchObject({
        name: 'IncorrectKeyException',
        message: 'The key ID in the request does not identify a CMK that can perform this operation.',
      });
    }
  });

  test('is told after the key state, and the usage before it', async () => {
    const disabled = await newKey('RSA_2048', 'ENCRYPT_DECRYPT');
    await kms.send(new DisableKeyCommand({ KeyId: disabled.KeyId }));
    const isDisabled = { name: 'DisabledException', message: `${disabled.Arn} is disabled.` };
    const CiphertextBlob = Buffer.alloc(256);
    for (const EncryptionAlgorithm of ['RSAES_OAEP_SHA_256', 'SM2PKE'] as const) {
      const { KeyId } = disabled;
      await expect(encrypt({ KeyId, EncryptionAlgorithm })).rejects.toMatchObject(isDisabled);
      await expect(decrypt({ KeyId, CiphertextBlob, EncryptionAlgorithm })).rejects.toMatchObject(isDisabled);
    }
    const pending = await newKey('RSA_2048', 'ENCRYPT_DECRYPT');
    await kms.send(new ScheduleKeyDeletionCommand({ KeyId: pending.KeyId, PendingWindowInDays: 7 }));
    await expect(encrypt({ KeyId: pending.KeyId, EncryptionAlgorithm: 'RSAES_OAEP_SHA_1' })).rejects.toMatchObject({
      name: 'KMSInvalidStateException',
      message: `${pending.Arn} is pending deletion.`,
    });
    const signing = await newKey('RSA_2048', 'SIGN_VERIFY');
    await kms.send(new DisableKeyCommand({ KeyId: signing.KeyId }));
    await expect(encrypt({ KeyId: signing.KeyId, EncryptionAlgorithm: 'RSAES_OAEP_SHA_256' })).rejects.toMatchObject({
      name: 'InvalidKeyUsageException',
      message: `${signing.Arn} key usage is SIGN_VERIFY which is not valid for Encrypt.`,
    });
  });
});

describe('ReEncrypt', () => {
  const sides: [KeySpec, EncryptionAlgorithmSpec][] = [
    ['SYMMETRIC_DEFAULT', 'SYMMETRIC_DEFAULT'],
    ['RSA_2048', 'RSAES_OAEP_SHA_1'],
    ['RSA_3072', 'RSAES_OAEP_SHA_256'],
    ['SM2', 'SM2PKE'],
  ];
  const pairs = sides.flatMap((from) => sides.map((to) => [...from, ...to] as const));

  test.each(pairs)('goes from %s with %s to %s with %s', async (fromSpec, from, toSpec, to) => {
    const [source, destination] = [key(fromSpec), key(toSpec)];
    const { CiphertextBlob } = await encrypt({ KeyId: source.KeyId, EncryptionAlgorithm: from });
    const { $metadata: _, ...reply } = await reEncrypt({
      CiphertextBlob,
      SourceKeyId: source.KeyId,
      SourceEncryptionAlgorithm: from,
      DestinationKeyId: destination.KeyId,
      DestinationEncryptionAlgorithm: to,
    });
    const material = expect.stringMatching(/^[0-9a-f]{64}$/);
    expect(reply).toEqual({
      CiphertextBlob: expect.anything(),
      SourceKeyId: source.Arn,
      KeyId: destination.Arn,
      SourceEncryptionAlgorithm: from,
      DestinationEncryptionAlgorithm: to,
      ...(fromSpec === 'SYMMETRIC_DEFAULT' && { SourceKeyMaterialId: material }),
      ...(toSpec === 'SYMMETRIC_DEFAULT' && { DestinationKeyMaterialId: material }),
    });
    const decrypted = await decrypt({
      KeyId: destination.KeyId,
      CiphertextBlob: reply.CiphertextBlob,
      EncryptionAlgorithm: to,
    });
    expect(Buffer.from(decrypted.Plaintext!)).toEqual(Plaintext);
  });

  test('refuses what the destination cannot hold, and what the source did not encrypt', async () => {
    const symmetric = key('SYMMETRIC_DEFAULT').KeyId;
    const rsa = key('RSA_2048').KeyId;
    const long = await encrypt({ KeyId: symmetric, Plaintext: Buffer.alloc(191) });
    const toRsa = { DestinationKeyId: rsa, DestinationEncryptionAlgorithm: 'RSAES_OAEP_SHA_256' } as const;
    await expect(reEncrypt({ CiphertextBlob: long.CiphertextBlob, ...toRsa })).rejects.toMatchObject({
      name: 'ValidationException',
      message: 'Algorithm RSAES_OAEP_SHA_256 and key spec RSA_2048 cannot encrypt data larger than 190 bytes.',
    });
    await expect(
      reEncrypt({
        CiphertextBlob: Buffer.alloc(256, 1),
        SourceKeyId: rsa,
        SourceEncryptionAlgorithm: 'RSAES_OAEP_SHA_256',
        DestinationKeyId: symmetric,
      }),
    ).rejects.toMatchObject({ name: 'InvalidCiphertextException' });
    await expect(
      reEncrypt({
        CiphertextBlob: Buffer.alloc(256, 1),
        SourceEncryptionAlgorithm: 'RSAES_OAEP_SHA_256',
        DestinationKeyId: symmetric,
      }),
    ).rejects.toMatchObject({ name: 'ValidationException', message: 'SourceKeyId must not be null' });
  });

  test('refuses contexts and algorithms on the side that they do not fit', async () => {
    const symmetric = key('SYMMETRIC_DEFAULT').KeyId;
    const rsa = key('RSA_2048').KeyId;
    const fromRsa = {
      CiphertextBlob: (await encrypt({ KeyId: rsa, EncryptionAlgorithm: 'RSAES_OAEP_SHA_1' })).CiphertextBlob,
      SourceKeyId: rsa,
      SourceEncryptionAlgorithm: 'RSAES_OAEP_SHA_1',
      DestinationKeyId: symmetric,
    } as const;
    const noContext = {
      name: 'ValidationException',
      message: 'EncryptionContext is not supported when encrypting/decrypting with asymmetric CMKs.',
    };
    const context = { tenant: 'blue' };
    await expect(reEncrypt({ ...fromRsa, SourceEncryptionContext: context })).rejects.toMatchObject(noContext);
    const { CiphertextBlob } = await reEncrypt({ ...fromRsa, DestinationEncryptionContext: context });
    await expect(
      reEncrypt({
        CiphertextBlob,
        SourceEncryptionContext: context,
        DestinationKeyId: rsa,
        DestinationEncryptionAlgorithm: 'RSAES_OAEP_SHA_1',
        DestinationEncryptionContext: context,
      }),
    ).rejects.toMatchObject(noContext);
    await expect(
      reEncrypt({ CiphertextBlob, SourceEncryptionContext: context, DestinationKeyId: rsa }),
    ).rejects.toMatchObject(incompatible('SYMMETRIC_DEFAULT', 'RSA_2048'));
    await expect(reEncrypt({ ...fromRsa, DryRun: true })).rejects.toMatchObject({ name: 'DryRunOperationException' });
  });
});
