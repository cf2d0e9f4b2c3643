import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateKeyCommand, EncryptCommand } from '@aws-sdk/client-kms';
import { openHead, treeKey } from '#audit-log/tree-head';
import { checkpointFile, keptHead, keptKey } from '#platform/tree-heads/checkpoint-folder';
import { findNatsServer, until } from './support/nats-server';
import { type KeytrailProcess, MAIN, run, startProcess } from './support/processes';

const SETTINGS = { KEYTRAIL_TREE_HEAD_SECONDS: '1' };

let dataDir: string;
let server: KeytrailProcess;
let KeyId: string;
/** Calls that were answered. */
let answered = 0;

const checkpoints = (): string => join(dataDir, 'checkpoints');
const sizeOutside = (): number => keptHead(checkpoints(), 'records', keptKey(checkpoints())!)?.size ?? 0;

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-head-crash-'));
  server = await startProcess(dataDir, SETTINGS);
  KeyId = (await server.kms.send(new CreateKeyCommand({}))).KeyMetadata!.KeyId!;
  answered++;
  await until(async () => keptKey(checkpoints()) !== undefined && sizeOutside() === 1, 'no head came');
});
afterAll(async () => {
  await server?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

const POINTS = ['before-append', 'after-append', 'before-keep', 'after-keep'].flatMap((step) =>
  ['records', 'changes'].map((tree) => `${step}:${tree}-head`),
);

test.each(POINTS)('after a kill -9 at %s every record is there, and heads go on from each other', async (point) => {
  await server.stop();
  const before = readFileSync(checkpointFile(checkpoints(), 'records'));
  server = await startProcess(dataDir, { ...SETTINGS, KEYTRAIL_FAIL_POINT: point });
  await server.kms.send(new EncryptCommand({ KeyId, Plaintext: Buffer.from('a') }));
  answered++;
  // What grows the tree of changes too; its answer may be lost with the process.
  const created = server.kms.send(new CreateKeyCommand({})).then(
    () => 1,
    () => 0,
  );
  expect(await server.gone).toBe('SIGKILL');
  answered += await created;
  server = await startProcess(dataDir, SETTINGS);
  const key = treeKey(keptKey(checkpoints())!, 'records');
  const { size } = openHead(before, key);
  // Calls that were on record and not answered count in the one before, too.
  await until(async () => sizeOutside() >= answered && sizeOutside() > size, 'no head came that covers every call');
  const { code, output } = await run([MAIN, 'verify'], { KEYTRAIL_DATA_DIR: dataDir, NATS_SERVER: findNatsServer() })
    .done;
  expect({ code, output }).toEqual({
    code: 0,
    output: expect.stringMatching(/records: the first \d+ of \d+ are proved/),
  });
});
