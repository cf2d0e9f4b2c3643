import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateAliasCommand,
  CreateKeyCommand,
  DescribeKeyCommand,
  GetPublicKeyCommand,
  type KeySpec,
  type KMSClient,
  type MessageType,
  SignCommand,
  type SigningAlgorithmSpec,
  VerifyCommand,
} from '@aws-sdk/client-kms';
import { ed25519ph } from '@noble/curves/ed25519.js';
import { ml_dsa44, ml_dsa65, ml_dsa87 } from '@noble/post-quantum/ml-dsa.js';
import { type KeytrailProcess, startProcess } from './support/processes';

const MESSAGE = Buffer.from('the quick brown fox');
const HASHES = { SHA_256: 'sha256', SHA_384: 'sha384', SHA_512: 'sha512', SM2DSA: 'sm3' };

const RSA: SigningAlgorithmSpec[] = [
  'RSASSA_PKCS1_V1_5_SHA_256',
  'RSASSA_PKCS1_V1_5_SHA_384',
  'RSASSA_PKCS1_V1_5_SHA_512',
  'RSASSA_PSS_SHA_256',
  'RSASSA_PSS_SHA_384',
  'RSASSA_PSS_SHA_512',
];
const SPECS: [KeySpec, SigningAlgorithmSpec[]][] = [
  ['RSA_2048', RSA],
  ['RSA_3072', RSA],
  ['RSA_4096', RSA],
  ['ECC_NIST_P256', ['ECDSA_SHA_256']],
  ['ECC_NIST_P384', ['ECDSA_SHA_384']],
  ['ECC_NIST_P521', ['ECDSA_SHA_512']],
  ['ECC_SECG_P256K1', ['ECDSA_SHA_256']],
  ['ECC_NIST_EDWARDS25519', ['ED25519_SHA_512', 'ED25519_PH_SHA_512']],
  ['SM2', ['SM2DSA']],
  ['ML_DSA_44', ['ML_DSA_SHAKE_256']],
  ['ML_DSA_65', ['ML_DSA_SHAKE_256']],
  ['ML_DSA_87', ['ML_DSA_SHAKE_256']],
];
const ML_DSA = { ML_DSA_44: ml_dsa44, ML_DSA_65: ml_dsa65, ML_DSA_87: ml_dsa87 };

const messageTypesOf = (algorithm: SigningAlgorithmSpec): MessageType[] =>
  algorithm === 'ED25519_SHA_512'
    ? ['RAW']
    : algorithm === 'ED25519_PH_SHA_512'
      ? ['DIGEST']
      : algorithm === 'ML_DSA_SHAKE_256'
        ? ['RAW', 'EXTERNAL_MU']
        : ['RAW', 'DIGEST'];

let folder: string;
let server: KeytrailProcess;
let kms: KMSClient;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'keytrail-signing-'));
  server = await startProcess(join(folder, 'data'), {});
  kms = server.kms;
});

afterAll(async () => {
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const newKey = async (spec: KeySpec): Promise<string> => {
  const { KeyMetadata } = await kms.send(new CreateKeyCommand({ KeySpec: spec, KeyUsage: 'SIGN_VERIFY' }));
  return KeyMetadata!.Arn!;
};

/** What AWS has the caller send of the message. */
function sent(algorithm: SigningAlgorithmSpec, type: MessageType, publicKey: Buffer): Buffer {
  if (type === 'RAW') return MESSAGE;
  if (type === 'EXTERNAL_MU') return mu(publicKey);
  const [, hash] = Object.entries(HASHES).find(([name]) => algorithm.endsWith(name))!;
  if (algorithm !== 'SM2DSA') return createHash(hash).update(MESSAGE).digest();
  return sm2Digest(publicKey);
}

/** FIPS 204 algorithm 7, line 6, with the M' of algorithm 2 for an empty context. */
function mu(publicKey: Buffer): Buffer {
  const shake = (...parts: Uint8Array[]): Buffer => {
    const hash = createHash('shake256', { outputLength: 64 });
    for (const part of parts) hash.update(part);
    return hash.digest();
  };
  return shake(shake(publicKey.subarray(22)), Buffer.of(0, 0), MESSAGE);
}

/** GB/T 32918.2 section 5.5, with the distinguishing id that AWS documents. */
function sm2Digest(publicKey: Buffer): Buffer {
  const id = Buffer.from('1234567812345678');
  const curve = Buffer.from(
    'fffffffeffffffffffffffffffffffffffffffff00000000fffffffffffffffc28e9fa9e9d9f5e344d5a9e4bcf6509a7f39789f515ab8f92ddbcbd414d940e9332c4ae2c1f1981195f9904466a39c9948fe30bbff2660be1715a4589334c74c7bc3736a2f4f6779c59bdcee36b692153d0a9877cc62a474002df32e52139f0a0',
    'hex',
  );
  const z = createHash('sm3').update(Buffer.of(0, 128)).update(id).update(curve).update(publicKey.subarray(-64));
  return createHash('sm3').update(z.digest()).update(MESSAGE).digest();
}

/** What the OpenSSL command line says of a signature over the message; of what it does not know yet, noble. */
function isVerified(spec: KeySpec, algorithm: SigningAlgorithmSpec, publicKey: Buffer, signature: Buffer): boolean {
  if (algorithm === 'ML_DSA_SHAKE_256') {
    return ML_DSA[spec as keyof typeof ML_DSA].verify(signature, MESSAGE, publicKey.subarray(22));
  }
  if (algorithm === 'ED25519_PH_SHA_512') {
    // AWS KMS hashes the digest once more.
    return ed25519ph.verify(signature, createHash('sha512').update(MESSAGE).digest(), publicKey.subarray(-32));
  }
  const file = (name: string, bytes: Uint8Array): string => {
    writeFileSync(join(folder, name), bytes);
    return join(folder, name);
  };
  const message = file('message', MESSAGE);
  const signed = file('signature', signature);
  const key = file('public.der', publicKey);
  const pss = ['-sigopt', 'rsa_padding_mode:pss', '-sigopt', 'rsa_pss_saltlen:digest'];
  const hash = HASHES[algorithm.slice(-7) as keyof typeof HASHES];
  const raw = ['pkeyutl', '-verify', '-pubin', '-keyform', 'DER', '-inkey', key, '-rawin', '-in', message];
  const args =
    algorithm === 'ED25519_SHA_512'
      ? [...raw, '-sigfile', signed]
      : algorithm === 'SM2DSA'
        ? [...raw, '-digest', 'sm3', '-pkeyopt', 'distid:1234567812345678', '-sigfile', signed]
        : [
            ...['dgst', `-${hash}`, '-keyform', 'DER', '-verify', key],
            ...(algorithm.startsWith('RSASSA_PSS') ? pss : []),
            ...['-signature', signed, message],
          ];
  return /Verified OK|Signature Verified Successfully/.test(
    execFileSync('openssl', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }),
  );
}

describe.each(SPECS)('a key of spec %s', (spec, algorithms) => {
  let KeyId: string;
  let publicKey: Buffer;

  beforeAll(async () => {
    KeyId = await newKey(spec);
    publicKey = Buffer.from((await kms.send(new GetPublicKeyCommand({ KeyId }))).PublicKey!);
  });

  test('tells its public key, and what it can be used for', async () => {
    const { $metadata: _, PublicKey, ...told } = await kms.send(new GetPublicKeyCommand({ KeyId }));
    expect(told).toEqual({
      KeyId,
      KeySpec: spec,
      CustomerMasterKeySpec: spec,
      KeyUsage: 'SIGN_VERIFY',
      SigningAlgorithms: algorithms,
    });
    const { KeyMetadata } = await kms.send(new DescribeKeyCommand({ KeyId }));
    expect(KeyMetadata).toMatchObject({ KeySpec: spec, SigningAlgorithms: algorithms });
  });

  const cases = algorithms.flatMap((algorithm) => messageTypesOf(algorithm).map((type) => ({ algorithm, type })));

  test.each(cases)('signs by $algorithm what is $type, as others verify', async ({ algorithm, type }) => {
    const request = {
      KeyId,
      Message: sent(algorithm, type, publicKey),
      ...(type !== 'RAW' && { MessageType: type }),
      SigningAlgorithm: algorithm,
    };
    const reply = await kms.send(new SignCommand(request));
    const { Signature } = reply;
    expect(reply).toMatchObject({ KeyId, SigningAlgorithm: algorithm });
    expect(isVerified(spec, algorithm, publicKey, Buffer.from(Signature!))).toBe(true);
    const verified = await kms.send(new VerifyCommand({ ...request, Signature }));
    expect(verified).toMatchObject({ KeyId, SignatureValid: true, SigningAlgorithm: algorithm });
  });

  test.each(cases)('verifies by $algorithm, $type, nothing that differs', async ({ algorithm, type }) => {
    const request = {
      KeyId,
      Message: sent(algorithm, type, publicKey),
      MessageType: type,
      SigningAlgorithm: algorithm,
    };
    const signature = Buffer.from((await kms.send(new SignCommand(request))).Signature!);
    const refused = { name: 'KMSInvalidSignatureException', message: 'UnknownError' };
    for (const at of [0, signature.length >> 1, signature.length - 1]) {
      const Signature = Buffer.from(signature);
      Signature[at]! ^= 1;
      await expect(kms.send(new VerifyCommand({ ...request, Signature }))).rejects.toMatchObject(refused);
    }
    const Message = Buffer.from(request.Message);
    Message[0]! ^= 1;
    await expect(kms.send(new VerifyCommand({ ...request, Message, Signature: signature }))).rejects.toMatchObject(
      refused,
    );
    for (const Signature of [signature.subarray(1), Buffer.concat([signature, Buffer.of(0)]), Buffer.alloc(6144)]) {
      await expect(kms.send(new VerifyCommand({ ...request, Signature }))).rejects.toMatchObject(refused);
    }
  });

  test('takes a signature over a message and over what stands for it as the same', async () => {
    for (const algorithm of algorithms) {
      const [raw, other = raw] = messageTypesOf(algorithm).map((type) => ({
        KeyId,
        Message: sent(algorithm, type, publicKey),
        MessageType: type,
        SigningAlgorithm: algorithm,
      }));
      for (const [one, another] of [
        [raw!, other!],
        [other!, raw!],
      ] as const) {
        const { Signature } = await kms.send(new SignCommand(one));
        expect(await kms.send(new VerifyCommand({ ...another, Signature }))).toMatchObject({ SignatureValid: true });
      }
    }
  });
});

test('a key signs and verifies by its alias, and no other key verifies what it signed', async () => {
  const KeyId = await newKey('ECC_NIST_P256');
  const other = await newKey('ECC_NIST_P256');
  await kms.send(new CreateAliasCommand({ AliasName: 'alias/signer', TargetKeyId: KeyId }));
  const request = { KeyId: 'alias/signer', Message: MESSAGE, SigningAlgorithm: 'ECDSA_SHA_256' } as const;
  const { Signature, KeyId: signer } = await kms.send(new SignCommand(request));
  expect(signer).toBe(KeyId);
  expect(await kms.send(new VerifyCommand({ ...request, Signature }))).toMatchObject({ KeyId, SignatureValid: true });
  await expect(kms.send(new VerifyCommand({ ...request, KeyId: other, Signature }))).rejects.toMatchObject({
    name: 'KMSInvalidSignatureException',
  });
});

test('many signatures at once, slow and quick ones, each belong to their message', async () => {
  const keys = await Promise.all(
    (['ECC_NIST_P256', 'ECC_NIST_P384', 'RSA_2048', 'ML_DSA_44'] as const).map(async (spec) => ({
      KeyId: await newKey(spec),
      SigningAlgorithm: SPECS.find(([name]) => name === spec)![1][0]!,
    })),
  );
  const signedAll = await Promise.all(
    Array.from({ length: 32 }, async (_, at) => {
      const request = { ...keys[at % keys.length]!, Message: Buffer.from(`message ${at}`) };
      return { ...request, Signature: (await kms.send(new SignCommand(request))).Signature };
    }),
  );
  const verified = await Promise.all(signedAll.map((request) => kms.send(new VerifyCommand(request))));
  expect(verified.every(({ SignatureValid }) => SignatureValid)).toBe(true);
});
