import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateKeyCommand,
  DescribeKeyCommand,
  GenerateMacCommand,
  GetPublicKeyCommand,
  type KMSClient,
  type MacAlgorithmSpec,
  VerifyMacCommand,
} from '@aws-sdk/client-kms';
import { type KeytrailProcess, startProcess } from './support/processes';

const MESSAGE = Buffer.from('the quick brown fox');
const INVALID = { name: 'KMSInvalidMacException', $metadata: expect.objectContaining({ httpStatusCode: 400 }) };

let dataDir: string;
let server: KeytrailProcess;
let kms: KMSClient;

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-macs-'));
  server = await startProcess(dataDir);
  kms = server.kms;
});

afterAll(async () => {
  await server?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

describe.each([
  ['HMAC_224', 'HMAC_SHA_224', 28],
  ['HMAC_256', 'HMAC_SHA_256', 32],
  ['HMAC_384', 'HMAC_SHA_384', 48],
  ['HMAC_512', 'HMAC_SHA_512', 64],
] as const)('a key of spec %s', (KeySpec, MacAlgorithm: MacAlgorithmSpec, length) => {
  let KeyId: string;

  beforeAll(async () => {
    const { KeyMetadata } = await kms.send(new CreateKeyCommand({ KeySpec, KeyUsage: 'GENERATE_VERIFY_MAC' }));
    KeyId = KeyMetadata!.Arn!;
  });

  test('says what it can do, and has no public key', async () => {
    const { KeyMetadata } = await kms.send(new DescribeKeyCommand({ KeyId }));
    expect(KeyMetadata).toMatchObject({ KeySpec, KeyUsage: 'GENERATE_VERIFY_MAC', MacAlgorithms: [MacAlgorithm] });
    await expect(kms.send(new GetPublicKeyCommand({ KeyId }))).rejects.toMatchObject({
      name: 'UnsupportedOperationException',
    });
  });

  test.each([1, 19, 4096])('makes a MAC of %i bytes, the same each time, and verifies that alone', async (size) => {
    const Message = Buffer.alloc(size, MESSAGE);
    const request = { KeyId, Message, MacAlgorithm };
    const made = await kms.send(new GenerateMacCommand(request));
    expect(made).toMatchObject({ KeyId, MacAlgorithm });
    const Mac = Buffer.from(made.Mac!);
    expect(Mac).toHaveLength(length);
    expect(Buffer.from((await kms.send(new GenerateMacCommand(request))).Mac!)).toEqual(Mac);
    expect(await kms.send(new VerifyMacCommand({ ...request, Mac }))).toMatchObject({
      KeyId,
      MacValid: true,
      MacAlgorithm,
    });
    for (const at of [0, length - 1]) {
      const changed = Buffer.from(Mac);
      changed[at]! ^= 1;
      await expect(kms.send(new VerifyMacCommand({ ...request, Mac: changed }))).rejects.toMatchObject(INVALID);
    }
    const other = Buffer.from(Message);
    other[size - 1]! ^= 1;
    await expect(kms.send(new VerifyMacCommand({ ...request, Message: other, Mac }))).rejects.toMatchObject(INVALID);
  });
});
