import { execFileSync } from 'node:child_process';
import {
  constants,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  privateDecrypt,
} from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateAccessKeyCommand, CreateUserCommand, PutUserPolicyCommand } from '@aws-sdk/client-iam';
import {
  CreateKeyCommand,
  DecryptCommand,
  DeriveSharedSecretCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GenerateDataKeyPairCommand,
  GenerateDataKeyWithoutPlaintextCommand,
  GenerateRandomCommand,
  GetPublicKeyCommand,
  PutKeyPolicyCommand,
  type RecipientInfo,
} from '@aws-sdk/client-kms';
import type { NatsConnection } from 'nats';
import { requestSubject } from '#domain/subjects';
import { readEndpoint } from '#platform/embedded-nats';
import { certificate, type DocumentOptions, TestNitro } from './support/attestation-documents';
import { auditRecords, connectAsUser } from './support/audit-records';
import { findOpenssl } from './support/certificates';
import { readAsEnclavesSdk } from './support/enclaves-sdk';
import { type Clients, type Credentials, clientsOf, longTerm, refusal } from './support/identities';
import { connectAsRoot } from './support/nats-client';
import { type KeytrailProcess, MAIN, run, startProcess } from './support/processes';

const ACCOUNT = '000000000000';
const ROOT = `arn:aws:iam::${ACCOUNT}:root`;
const SECRET = Buffer.from('for the enclave alone');
const MINUTE_MS = 60_000;

let dataDir: string;
let roots: string;
let server: KeytrailProcess;
let nats: NatsConnection;
let nitro: TestNitro;
let root: Clients;
/** Who has no policy but what a test gives. */
let ann: Clients;
let KeyId: string;
let CiphertextBlob: Uint8Array;
/** How far the server's clock has been moved. */
let moved = 0;

const now = (): number => Date.now() + moved;

const recipient = (options: DocumentOptions = {}): RecipientInfo => ({
  KeyEncryptionAlgorithm: 'RSAES_OAEP_SHA_256',
  AttestationDocument: nitro.document({ ...options, fields: { timestamp: now(), ...options.fields } }),
});

/** By node; as the AWS Nitro Enclaves SDK for C reads it. */
function opened(envelope: Uint8Array | undefined): Buffer {
  const { encryptedKey, iv, content } = readAsEnclavesSdk(Buffer.from(envelope!));
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  const key = privateDecrypt({ key: nitro.recipient.privateKey, padding, oaepHash: 'sha256' }, encryptedKey);
  const cipher = createDecipheriv('aes-256-cbc', key, iv);
  return Buffer.concat([cipher.update(content), cipher.final()]);
}

function openedByOpenssl(envelope: Uint8Array | undefined): Buffer {
  const [file, key] = [join(dataDir, 'envelope'), join(dataDir, 'enclave.pem')];
  writeFileSync(file, envelope!);
  writeFileSync(key, nitro.recipient.privateKey.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600 });
  return execFileSync('openssl', ['cms', '-decrypt', '-inform', 'DER', '-in', file, '-inkey', key]);
}

const keyPolicy = (...statements: object[]) =>
  root.kms.send(
    new PutKeyPolicyCommand({
      KeyId,
      Policy: JSON.stringify({
        Version: '2012-10-17',
        Statement: [{ Effect: 'Allow', Principal: { AWS: ROOT }, Action: 'kms:*', Resource: '*' }, ...statements],
      }),
    }),
  );

const userArn = (name: string): string => `arn:aws:iam::${ACCOUNT}:user/${name}`;

const allowing = (name: string, Action: string, Condition: object = {}) => ({
  ...{ Effect: 'Allow', Principal: { AWS: userArn(name) }, Action, Resource: '*', Condition },
});

/** A user without a policy. */
async function user(UserName: string): Promise<Clients> {
  await root.iam.send(new CreateUserCommand({ UserName }));
  const credentials = longTerm(await root.iam.send(new CreateAccessKeyCommand({ UserName })));
  return clientsOf(server.endpoint, credentials);
}

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-nitro-'));
  nitro = new TestNitro(Date.now());
  roots = join(dataDir, 'roots.pem');
  writeFileSync(roots, nitro.rootPem);
  server = await startProcess(dataDir, { KEYTRAIL_NITRO_ROOTS: roots, KEYTRAIL_CLOCK: 'virtual' });
  root = clientsOf(server.endpoint, (await server.kms.config.credentials()) as Credentials);
  nats = await connectAsRoot(readEndpoint(dataDir)!.url, dataDir);
  ann = await user('ann');
  KeyId = (await root.kms.send(new CreateKeyCommand({}))).KeyMetadata!.Arn!;
  CiphertextBlob = (await root.kms.send(new EncryptCommand({ KeyId, Plaintext: SECRET }))).CiphertextBlob!;
});

afterAll(async () => {
  await nats?.close();
  await server?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

const openssl = findOpenssl();

describe('a response for an enclave', () => {
  test('of Decrypt has the plaintext for it alone', async () => {
    const { $metadata: _, ...reply } = await root.kms.send(
      new DecryptCommand({ CiphertextBlob, Recipient: recipient() }),
    );
    expect(reply).toEqual({
      KeyId,
      EncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
      CiphertextForRecipient: expect.any(Uint8Array),
    });
    expect(opened(reply.CiphertextForRecipient)).toEqual(SECRET);
    if (openssl) expect(openedByOpenssl(reply.CiphertextForRecipient)).toEqual(SECRET);
  });

  test('of GenerateDataKey has the data key for it alone', async () => {
    const asked = { KeyId, KeySpec: 'AES_256' as const, EncryptionContext: { a: 'b' }, Recipient: recipient() };
    const { $metadata: _, ...reply } = await root.kms.send(new GenerateDataKeyCommand(asked));
    expect(reply).toEqual({
      KeyId,
      CiphertextBlob: expect.any(Uint8Array),
      CiphertextForRecipient: expect.any(Uint8Array),
    });
    const { Plaintext } = await root.kms.send(
      new DecryptCommand({ CiphertextBlob: reply.CiphertextBlob, EncryptionContext: { a: 'b' } }),
    );
    expect(opened(reply.CiphertextForRecipient)).toEqual(Buffer.from(Plaintext!));
    if (openssl) expect(openedByOpenssl(reply.CiphertextForRecipient)).toEqual(Buffer.from(Plaintext!));
  });

  test('of GenerateRandom has the bytes for it alone', async () => {
    const asked = { NumberOfBytes: 1_024, Recipient: recipient({ tagged: true }) };
    const { $metadata: _, ...reply } = await root.kms.send(new GenerateRandomCommand(asked));
    expect(Object.keys(reply)).toEqual(['CiphertextForRecipient']);
    expect(opened(reply.CiphertextForRecipient)).toHaveLength(1_024);
    if (openssl) expect(openedByOpenssl(reply.CiphertextForRecipient)).toHaveLength(1_024);
  });

  test('of GenerateDataKeyPair has the private key for it alone', async () => {
    const asked = { KeyId, KeyPairSpec: 'RSA_2048' as const, Recipient: recipient() };
    const { $metadata: _, ...reply } = await root.kms.send(new GenerateDataKeyPairCommand(asked));
    expect(reply).toEqual({
      KeyId,
      KeyPairSpec: 'RSA_2048',
      KeyMaterialId: expect.any(String),
      PublicKey: expect.any(Uint8Array),
      PrivateKeyCiphertextBlob: expect.any(Uint8Array),
      CiphertextForRecipient: expect.any(Uint8Array),
    });
    const privateKey = opened(reply.CiphertextForRecipient);
    const { Plaintext } = await root.kms.send(new DecryptCommand({ CiphertextBlob: reply.PrivateKeyCiphertextBlob }));
    expect(privateKey).toEqual(Buffer.from(Plaintext!));
    const key = createPrivateKey({ key: privateKey, format: 'der', type: 'pkcs8' });
    const publicKey = createPublicKey(key).export({ format: 'der', type: 'spki' });
    expect(publicKey).toEqual(Buffer.from(reply.PublicKey!));
  });

  test('of DeriveSharedSecret has the secret for it alone', async () => {
    const spec = { KeySpec: 'ECC_NIST_P256', KeyUsage: 'KEY_AGREEMENT' } as const;
    const { KeyMetadata } = await root.kms.send(new CreateKeyCommand(spec));
    const peer = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const asked = {
      KeyId: KeyMetadata!.KeyId!,
      KeyAgreementAlgorithm: 'ECDH' as const,
      PublicKey: peer.publicKey.export({ format: 'der', type: 'spki' }),
    };
    const { $metadata: _, ...reply } = await root.kms.send(
      new DeriveSharedSecretCommand({ ...asked, Recipient: recipient() }),
    );
    expect(reply).toEqual({
      KeyId: KeyMetadata!.Arn,
      KeyAgreementAlgorithm: 'ECDH',
      KeyOrigin: 'AWS_KMS',
      CiphertextForRecipient: expect.any(Uint8Array),
    });
    const { PublicKey } = await root.kms.send(new GetPublicKeyCommand({ KeyId: KeyMetadata!.KeyId! }));
    const ours = createPublicKey({ key: Buffer.from(PublicKey!), format: 'der', type: 'spki' });
    expect(opened(reply.CiphertextForRecipient)).toEqual(
      diffieHellman({ privateKey: peer.privateKey, publicKey: ours }),
    );
  });

  test('of Decrypt with an RSA key has the plaintext for it alone', async () => {
    const spec = { KeySpec: 'RSA_2048', KeyUsage: 'ENCRYPT_DECRYPT' } as const;
    const { KeyMetadata } = await root.kms.send(new CreateKeyCommand(spec));
    const asked = { KeyId: KeyMetadata!.Arn!, EncryptionAlgorithm: 'RSAES_OAEP_SHA_256' as const };
    const encrypted = await root.kms.send(new EncryptCommand({ ...asked, Plaintext: SECRET }));
    const { $metadata: _, ...reply } = await root.kms.send(
      new DecryptCommand({ ...asked, CiphertextBlob: encrypted.CiphertextBlob!, Recipient: recipient() }),
    );
    expect(reply).toEqual({ ...asked, CiphertextForRecipient: expect.any(Uint8Array) });
    expect(opened(reply.CiphertextForRecipient)).toEqual(SECRET);
  });

  test('is the same over NATS', async () => {
    const { KeyEncryptionAlgorithm, AttestationDocument } = recipient();
    const document = Buffer.from(AttestationDocument!).toString('base64');
    const asked = {
      CiphertextBlob: Buffer.from(CiphertextBlob).toString('base64'),
      Recipient: { KeyEncryptionAlgorithm, AttestationDocument: document },
    };
    const ask = async (input: object) =>
      (await nats.request(requestSubject('us-east-1', ACCOUNT, 'root', 'Decrypt'), JSON.stringify(input))).json<
        Record<string, string>
      >();
    const reply = await ask(asked);
    expect(Object.keys(reply).sort()).toEqual(['CiphertextForRecipient', 'EncryptionAlgorithm', 'KeyId']);
    expect(opened(Buffer.from(reply['CiphertextForRecipient']!, 'base64'))).toEqual(SECRET);
    const cut = { ...asked.Recipient, AttestationDocument: document.slice(0, -4) };
    expect(await ask({ ...asked, Recipient: cut })).toEqual({
      __type: 'ValidationException',
      message: 'The attestation document in Recipient is not valid: its COSE_Sign1 structure is not well-formed CBOR.',
    });
  });

  test('is none of GenerateDataKeyWithoutPlaintext, which has no plaintext', async () => {
    const asked = { KeyId, KeySpec: 'AES_256' as const, Recipient: recipient() };
    const reply = await root.kms.send(new GenerateDataKeyWithoutPlaintextCommand(asked));
    expect(reply).toMatchObject({ KeyId, KeyMaterialId: expect.any(String) });
    expect(reply).not.toHaveProperty('CiphertextForRecipient');
  });

  test('is not made by a dry run, which checks the document all the same', async () => {
    const dryRun = (Recipient: RecipientInfo) =>
      refusal(root.kms.send(new DecryptCommand({ CiphertextBlob, Recipient, DryRun: true })));
    expect((await dryRun(recipient()))[0]).toBe('DryRunOperationException');
    expect((await dryRun(recipient({ fields: { digest: 'SHA256' } })))[0]).toBe('ValidationException');
    const asked = { KeyId, KeySpec: 'AES_128' as const, Recipient: recipient(), DryRun: true };
    expect((await refusal(root.kms.send(new GenerateDataKeyCommand(asked))))[0]).toBe('DryRunOperationException');
  });
});

describe('a request for an enclave is refused', () => {
  const invalid = (what: string): string => `The attestation document in Recipient is not valid: ${what}.`;
  const untrusted = (): RecipientInfo => {
    const { recipient: keys } = nitro;
    const other = new TestNitro(Date.now(), keys);
    return {
      KeyEncryptionAlgorithm: 'RSAES_OAEP_SHA_256',
      AttestationDocument: other.document({ fields: { timestamp: now() } }),
    };
  };
  const expired = (): RecipientInfo => {
    const issuer = nitro.authorities.at(-1)!;
    const notAfter = Date.UTC(2026, 0, 1);
    const leaf = certificate(Date.now(), { name: 'enclave', issuer, authority: false, notBefore: 0, notAfter });
    return recipient({ signWith: leaf.privateKey, fields: { certificate: new Uint8Array(leaf.der) } });
  };
  const changed = (): RecipientInfo => {
    const made = recipient();
    made.AttestationDocument![made.AttestationDocument!.length - 1]! ^= 1;
    return made;
  };

  test.each<[string, () => RecipientInfo, string]>([
    [
      'a document that nobody trusted has signed',
      untrusted,
      invalid('the first certificate of its cabundle is not a trusted root'),
    ],
    ['an expired certificate', expired, invalid('its certificate expired at 2026-01-01T00:00:00.000Z')],
    ['a changed document', changed, invalid('its signature does not verify')],
    [
      'a document that another key has signed',
      () => recipient({ signWith: generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey }),
      invalid('its signature does not verify'),
    ],
    [
      'a document without a key to encrypt to',
      () => recipient({ fields: { public_key: null } }),
      invalid('it has no public_key to encrypt the response to'),
    ],
    [
      'a document of a field that nobody knows',
      () => recipient({ fields: { debug: true } }),
      invalid('it has a field that is not known'),
    ],
    [
      'what is no document',
      () => ({ ...recipient(), AttestationDocument: Buffer.from('hello') }),
      invalid('its COSE_Sign1 structure is not well-formed CBOR'),
    ],
    [
      'another algorithm',
      () => ({ ...recipient(), KeyEncryptionAlgorithm: 'RSAES_OAEP_SHA_1' as 'RSAES_OAEP_SHA_256' }),
      "1 validation error detected: Value 'RSAES_OAEP_SHA_1' at 'recipient.keyEncryptionAlgorithm' failed to satisfy constraint: " +
        'Member must satisfy enum value set: [RSAES_OAEP_SHA_256]',
    ],
    [
      'no algorithm',
      () => ({ AttestationDocument: recipient().AttestationDocument }),
      "1 validation error detected: Value null at 'recipient.keyEncryptionAlgorithm' failed to satisfy constraint: Member must not be null",
    ],
    [
      'no document',
      () => ({ KeyEncryptionAlgorithm: 'RSAES_OAEP_SHA_256' }),
      "1 validation error detected: Value null at 'recipient.attestationDocument' failed to satisfy constraint: Member must not be null",
    ],
    [
      'an empty document',
      () => ({ ...recipient(), AttestationDocument: new Uint8Array() }),
      "1 validation error detected: Value at 'recipient.attestationDocument' failed to satisfy constraint: " +
        'Member must have length greater than or equal to 1',
    ],
    [
      'a document of a byte too many',
      () => ({ ...recipient(), AttestationDocument: new Uint8Array(262_145) }),
      "1 validation error detected: Value at 'recipient.attestationDocument' failed to satisfy constraint: " +
        'Member must have length less than or equal to 262144',
    ],
  ])('for %s, in every operation', async (_what, made, message) => {
    const Recipient = made();
    const calls = [
      root.kms.send(new DecryptCommand({ CiphertextBlob, Recipient })),
      root.kms.send(new GenerateDataKeyCommand({ KeyId, KeySpec: 'AES_256', Recipient })),
      root.kms.send(new GenerateDataKeyPairCommand({ KeyId, KeyPairSpec: 'ECC_NIST_P256', Recipient })),
      root.kms.send(new GenerateRandomCommand({ NumberOfBytes: 32, Recipient })),
      root.kms.send(
        new DeriveSharedSecretCommand({
          ...{ KeyId, KeyAgreementAlgorithm: 'ECDH', Recipient },
          PublicKey: nitro.recipient.publicKey.export({ format: 'der', type: 'spki' }),
        }),
      ),
    ];
    const refusals = await Promise.all(calls.map(refusal));
    expect(refusals).toEqual(calls.map(() => ['ValidationException', message, 400]));
  });

  test('for each of 60 changed documents at once, and the server goes on serving', async () => {
    const made = recipient();
    const good = Buffer.from(made.AttestationDocument!);
    const changedAt = async (at: number) => {
      const AttestationDocument = Buffer.from(good);
      AttestationDocument[at]! ^= 1 << (at % 8);
      const asked = { NumberOfBytes: 8, Recipient: { ...made, AttestationDocument } };
      return (await refusal(root.kms.send(new GenerateRandomCommand(asked)))).filter((_, part) => part !== 1);
    };
    const places = Array.from({ length: 60 }, (_, at) => Math.floor((at * good.length) / 60));
    const refusals = await Promise.all(places.map(changedAt));
    expect(refusals).toEqual(places.map(() => ['ValidationException', 400]));
    await root.kms.send(new GenerateRandomCommand({ NumberOfBytes: 8, Recipient: recipient() }));
  });

  test('where the server trusts no root', async () => {
    const bare = mkdtempSync(join(tmpdir(), 'keytrail-bare-'));
    const other = await startProcess(bare);
    try {
      const message =
        'Recipient cannot be used: this server trusts no root of attestation documents. ' +
        'KEYTRAIL_NITRO_ROOTS names the PEM file of those that it is to trust.';
      const asked = new GenerateRandomCommand({ NumberOfBytes: 32, Recipient: recipient() });
      expect(await refusal(other.kms.send(asked))).toEqual(['ValidationException', message, 400]);
    } finally {
      await other.stop();
      rmSync(bare, { recursive: true, force: true });
    }
  });
});

describe('a policy', () => {
  const decrypt = (Recipient?: RecipientInfo) =>
    ann.kms.send(new DecryptCommand({ CiphertextBlob, ...(Recipient && { Recipient }) }));
  const denied = async (call: Promise<unknown>) => expect((await refusal(call))[0]).toBe('AccessDeniedException');
  const withRegister = (index: number, value: string): RecipientInfo => {
    const pcrs = new Map(nitro.fields()['pcrs'] as Map<number, Uint8Array>);
    return recipient({ fields: { pcrs: pcrs.set(index, new Uint8Array(Buffer.from(value, 'hex'))) } });
  };
  const OTHER = 'ab'.repeat(48);

  test('lets one enclave image in, and nobody else', async () => {
    const image = TestNitro.pcr(0).toUpperCase();
    await keyPolicy(
      allowing('ann', 'kms:Decrypt', { StringEqualsIgnoreCase: { 'kms:RecipientAttestation:ImageSha384': image } }),
    );
    expect(opened((await decrypt(recipient())).CiphertextForRecipient)).toEqual(SECRET);
    await denied(decrypt(withRegister(0, OTHER)));
    await denied(decrypt());
    // Of a NitroTPM, PCR0 is no image digest.
    const { pcrs: nitrotpm_pcrs } = nitro.fields();
    await denied(decrypt(recipient({ fields: { pcrs: undefined, nitrotpm_pcrs } })));
  });

  test.each([0, 3, 8, 15])('lets in by register %d', async (index) => {
    await keyPolicy(
      allowing('ann', 'kms:Decrypt', {
        StringEquals: { [`kms:RecipientAttestation:PCR${index}`]: TestNitro.pcr(index) },
      }),
    );
    await decrypt(recipient());
    await denied(decrypt(withRegister(index, OTHER)));
    await denied(decrypt());
  });

  test('lets in by the register of a NitroTPM', async () => {
    await keyPolicy(
      allowing('ann', 'kms:Decrypt', { StringEquals: { 'kms:RecipientAttestation:NitroTPMPCR4': TestNitro.pcr(4) } }),
    );
    const { pcrs: nitrotpm_pcrs } = nitro.fields();
    await decrypt(recipient({ fields: { pcrs: undefined, nitrotpm_pcrs } }));
    await denied(decrypt(recipient()));
  });

  test('denies all that have no document', async () => {
    const Condition = { Null: { 'kms:RecipientAttestation:ImageSha384': 'true' } };
    const deny = { Effect: 'Deny', Principal: { AWS: '*' }, Action: 'kms:Decrypt', Resource: '*', Condition };
    await keyPolicy(allowing('ann', 'kms:Decrypt'), deny);
    await decrypt(recipient());
    await denied(decrypt());
    await denied(root.kms.send(new DecryptCommand({ CiphertextBlob })));
    await keyPolicy();
  });

  test('of a user lets an enclave have random bytes', async () => {
    const condition = { StringEquals: { 'kms:RecipientAttestation:PCR8': TestNitro.pcr(8) } };
    const statement = { Effect: 'Allow', Action: 'kms:GenerateRandom', Resource: '*', Condition: condition };
    const PolicyDocument = JSON.stringify({ Version: '2012-10-17', Statement: [statement] });
    await root.iam.send(new PutUserPolicyCommand({ UserName: 'ann', PolicyName: 'own', PolicyDocument }));
    const random = (Recipient?: RecipientInfo) =>
      ann.kms.send(new GenerateRandomCommand({ NumberOfBytes: 8, ...(Recipient && { Recipient }) }));
    expect(opened((await random(recipient())).CiphertextForRecipient)).toHaveLength(8);
    await denied(random(withRegister(8, OTHER)));
    await denied(random());
  });

  test('that would be is asked of what the document said', async () => {
    const bob = await user('bob');
    await keyPolicy(allowing('bob', 'kms:Decrypt'));
    const since = new Date(now() - MINUTE_MS).toISOString();
    await bob.kms.send(new DecryptCommand({ CiphertextBlob, Recipient: recipient() }));
    const refusedIf = async (register: string) => {
      const own = { Effect: 'Allow', Principal: { AWS: ROOT }, Action: 'kms:*', Resource: '*' };
      const Condition = { StringEquals: { 'kms:RecipientAttestation:PCR12': register } };
      const Statement = [own, allowing('bob', 'kms:Decrypt', Condition)];
      const path = join(dataDir, 'proposed.json');
      writeFileSync(path, JSON.stringify({ Version: '2012-10-17', Statement }));
      const args = ['what-if', 'put-key-policy', '--key', KeyId, '--policy', path, '--since', since, '--json'];
      const { output } = await run([MAIN, ...args], { KEYTRAIL_DATA_DIR: dataDir }).done;
      const { refused, notJudged } = JSON.parse(output) as Record<string, { caller: string; operation: string }[]>;
      return [refused, notJudged].map((found = []) =>
        found.filter(({ caller }) => caller === userArn('bob')).map(({ operation }) => operation),
      );
    };
    expect(await refusedIf(TestNitro.pcr(12))).toEqual([[], []]);
    expect(await refusedIf(OTHER)).toEqual([['Decrypt'], []]);
    await keyPolicy();
  });
});

test('a record says what the document said, as CloudTrail does, and holds neither document nor plaintext', async () => {
  const { $metadata } = await root.kms.send(new DecryptCommand({ CiphertextBlob, Recipient: recipient() }));
  const bad = await root.kms
    .send(new DecryptCommand({ CiphertextBlob, Recipient: recipient({ fields: { debug: 1 } }) }))
    .catch((error) => error);
  const reader = await connectAsUser(dataDir, 'audit-projector');
  const records = await auditRecords(reader);
  await reader.close();
  const found = records.find(({ requestID }) => requestID === $metadata.requestId)!;
  const base64 = (index: number) => Buffer.from(TestNitro.pcr(index), 'hex').toString('base64');
  expect(found.additionalEventData).toMatchObject({
    keyMaterialId: expect.any(String),
    recipient: {
      attestationDocumentModuleId: 'i-1234567890abcdef0-enc9876543210abcde',
      attestationDocumentEnclaveImageDigest: base64(0),
      ...Object.fromEntries([1, 2, 3, 4, 8].map((index) => [`attestationDocumentEnclavePCR${index}`, base64(index)])),
    },
  });
  expect(found.requestParameters).toEqual({
    encryptionAlgorithm: 'SYMMETRIC_DEFAULT',
    recipient: { keyEncryptionAlgorithm: 'RSAES_OAEP_SHA_256' },
  });
  const refused = records.find(({ requestID }) => requestID === bad.$metadata.requestId)!;
  expect(refused).toMatchObject({ errorCode: 'ValidationException', errorMessage: bad.message });
  expect(refused.additionalEventData).toBeUndefined();
  const written = JSON.stringify(records);
  for (const secret of [SECRET, nitro.signer.der, nitro.recipient.publicKey.export({ format: 'der', type: 'spki' })]) {
    for (const encoding of ['base64', 'latin1', 'hex'] as const)
      expect(written).not.toContain(secret.toString(encoding));
  }
});

describe('by the clock of the server', () => {
  const advance = async (by: string, ms: number) => {
    const { code, output } = await run([MAIN, 'clock', 'advance', by], { KEYTRAIL_DATA_DIR: dataDir }).done;
    expect([code, output]).toEqual([0, expect.anything()]);
    moved += ms;
  };
  const decrypt = (Recipient: RecipientInfo) => root.kms.send(new DecryptCommand({ CiphertextBlob, Recipient }));

  test('a document is good for five minutes', async () => {
    const Recipient = recipient();
    await advance('4m', 4 * MINUTE_MS);
    await decrypt(Recipient);
    await advance('2m', 2 * MINUTE_MS);
    const [code, message] = await refusal(decrypt(Recipient));
    expect(code).toBe('ValidationException');
    expect(message).toMatch(
      /^The attestation document in Recipient is not valid: its timestamp of \d{13} ms is more than 5 minutes from this server's time of \d{13} ms\.$/,
    );
    await decrypt(recipient());
  });

  test('a certificate that was good yesterday has expired', async () => {
    await advance('2d', 2 * 1_440 * MINUTE_MS);
    expect((await refusal(decrypt(recipient())))[1]).toMatch(/ its root certificate expired at /);
  });
});
