import { createSecretKey } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type NatsConnection } from 'nats';
import pino from 'pino';
import { batchEntry, encodeBatch, NO_BATCH } from '#audit-log/batch';
import { leafHash } from '#audit-log/merkle';
import type { OpenPart } from '#audit-log/record';
import { parseTlogProof, verifyTlogProof } from '#audit-log/tlog-proof';
import { treeKey } from '#audit-log/tree-head';
import { AUDIT_STREAM, recordSubject } from '#domain/subjects';
import { JetStreamEventStore } from '#event-store/jetstream-event-store';
import { ensureAuditStream, ensureStreams } from '#event-store/streams';
import { startNats, type TestNats } from '../../../../test/support/nats-server';
import { systemClock } from '../clock';
import { Metrics } from '../metrics';
import { parseSettings } from '../settings';
import { VaultTreeHeadSigner } from './head-signer';
import { TreeHeads } from './tree-heads';
import { type RecordPlace, TreeProofs } from './tree-proofs';

const KEY = { generation: 1, key: createSecretKey(Buffer.alloc(32, 1)) };
const WRITERS = [1, 2, 3].map((n) => `7a0d3f6e-5c0e-4a6e-9d0b-2f1f7a3f9f1${n}`);

const open = (eventID: string): OpenPart => ({
  ...{ eventVersion: '1.11', userIdentity: { type: 'Root' }, eventTime: '2026-11-24T12:00:00Z', eventID },
  ...{ eventSource: 'kms.amazonaws.com', eventName: 'Encrypt', awsRegion: 'us-east-1', readOnly: true },
  ...{ eventType: 'AwsApiCall', managementEvent: true, eventCategory: 'Management' },
  recipientAccountId: '000000000000',
});

let server: TestNats;
let nats: NatsConnection;
let folder: string;
let heads: TreeHeads;
let proofs: TreeProofs;
let publicKey: Buffer;
const places = new Map<string, RecordPlace>();

/** One message of KMS_AUDIT, by a writer of its own. */
async function batch(writer: string, events: readonly string[]): Promise<void> {
  const entries = events.map((event) => batchEntry(open(event), '{}', Buffer.alloc(16)));
  const bytes = encodeBatch({ writer, batch: 1, prev: NO_BATCH }, entries, () => KEY);
  const request = { subject: recordSubject(writer), bytes, expectedLastSeq: 0, appendId: writer };
  const position = await new JetStreamEventStore(nats, { stream: AUDIT_STREAM }).append(request);
  for (const [nth, event] of events.entries()) places.set(event, { position, nth });
}

beforeAll(async () => {
  server = await startNats();
  nats = await connect({ servers: server.url });
  await ensureStreams(nats, { replicas: 1 });
  await ensureAuditStream(nats, { replicas: 1 });
  folder = mkdtempSync(join(tmpdir(), 'keytrail-tree-proofs-'));
  const settings = parseSettings({ KEYTRAIL_DATA_DIR: folder, KEYTRAIL_TREE_HEAD_SECONDS: '86400' });
  const signer = new VaultTreeHeadSigner(nats, Buffer.alloc(32, 1), () => {});
  publicKey = await signer.publicKey();
  heads = new TreeHeads({
    ...{ settings, nats, signer, clock: systemClock, log: pino({ level: 'silent' }), metrics: new Metrics() },
    changes: new JetStreamEventStore(nats),
  });
  proofs = new TreeProofs({
    ...{ nats, checkpointDir: settings.checkpointDir, placeOf: async (event) => places.get(event) },
    treeOf: (tree) => heads.treeOf(tree),
  });
  await batch(WRITERS[0]!, ['a', 'b', 'c']);
  await batch(WRITERS[1]!, ['d', 'e']);
});
afterAll(async () => {
  await nats.close();
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

test('before there is a head nothing is proved', async () => {
  await expect(proofs.record('a')).rejects.toThrow('there is no head of records yet');
  expect(proofs.checkpoint('records')).toBeUndefined();
});

test('each record of each batch is proved at its own leaf, and one that came after the head is not yet', async () => {
  await heads.stop();
  await batch(WRITERS[2]!, ['f']);
  for (const [index, event] of ['a', 'b', 'c', 'd', 'e'].entries()) {
    const proof = await proofs.record(event);
    const { extra } = parseTlogProof(proof);
    expect(JSON.parse(Buffer.from(extra!).toString('utf8'))).toMatchObject({ eventID: event });
    const { checkpoint, ...proved } = verifyTlogProof(proof, leafHash(extra!), { key: treeKey(publicKey, 'records') });
    expect([proved.index, checkpoint.size]).toEqual([index, 5]);
  }
  await expect(proofs.record('f')).rejects.toThrow('is under no head yet');
  await expect(proofs.record('g')).rejects.toThrow('no record with eventID g is known');
});

test('of a record that is not where the index has it there is no proof', async () => {
  places.set('wrong', { position: 1, nth: 3 });
  await expect(proofs.record('wrong')).rejects.toThrow('position 1 of KMS_AUDIT does not hold the record');
});

test('no consistency is proved from a head that is larger than the newest', () => {
  expect(() => proofs.consistency('records', 6)).toThrow('has 5, not 6');
});
