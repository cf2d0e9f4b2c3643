import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateKeyCommand, DecryptCommand, DescribeKeyCommand, EncryptCommand, KMSClient } from '@aws-sdk/client-kms';
import { rootKeyOf, startProcess } from './support/processes';

const MATERIAL = 'nats/store/jetstream/$G/streams/KMS_MATERIAL/msgs/1.blk';
const ERROR = 50;

interface Line {
  level: number;
  time: number;
  pid: number;
  msg: string;
  requestId?: string;
  operation?: string;
}

let dataDir: string;

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-logs-'));
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

const linesOf = (log: string): Line[] =>
  log
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);

interface Failed {
  name: string;
  $metadata: { requestId?: string };
}
const refusal = (sent: Promise<unknown>): Promise<Failed> =>
  sent.then(
    () => Promise.reject(new Error('it was not refused')),
    (error: Failed) => error,
  );

test('a line about a request has its id, what was answered or refused has none, and no line has a secret', async () => {
  const before = await startProcess(dataDir);
  const KeyIds: string[] = [];
  for (let i = 0; i < 3; i++) KeyIds.push((await before.kms.send(new CreateKeyCommand({}))).KeyMetadata!.KeyId!);
  await before.stop();
  const bytes = readFileSync(join(dataDir, MATERIAL));
  bytes[bytes.length - 200]! ^= 1;
  writeFileSync(join(dataDir, MATERIAL), bytes);

  const server = await startProcess(dataDir, { KEYTRAIL_LOG_LEVEL: 'trace' });
  const Plaintext = Buffer.from('a telling plaintext');
  const EncryptionContext = { 'telling-name': 'telling-value' };
  const answered: string[] = [];
  const failed: Failed[] = [];
  let ciphertext: Uint8Array | undefined;
  for (const KeyId of KeyIds) {
    await server.kms.send(new EncryptCommand({ KeyId, Plaintext, EncryptionContext })).then(
      ({ $metadata, CiphertextBlob }) => {
        answered.push($metadata.requestId!);
        ciphertext = CiphertextBlob;
      },
      (error: Failed) => failed.push(error),
    );
  }
  const { accessKeyId, secretAccessKey } = rootKeyOf(dataDir);
  const wrong = { accessKeyId, secretAccessKey: 'not-the-secret-of-root' };
  const stranger = new KMSClient({
    endpoint: server.endpoint,
    region: 'us-east-1',
    maxAttempts: 1,
    credentials: wrong,
  });
  const refused = [
    await refusal(server.kms.send(new DescribeKeyCommand({ KeyId: 'alias/telling-alias' }))),
    await refusal(
      server.kms.send(new DecryptCommand({ CiphertextBlob: ciphertext!, EncryptionContext: { a: 'telling-mistake' } })),
    ),
    await refusal(stranger.send(new DescribeKeyCommand({ KeyId: KeyIds[0] }))),
  ];
  await server.stop();

  // startProcess keeps the last 8,000 characters: here that is all.
  const log = server.log();
  expect(log.length).toBeLessThan(8_000);
  const lines = linesOf(log);
  for (const line of lines)
    expect(line).toMatchObject({
      level: expect.any(Number),
      time: expect.any(Number),
      msg: expect.stringMatching(/./),
    });

  expect(failed.map(({ name }) => name)).toEqual(['KMSInternalException']);
  const about = lines.filter(({ msg }) => msg === 'request failed');
  expect(about).toHaveLength(1);
  expect(about[0]).toMatchObject({
    level: ERROR,
    requestId: failed[0]!.$metadata.requestId,
    operation: 'Encrypt',
  });
  const quiet = [...answered, ...refused.map(({ $metadata }) => $metadata.requestId!)];
  expect(new Set(quiet).size).toBe(5);
  for (const requestId of quiet) expect(log).not.toContain(requestId);

  const rootKey = JSON.parse(readFileSync(join(dataDir, 'root/root-key.json'), 'utf8')) as Record<string, unknown>;
  const longTexts = Object.values(rootKey).filter((value) => typeof value === 'string' && value.length > 30);
  expect(longTexts.length).toBeGreaterThan(0);
  const telling = [
    ...['a telling plaintext', Plaintext.toString('base64'), 'telling-name', 'telling-value', 'telling-alias'],
    ...['telling-mistake', Buffer.from(ciphertext!).toString('base64'), secretAccessKey, wrong.secretAccessKey],
    ...(longTexts as string[]),
  ];
  for (const text of telling) expect(log).not.toContain(text);
});
