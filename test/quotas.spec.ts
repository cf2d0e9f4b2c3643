import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateAliasCommand,
  CreateKeyCommand,
  DescribeKeyCommand,
  EncryptCommand,
  GenerateRandomCommand,
  KMSClient,
  ListKeysCommand,
} from '@aws-sdk/client-kms';
import { StringCodec } from 'nats';
import { requestSubject } from '#domain/subjects';
import { readEndpoint } from '#platform/embedded-nats';
import { connectAsRoot } from './support/nats-client';
import { type KeytrailProcess, startProcess } from './support/processes';

const THROTTLED = {
  name: 'ThrottlingException',
  message: 'You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.',
  $metadata: { httpStatusCode: 400 },
};

let dataDir: string;
let server: KeytrailProcess;
const clients: KMSClient[] = [];

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-quotas-'));
  // At one request in 1000 seconds a bucket holds one, and is not filled again before the test is over.
  server = await startProcess(dataDir, {
    KEYTRAIL_QUOTAS: 'aws,symmetric=0.001,DescribeKey=0.001,ListKeys=0.001,CreateAlias=4,GetKeyPolicy=0.001',
  });
});

afterAll(async () => {
  for (const client of clients) client.destroy();
  await server?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

const client = (region: string, maxAttempts: number): KMSClient => {
  const made = new KMSClient({
    endpoint: server.endpoint,
    region,
    maxAttempts,
    credentials: () => server.kms.config.credentials(),
  });
  clients.push(made);
  return made;
};

test('beyond its rate an operation is throttled as by AWS, and others are not', async () => {
  const { KeyMetadata } = await server.kms.send(new CreateKeyCommand({}));
  const KeyId = KeyMetadata!.KeyId!;
  await server.kms.send(new DescribeKeyCommand({ KeyId }));
  await expect(server.kms.send(new DescribeKeyCommand({ KeyId }))).rejects.toMatchObject(THROTTLED);
  await server.kms.send(new CreateKeyCommand({}));
});

test('cryptographic operations share one rate', async () => {
  await server.kms.send(new GenerateRandomCommand({ NumberOfBytes: 8 }));
  const encrypt = new EncryptCommand({ KeyId: 'alias/any', Plaintext: Buffer.from('a') });
  await expect(server.kms.send(encrypt)).rejects.toMatchObject(THROTTLED);
});

test('each region has its own', async () => {
  await server.kms.send(new ListKeysCommand({}));
  await expect(server.kms.send(new ListKeysCommand({}))).rejects.toMatchObject(THROTTLED);
  expect((await client('eu-west-1', 1).send(new ListKeysCommand({}))).Keys).toEqual([]);
});

test('requests over NATS are counted with those over HTTP', async () => {
  const nats = await connectAsRoot(readEndpoint(dataDir)!.url, dataDir);
  try {
    const subject = requestSubject('us-east-1', '000000000000', 'root', 'GetKeyPolicy');
    const codes: string[] = [];
    for (let i = 0; i < 2; i++) {
      const reply = await nats.request(
        subject,
        StringCodec().encode('{"KeyId":"00000000-0000-0000-0000-000000000000"}'),
      );
      codes.push(reply.json<{ __type: string }>().__type);
    }
    expect(codes).toEqual(['NotFoundException', 'ThrottlingException']);
  } finally {
    await nats.close();
  }
});

test('an SDK that retries gets through in the end', async () => {
  const { KeyMetadata } = await server.kms.send(new CreateKeyCommand({}));
  const patient = client('us-east-1', 20);
  for (let i = 0; i < 6; i++) {
    await patient.send(new CreateAliasCommand({ AliasName: `alias/patient-${i}`, TargetKeyId: KeyMetadata!.KeyId! }));
  }
});

test('metrics count what was throttled as an outcome', async () => {
  const metrics = await (await fetch(`${server.endpoint}/metrics`)).text();
  expect(metrics).toContain(
    'keytrail_requests_total{service="kms",operation="DescribeKey",outcome="ThrottlingException"} 1\n',
  );
  expect(metrics).toContain('keytrail_requests_total{service="kms",operation="DescribeKey",outcome="OK"} 1\n');
});
