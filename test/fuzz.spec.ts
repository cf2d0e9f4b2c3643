import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateKeyCommand, DescribeKeyCommand, EncryptCommand } from '@aws-sdk/client-kms';
import fc from 'fast-check';
import { OPERATION_TABLE } from '#operations/table';
import { bodyOf, FUZZ_SEED, namesField } from './support/fuzzed-requests';
import { type KeytrailProcess, startProcess } from './support/processes';
import { rawReply } from './support/raw-request';

const BODIES = 500;

let dataDir: string;
let server: KeytrailProcess;

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-fuzz-'));
  server = await startProcess(dataDir);
});

afterAll(async () => {
  await server?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

test(`a server that gets ${BODIES} requests of any form refuses what is wrong, and goes on serving`, async () => {
  const { kms } = server;
  const { KeyId, Arn } = (await kms.send(new CreateKeyCommand({}))).KeyMetadata!;
  const { CiphertextBlob } = await kms.send(new EncryptCommand({ KeyId, Plaintext: Buffer.from('a') }));
  const known = [KeyId!, Arn!, 'alias/a', Buffer.from(CiphertextBlob!).toString('base64')];
  const operations = [...OPERATION_TABLE.values()].filter(
    ({ service, plane }) => service === 'kms' && plane !== 'audit',
  );
  const asked = fc
    .constantFrom(...operations)
    .chain((operation) => bodyOf(operation, known).map((bytes) => ({ operation, bytes })));
  await fc.assert(
    fc.asyncProperty(asked, async ({ operation, bytes }) => {
      const reply = JSON.parse((await rawReply(server, operation.name, bytes)).toString() || '{}') as Record<
        string,
        string
      >;
      if (reply['__type'] === undefined) return;
      expect(reply['__type']).not.toBe('KMSInternalException');
      expect(namesField(operation, reply['__type'], reply['message'] ?? '')).toBe(true);
    }),
    { numRuns: BODIES, seed: FUZZ_SEED },
  );
  const made = (await kms.send(new CreateKeyCommand({}))).KeyMetadata!;
  const described = await kms.send(new DescribeKeyCommand({ KeyId: made.KeyId }));
  expect(described.KeyMetadata?.KeyState).toBe('Enabled');
  expect(server.log()).not.toContain('"level":50');
});
