import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CloudTrailClient, LookupEventsCommand } from '@aws-sdk/client-cloudtrail';
import { CreateKeyCommand, EncryptCommand } from '@aws-sdk/client-kms';
import { treeRoot } from '#audit-log/merkle';
import { hashesFromTiles } from '#audit-log/tile-hashes';
import { partialTiles, tilePath } from '#audit-log/tiles';
import { openHead, type SignedHead, treeKey, treePublicKey } from '#audit-log/tree-head';
import { checkpointFile, keyFile } from '#platform/tree-heads/checkpoint-folder';
import { until } from './support/nats-server';
import { type KeytrailProcess, MAIN, run, startProcess } from './support/processes';

jest.setTimeout(120_000);

let folder: string;
let dataDir: string;
let server: KeytrailProcess;
let publicKey: Buffer;
let older: SignedHead;

const keytrail = (...args: string[]) => run([MAIN, ...args], { KEYTRAIL_DATA_DIR: dataDir }).done;
const head = (tree: 'records' | 'changes' = 'records'): SignedHead =>
  openHead(readFileSync(checkpointFile(join(dataDir, 'checkpoints'), tree)), treeKey(publicKey, tree));

/** Calls, until a head has them. */
async function calls(count: number): Promise<void> {
  const { KeyId } = (await server.kms.send(new CreateKeyCommand({}))).KeyMetadata!;
  for (let n = 0; n < count; n++) await server.kms.send(new EncryptCommand({ KeyId, Plaintext: Buffer.from('x') }));
  const { EventId } = await newestEvent();
  await until(async () => (await keytrail('prove', '--event', EventId!)).code === 0, 'no head has it', 60_000);
  publicKey = treePublicKey(readFileSync(keyFile(join(dataDir, 'checkpoints')), 'utf8'));
}

async function newestEvent() {
  const credentials = await server.kms.config.credentials();
  const client = new CloudTrailClient({ endpoint: server.endpoint, region: 'us-east-1', credentials, maxAttempts: 3 });
  const LookupAttributes = [{ AttributeKey: 'EventName' as const, AttributeValue: 'Encrypt' }];
  return (await client.send(new LookupEventsCommand({ LookupAttributes }))).Events![0]!;
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'keytrail-proofs-'));
  dataDir = join(folder, 'data');
  server = await startProcess(dataDir, { KEYTRAIL_TREE_HEAD_SECONDS: '1' });
  await calls(3);
  older = head();
  writeFileSync(join(folder, 'older'), older.note);
  await calls(40);
});

afterAll(async () => {
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

test('a record is proved by its event, of a running server and of its store alone', async () => {
  const { EventId, CloudTrailEvent } = await newestEvent();
  const key = keyFile(join(dataDir, 'checkpoints'));
  const proof = join(folder, 'proof');
  expect(await keytrail('prove', '--event', EventId!, '--to', proof)).toEqual({
    code: 0,
    output: expect.stringMatching(/^record \d+ of \d+, under the head of/),
  });
  const verified = await keytrail('verify', '--proof', proof, '--key', key);
  expect(verified).toEqual({ code: 0, output: expect.stringContaining(`(eventID ${EventId}) is on record`) });
  const { requestID } = JSON.parse(CloudTrailEvent!);
  expect(verified.output).toContain(`"requestID":"${requestID}"`);
  const path = readFileSync(proof, 'utf8').split('\n\n')[0];
  expect(await keytrail('prove', '--event', '00000000-0000-4000-8000-000000000000')).toEqual({
    code: 1,
    output: expect.stringContaining('no record with eventID 00000000-0000-4000-8000-000000000000'),
  });
  await server.stop();
  try {
    expect((await keytrail('prove', '--event', EventId!, '--to', proof)).code).toBe(0);
    // The leaf and its place are the same; the tree has grown.
    const again = readFileSync(proof, 'utf8').split('\n\n')[0]!;
    expect(again.split('\n').slice(0, 3)).toEqual(path!.split('\n').slice(0, 3));
    expect((await keytrail('verify', '--proof', proof, '--key', key)).code).toBe(0);
  } finally {
    server = await startProcess(dataDir, { KEYTRAIL_TREE_HEAD_SECONDS: '1' });
  }
});

test('that the log goes on from an older head is proved by a file, to whoever has that head and the key', async () => {
  const proof = join(folder, 'consistency');
  const key = keyFile(join(dataDir, 'checkpoints'));
  const from = join(folder, 'older');
  const says = expect.stringMatching(
    new RegExp(`records: the head of .*, of size \\d+, goes on from that of ${older.time}, of size ${older.size}`),
  );
  expect(await keytrail('prove', '--consistency', '--from', from, '--to', proof)).toEqual({ code: 0, output: says });
  const verify = ['verify', '--consistency', proof, '--key', key];
  expect(await keytrail(...verify, '--from', from)).toEqual({ code: 0, output: says });
  // A head that was not the one: the same size, another root.
  const lines = readFileSync(proof, 'utf8').split('\n');
  expect(lines.length).toBeGreaterThan(8);
  lines[1] = Buffer.alloc(32, 7).toString('base64');
  writeFileSync(proof, lines.join('\n'));
  expect(await keytrail(...verify, '--from', from)).toEqual({
    code: 1,
    output: expect.stringContaining('proves nothing: the consistency proof leads to another root'),
  });
  expect(await keytrail(...verify, '--from', key)).toEqual({
    code: 1,
    output: expect.stringContaining('is no head of this log'),
  });
});

test('checkpoints and hashes are served, from which anybody can compute the root; leaves are not', async () => {
  const get = (path: string): Promise<Response> => fetch(`${server.endpoint}/tlog/${path}`);
  for (const tree of ['records', 'changes'] as const) {
    const answer = await get(`${tree}/checkpoint`);
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'text/plain; charset=utf-8']);
    const { size, root } = openHead(Buffer.from(await answer.arrayBuffer()), treeKey(publicKey, tree));
    const tiles = new Map<string, Buffer>();
    for (const tile of partialTiles(size)) {
      const found = await get(`${tree}/${tilePath(tile)}`);
      expect(found.headers.get('content-type')).toBe('application/octet-stream');
      tiles.set(tilePath(tile), Buffer.from(await found.arrayBuffer()));
    }
    expect(
      Buffer.from(
        treeRoot(
          size,
          hashesFromTiles(size, (tile) => tiles.get(tilePath(tile))),
        ),
      ),
    ).toEqual(root);
    // As it was at the size of an older checkpoint.
    const narrow = await get(`${tree}/tile/0/000.p/2`);
    const [wide] = tiles.values();
    expect(Buffer.from(await narrow.arrayBuffer())).toEqual(wide!.subarray(0, 64));
  }
  const absent = [
    'records/tile/0/000',
    'records/tile/0/001',
    'records/tile/entries/000',
    'records/tile/9/000',
    'other/checkpoint',
  ];
  for (const path of [...absent, 'records/tile/0/..%2f..%2f..%2fstate.json', 'records/tile/0/000.p/255']) {
    expect([path, (await get(path)).status]).toEqual([path, 404]);
  }
});
