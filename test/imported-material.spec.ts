import { execFileSync } from 'node:child_process';
import { createPublicKey, verify } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type AlgorithmSpec,
  CreateKeyCommand,
  DecryptCommand,
  DeleteImportedKeyMaterialCommand,
  DescribeKeyCommand,
  EncryptCommand,
  GenerateMacCommand,
  GetParametersForImportCommand,
  GetPublicKeyCommand,
  ImportKeyMaterialCommand,
  type ImportKeyMaterialCommandInput,
  type KeySpec,
  ListKeyRotationsCommand,
  RotateKeyOnDemandCommand,
  SignCommand,
  type WrappingKeySpec,
} from '@aws-sdk/client-kms';
import { WYCHEPROOF_KWP } from './fixtures/wycheproof-kwp';
import { crashedAt } from './support/crash-at';
import { until } from './support/nats-server';
import { type KeytrailProcess, MAIN, run, startProcess } from './support/processes';
import { filesHolding, storedMaterial } from './support/stored-material';
import { type NewMaterial, newMaterial, wrap } from './support/wrapping';

const VIRTUAL = { KEYTRAIL_CLOCK: 'virtual' };
const PLAINTEXT = Buffer.from('held');
const FOR_EVER = { ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' } as const;
const OAEP = 'RSAES_OAEP_SHA_256';
const DAY_MS = 86_400_000;

let dataDir: string;
let server: KeytrailProcess;
/** The virtual clock less the system's. */
let ahead = 0;

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-import-'));
  server = await startProcess(dataDir, VIRTUAL);
});

afterAll(async () => {
  await server?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

async function cli(...args: string[]): Promise<string> {
  const { code, output } = await run([MAIN, ...args], { KEYTRAIL_DATA_DIR: dataDir }).done;
  if (code !== 0) throw new Error(output);
  return output;
}

async function advance(days: number): Promise<void> {
  ahead += days * DAY_MS;
  await cli('clock', 'advance', `${days}d`);
}

const inDays = (days: number): Date => new Date(Date.now() + ahead + days * DAY_MS);

async function externalKey(keySpec: KeySpec = 'SYMMETRIC_DEFAULT', usage?: 'SIGN_VERIFY' | 'GENERATE_VERIFY_MAC') {
  const asked = { Origin: 'EXTERNAL', KeySpec: keySpec, KeyUsage: usage } as const;
  return (await server.kms.send(new CreateKeyCommand(asked))).KeyMetadata!.KeyId!;
}

async function importOf(
  KeyId: string,
  material: Uint8Array,
  more: Partial<ImportKeyMaterialCommandInput> = FOR_EVER,
  WrappingAlgorithm: AlgorithmSpec = OAEP,
  WrappingKeySpec: WrappingKeySpec = 'RSA_2048',
): Promise<ImportKeyMaterialCommand> {
  const asked = { KeyId, WrappingAlgorithm, WrappingKeySpec };
  const { ImportToken, PublicKey } = await server.kms.send(new GetParametersForImportCommand(asked));
  const EncryptedKeyMaterial = wrap(WrappingAlgorithm, PublicKey!, material);
  return new ImportKeyMaterialCommand({ KeyId, ImportToken, EncryptedKeyMaterial, ...more });
}

const imported = async (...args: Parameters<typeof importOf>): Promise<string> =>
  (await server.kms.send(await importOf(...args))).KeyMaterialId!;

const describeKey = async (KeyId: string) => (await server.kms.send(new DescribeKeyCommand({ KeyId }))).KeyMetadata!;
const encrypt = async (KeyId: string) =>
  (await server.kms.send(new EncryptCommand({ KeyId, Plaintext: PLAINTEXT }))).CiphertextBlob!;
const decrypt = async (CiphertextBlob: Uint8Array) =>
  Buffer.from((await server.kms.send(new DecryptCommand({ CiphertextBlob }))).Plaintext!);
const pendingImport = expect.objectContaining({ name: 'KMSInvalidStateException' });

/** What is stored of the material: subjects and wrapped bytes. */
const copiesOf = async (materialId: string): Promise<[string, Buffer][]> =>
  [...(await storedMaterial(dataDir))].filter(([subject]) => subject.includes(materialId));

/** That the key has the material that was brought. */
async function expectWorking(KeyId: string, keySpec: KeySpec, { material, publicKey }: NewMaterial): Promise<void> {
  if (keySpec === 'SYMMETRIC_DEFAULT') {
    expect(await decrypt(await encrypt(KeyId))).toEqual(PLAINTEXT);
    return;
  }
  if (publicKey === undefined) {
    const asked = { KeyId, Message: PLAINTEXT, MacAlgorithm: `HMAC_SHA_${keySpec.slice(5)}` as 'HMAC_SHA_256' };
    const { Mac } = await server.kms.send(new GenerateMacCommand(asked));
    const openssl = [
      'dgst',
      `-sha${keySpec.slice(5)}`,
      '-mac',
      'HMAC',
      '-macopt',
      `hexkey:${material.toString('hex')}`,
    ];
    const expected = execFileSync('openssl', [...openssl, '-binary'], { input: PLAINTEXT });
    expect(Buffer.from(Mac!)).toEqual(expected);
    return;
  }
  const found = await server.kms.send(new GetPublicKeyCommand({ KeyId }));
  expect(Buffer.from(found.PublicKey!)).toEqual(publicKey);
  const SigningAlgorithm = found.SigningAlgorithms![0]!;
  const { Signature } = await server.kms.send(new SignCommand({ KeyId, Message: PLAINTEXT, SigningAlgorithm }));
  const hash = SigningAlgorithm.startsWith('ED25519') ? null : SigningAlgorithm.replace(/.*_SHA_/, 'sha');
  const key = createPublicKey({ key: publicKey, format: 'der', type: 'spki' });
  expect(verify(hash, PLAINTEXT, key, Signature!)).toBe(true);
}

/** Has the server die at a fail-point, and come back on the same data without it. */
async function crashAt(point: string, drive: () => Promise<unknown>): Promise<void> {
  server = await crashedAt(point, { server, dataDir, settings: VIRTUAL }, (doomed) => {
    server = doomed;
    return drive();
  });
}

describe('material arrives', () => {
  test.each<[KeySpec, AlgorithmSpec, WrappingKeySpec]>([
    ['SYMMETRIC_DEFAULT', 'RSAES_OAEP_SHA_256', 'RSA_4096'],
    ['SYMMETRIC_DEFAULT', 'RSAES_OAEP_SHA_1', 'RSA_2048'],
    ['HMAC_224', 'RSAES_OAEP_SHA_256', 'RSA_2048'],
    ['HMAC_256', 'RSAES_OAEP_SHA_1', 'RSA_3072'],
    ['HMAC_384', 'RSAES_OAEP_SHA_256', 'RSA_3072'],
    ['HMAC_512', 'RSAES_OAEP_SHA_1', 'RSA_4096'],
    ['RSA_2048', 'RSA_AES_KEY_WRAP_SHA_256', 'RSA_4096'],
    ['RSA_3072', 'RSA_AES_KEY_WRAP_SHA_1', 'RSA_3072'],
    ['RSA_4096', 'RSA_AES_KEY_WRAP_SHA_256', 'RSA_2048'],
    ['ECC_NIST_P256', 'RSAES_OAEP_SHA_256', 'RSA_2048'],
    ['ECC_NIST_P384', 'RSA_AES_KEY_WRAP_SHA_1', 'RSA_2048'],
    ['ECC_NIST_P521', 'RSAES_OAEP_SHA_256', 'RSA_3072'],
    ['ECC_SECG_P256K1', 'RSA_AES_KEY_WRAP_SHA_256', 'RSA_3072'],
    ['ECC_NIST_EDWARDS25519', 'RSA_AES_KEY_WRAP_SHA_1', 'RSA_4096'],
  ])(
    'of %s by %s with %s',
    async (keySpec, algorithm, wrappingKey) => {
      const usage = keySpec.startsWith('HMAC') ? 'GENERATE_VERIFY_MAC' : 'SIGN_VERIFY';
      const KeyId = await externalKey(keySpec, keySpec === 'SYMMETRIC_DEFAULT' ? undefined : usage);
      const brought = newMaterial(keySpec);
      await imported(KeyId, brought.material, FOR_EVER, algorithm, wrappingKey);
      await expectWorking(KeyId, keySpec, brought);
    },
    60_000,
  );

  test('that OpenSSL has wrapped', async () => {
    const KeyId = await externalKey();
    const asked = { KeyId, WrappingAlgorithm: OAEP, WrappingKeySpec: 'RSA_2048' } as const;
    const { ImportToken, PublicKey } = await server.kms.send(new GetParametersForImportCommand(asked));
    const [keyFile, materialFile, wrappedFile] = ['key.der', 'material.bin', 'wrapped.bin'].map((name) =>
      join(dataDir, name),
    ) as [string, string, string];
    writeFileSync(keyFile, PublicKey!);
    writeFileSync(materialFile, newMaterial('SYMMETRIC_DEFAULT').material);
    execFileSync('openssl', [
      ...['pkeyutl', '-encrypt', '-in', materialFile, '-out', wrappedFile, '-inkey', keyFile, '-keyform', 'DER'],
      ...['-pubin', '-pkeyopt', 'rsa_padding_mode:oaep', '-pkeyopt', 'rsa_oaep_md:sha256'],
      ...['-pkeyopt', 'rsa_mgf1_md:sha256'],
    ]);
    const EncryptedKeyMaterial = readFileSync(wrappedFile);
    await server.kms.send(new ImportKeyMaterialCommand({ KeyId, ImportToken, EncryptedKeyMaterial, ...FOR_EVER }));
    expect(await decrypt(await encrypt(KeyId))).toEqual(PLAINTEXT);
  });

  test.each(WYCHEPROOF_KWP)(
    'and is refused where its AES key wrap is padded wrongly: test %i of Wycheproof',
    async (_, key, wrapped) => {
      const KeyId = await externalKey('ECC_NIST_P256', 'SIGN_VERIFY');
      const asked = { KeyId, WrappingAlgorithm: 'RSA_AES_KEY_WRAP_SHA_256', WrappingKeySpec: 'RSA_2048' } as const;
      const { ImportToken, PublicKey } = await server.kms.send(new GetParametersForImportCommand(asked));
      const EncryptedKeyMaterial = Buffer.concat([wrap(OAEP, PublicKey!, key), wrapped]);
      const request = new ImportKeyMaterialCommand({ KeyId, ImportToken, EncryptedKeyMaterial, ...FOR_EVER });
      await expect(server.kms.send(request)).rejects.toThrow(
        expect.objectContaining({ name: 'InvalidCiphertextException' }),
      );
    },
  );
});

describe('a token', () => {
  test('is good for 24 hours of the clock, and for its key alone', async () => {
    const [KeyId, other] = [await externalKey(), await externalKey()];
    const request = await importOf(KeyId, newMaterial('SYMMETRIC_DEFAULT').material);
    const elsewhere = new ImportKeyMaterialCommand({ ...request.input, KeyId: other });
    await expect(server.kms.send(elsewhere)).rejects.toThrow(
      expect.objectContaining({ name: 'InvalidImportTokenException' }),
    );
    await advance(1);
    await expect(server.kms.send(request)).rejects.toThrow(
      expect.objectContaining({ name: 'ExpiredImportTokenException' }),
    );
  });

  test('outlives a restart', async () => {
    const KeyId = await externalKey();
    const request = await importOf(KeyId, newMaterial('SYMMETRIC_DEFAULT').material);
    await server.stop();
    server = await startProcess(dataDir, VIRTUAL);
    await server.kms.send(request);
    expect(await decrypt(await encrypt(KeyId))).toEqual(PLAINTEXT);
  });
});

describe('material is gone from disk', () => {
  test('once it is deleted, and the same can be brought again', async () => {
    const KeyId = await externalKey();
    const { material } = newMaterial('SYMMETRIC_DEFAULT');
    const materialId = await imported(KeyId, material);
    const ciphertext = await encrypt(KeyId);
    const [[, wrapped]] = (await copiesOf(materialId)) as [[string, Buffer]];
    expect(filesHolding(dataDir, wrapped)).toHaveLength(1);
    expect(filesHolding(dataDir, material)).toEqual([]);
    expect(filesHolding(dataDir, Buffer.from(material.toString('base64')))).toEqual([]);
    const deletion = await server.kms.send(new DeleteImportedKeyMaterialCommand({ KeyId }));
    expect(deletion.KeyMaterialId).toBe(materialId);
    expect(await copiesOf(materialId)).toEqual([]);
    expect(filesHolding(dataDir, wrapped)).toEqual([]);
    await expect(decrypt(ciphertext)).rejects.toThrow(pendingImport);
    expect(await imported(KeyId, material)).toBe(materialId);
    expect(await decrypt(ciphertext)).toEqual(PLAINTEXT);
  });

  test('once its date is over', async () => {
    const KeyId = await externalKey();
    const { material } = newMaterial('SYMMETRIC_DEFAULT');
    const materialId = await imported(KeyId, material, { ValidTo: inDays(5) });
    const ciphertext = await encrypt(KeyId);
    const [[, wrapped]] = (await copiesOf(materialId)) as [[string, Buffer]];
    await advance(4);
    expect(await decrypt(ciphertext)).toEqual(PLAINTEXT);
    await advance(2);
    expect(await describeKey(KeyId)).toMatchObject({ KeyState: 'PendingImport' });
    expect(await copiesOf(materialId)).toEqual([]);
    expect(filesHolding(dataDir, wrapped)).toEqual([]);
    await expect(decrypt(ciphertext)).rejects.toThrow(pendingImport);
    await imported(KeyId, material, { ValidTo: inDays(5) });
    expect(await decrypt(ciphertext)).toEqual(PLAINTEXT);
  });

  test('at the start, where its date was over while nothing ran', async () => {
    const KeyId = await externalKey();
    const materialId = await imported(KeyId, newMaterial('SYMMETRIC_DEFAULT').material, { ValidTo: inDays(1) });
    // The clock is moved past the date, and the server dies of what that has it do.
    ahead += 2 * DAY_MS;
    await crashAt('before-append:KeyMaterialExpired', async () => {
      const advancing = run([MAIN, 'clock', 'advance', '2d'], { KEYTRAIL_DATA_DIR: dataDir });
      await server.gone;
      advancing.kill();
      await advancing.done;
      throw new Error('the server is gone');
    });
    await until(async () => (await copiesOf(materialId)).length === 0, 'the material was not erased');
    expect(await describeKey(KeyId)).toMatchObject({ KeyState: 'PendingImport' });
  });
});

describe('after a kill -9', () => {
  test.each([
    ['before-store:material', 'PendingImport'],
    ['after-store:material', 'PendingImport'],
    ['before-append:KeyMaterialImported', 'PendingImport'],
    ['after-append:KeyMaterialImported', 'Enabled'],
  ])('at %s of an import, the key is %s, and the same request imports', async (point, state) => {
    const KeyId = await externalKey();
    // Tried twice here: where the fail-point is of the first material stored, that of the ids must be there already.
    await imported(await externalKey(), newMaterial('SYMMETRIC_DEFAULT').material);
    const request = await importOf(KeyId, newMaterial('SYMMETRIC_DEFAULT').material);
    await crashAt(point, () => server.kms.send(request));
    expect((await describeKey(KeyId)).KeyState).toBe(state);
    await server.kms.send(request);
    expect(await decrypt(await encrypt(KeyId))).toEqual(PLAINTEXT);
  });

  test.each([
    ['before-append:ImportedKeyMaterialDeleted', 'Enabled'],
    ['after-append:ImportedKeyMaterialDeleted', 'PendingImport'],
    ['before-erase:material', 'PendingImport'],
    ['after-erase:material', 'PendingImport'],
    ['before-append:ReleasedMaterialErased', 'PendingImport'],
    ['after-append:ReleasedMaterialErased', 'PendingImport'],
  ])('at %s of a deletion, the key is %s, and what was deleted is erased', async (point, state) => {
    const KeyId = await externalKey();
    const { material } = newMaterial('SYMMETRIC_DEFAULT');
    const materialId = await imported(KeyId, material);
    const ciphertext = await encrypt(KeyId);
    const [[, wrapped]] = (await copiesOf(materialId)) as [[string, Buffer]];
    await crashAt(point, () => server.kms.send(new DeleteImportedKeyMaterialCommand({ KeyId })));
    expect((await describeKey(KeyId)).KeyState).toBe(state);
    if (state === 'Enabled') {
      expect(await decrypt(ciphertext)).toEqual(PLAINTEXT);
      return;
    }
    await until(async () => (await copiesOf(materialId)).length === 0, 'the material was not erased');
    expect(filesHolding(dataDir, wrapped)).toEqual([]);
    await imported(KeyId, material);
    expect(await decrypt(ciphertext)).toEqual(PLAINTEXT);
    expect(await copiesOf(materialId)).toHaveLength(1);
  });
});

test('its history is replayed, and verified', async () => {
  const KeyId = await externalKey();
  const first = await imported(KeyId, newMaterial('SYMMETRIC_DEFAULT').material, {
    KeyMaterialDescription: 'safe 1',
    ...FOR_EVER,
  });
  const at = inDays(0).toISOString();
  const second = await imported(KeyId, newMaterial('SYMMETRIC_DEFAULT').material, {
    ImportType: 'NEW_KEY_MATERIAL',
    ValidTo: inDays(3),
  });
  await server.kms.send(new RotateKeyOnDemandCommand({ KeyId }));
  await advance(4);
  const asked = { KeyId, IncludeKeyMaterial: 'ALL_KEY_MATERIAL' } as const;
  const { Rotations } = await server.kms.send(new ListKeyRotationsCommand(asked));
  expect(Rotations).toMatchObject([
    { KeyMaterialId: first, KeyMaterialState: 'NON_CURRENT', ImportState: 'IMPORTED' },
    { KeyMaterialId: second, KeyMaterialState: 'CURRENT', ImportState: 'PENDING_IMPORT' },
  ]);
  const now = await cli('replay', '--key', KeyId);
  expect(now).toContain('state: PendingImport');
  expect(now).toContain(`material ${first}`);
  expect(now).toContain('imported, valid for ever (safe 1)');
  expect(now).toContain('to be imported\n');
  expect(await cli('replay', '--key', KeyId, '--at', at)).toContain('state: Enabled');
  expect(await cli('timeline', '--key', KeyId)).toContain('KeyMaterialExpired');
  expect(await cli('verify')).not.toMatch(/unusable|missing/);
});
