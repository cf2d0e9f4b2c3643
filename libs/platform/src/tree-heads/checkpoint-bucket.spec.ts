import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeNote, signNote } from '#audit-log/note';
import { signerKey, signWith } from '#audit-log/note-key';
import { encodeHead, openHead, type SignedHead } from '#audit-log/tree-head';
import { parseClaim } from '#sigv4/claim';
import { deriveSigningKey } from '#sigv4/signing-key';
import { checkScope, verifySignature } from '#sigv4/verify';
import { CheckpointBucket } from './checkpoint-bucket';

const LOG = signerKey('keytrail/test/records', Buffer.alloc(32, 3));
const SECRET = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';

async function headOf(size: number): Promise<SignedHead> {
  const root = Buffer.alloc(32, size);
  const text = encodeHead(LOG.name, { size, root, time: '2026-11-24T12:00:00.000Z', position: size });
  return openHead(encodeNote({ text, signatures: [await signNote(text, LOG, (bytes) => signWith(LOG, bytes))] }), LOG);
}

interface Stored {
  bytes: Buffer;
  version: number;
}

/** As much of S3 as there is to see: objects, conditions, and signatures that are verified. */
let objects: Map<string, Stored>;
let asked: string[];
let onPut: (() => void) | undefined;
let knowsConditions: boolean;
let server: Server;
let folder: string;
let bucket: CheckpointBucket;

beforeEach(async () => {
  objects = new Map();
  asked = [];
  onPut = undefined;
  knowsConditions = true;
  server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const { method, url: path, headers } = request as { method: string; url: string; headers: Record<string, string> };
    const signed = { method, path, query: '', headers, body };
    const claim = parseClaim(signed);
    checkScope(claim, ['s3']);
    verifySignature(claim, signed, deriveSigningKey(SECRET, claim.date, claim.region, claim.service));
    asked.push(`${method} ${path} ${claim.accessKeyId} ${claim.region}`);
    const there = objects.get(path);
    if (method === 'GET') {
      if (there) response.writeHead(200, { etag: `"${there.version}"` }).end(there.bytes);
      else response.writeHead(404).end('<Error><Code>NoSuchKey</Code></Error>');
      return;
    }
    const { 'if-match': match, 'if-none-match': none } = headers;
    if (!knowsConditions && (match ?? none) !== undefined) return void response.writeHead(501).end();
    onPut?.();
    const now = objects.get(path);
    const fits = none === '*' ? !now : match === undefined || match === `"${now?.version}"`;
    if (!fits) return void response.writeHead(412).end('<Error><Code>PreconditionFailed</Code></Error>');
    objects.set(path, { bytes: body, version: (now?.version ?? 0) + 1 });
    response.writeHead(200).end();
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  folder = mkdtempSync(join(tmpdir(), 'keytrail-bucket-'));
  const credentialsFile = join(folder, 'credentials');
  writeFileSync(credentialsFile, `[default]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = ${SECRET}\n`);
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  bucket = new CheckpointBucket({ origin, bucket: 'heads', prefix: 'a/', region: 'eu-west-1', credentialsFile });
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((done) => server.close(done));
  rmSync(folder, { recursive: true, force: true });
});

const NAME = 'records.checkpoint';
const PATH = `/heads/a/${NAME}`;
const keep = (head: SignedHead): Promise<void> => bucket.keepHead(NAME, head, (note) => openHead(note, LOG));
const kept = (): number => openHead(objects.get(PATH)!.bytes, LOG).size;

test('a newer head takes the place of an older one, by signed requests; an older one does not', async () => {
  await keep(await headOf(3));
  await keep(await headOf(7));
  expect(kept()).toBe(7);
  await keep(await headOf(7));
  expect(asked).toEqual([
    ...['GET', 'PUT', 'GET', 'PUT', 'GET'].map((method) => `${method} ${PATH} AKIDEXAMPLE eu-west-1`),
  ]);
  await expect(keep(await headOf(5))).rejects.toThrow(
    `${PATH} holds a newer head, of 2026-11-24T12:00:00.000Z and size 7`,
  );
  expect(kept()).toBe(7);
});

test.each([0, 3])('of two who put at once, after %i leaves, the second is refused', async (before) => {
  if (before > 0) await keep(await headOf(before));
  const other = (await headOf(9)).note;
  onPut = () => {
    onPut = undefined;
    objects.set(PATH, { bytes: other, version: 99 });
  };
  await expect(keep(await headOf(7))).rejects.toThrow('was put by another meanwhile');
  expect(kept()).toBe(9);
});

test('what is not a head of this log is left as it is', async () => {
  objects.set(PATH, { bytes: Buffer.from('something else'), version: 1 });
  await expect(keep(await headOf(3))).rejects.toThrow('is no head of this log');
  await bucket.keepOnce('keytrail.vkey', Buffer.from('key'));
  await bucket.keepOnce('keytrail.vkey', Buffer.from('key'));
  await expect(bucket.keepOnce('keytrail.vkey', Buffer.from('another'))).rejects.toThrow('holds something else');
  expect(objects.get(PATH)!.bytes.toString()).toBe('something else');
});

test('a server that knows no conditions is asked without them', async () => {
  knowsConditions = false;
  await keep(await headOf(3));
  await keep(await headOf(7));
  expect(kept()).toBe(7);
});

test('credentials that are not there are said to be, and not what they are', async () => {
  writeFileSync(join(folder, 'credentials'), 'aws_access_key_id = AKIDEXAMPLE\nsecret = hunter2\n');
  const refusal = await keep(await headOf(3)).catch((error: Error) => error.message);
  expect(refusal).toMatch(/credentials: expected aws_access_key_id and aws_secret_access_key$/);
});
