import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type NatsConnection } from 'nats';
import pino from 'pino';
import { CompactTree, leafHash, treeRoot } from '#audit-log/merkle';
import { proveConsistency } from '#audit-log/merkle-proof';
import { openHead, type SignedHead, treeKey } from '#audit-log/tree-head';
import { verifyConsistency } from '#audit-log/verify-merkle-proof';
import { EVENTS_STREAM, TREE_STREAM } from '#domain/subjects';
import { JetStreamEventStore } from '#event-store/jetstream-event-store';
import { ensureStreams } from '#event-store/streams';
import { startNats, type TestNats } from '../../../../test/support/nats-server';
import { systemClock } from '../clock';
import { Metrics } from '../metrics';
import { parseSettings } from '../settings';
import { checkpointFile, keepHead, keptHead } from './checkpoint-folder';
import { type HeadToSign, type TreeHeadSigner, VaultTreeHeadSigner } from './head-signer';
import { LogTree } from './log-tree';
import { TileFolder } from './tile-folder';
import { TreeHeads } from './tree-heads';

let server: TestNats;
let nats: NatsConnection;
let folder: string;
let changes: JetStreamEventStore;
let signer: VaultTreeHeadSigner;
let logged: { err?: { message: string }; msg: string }[];
const SEED = Buffer.alloc(32, 1);

beforeEach(async () => {
  server = await startNats();
  nats = await connect({ servers: server.url });
  await ensureStreams(nats, { replicas: 1 });
  folder = mkdtempSync(join(tmpdir(), 'keytrail-heads-'));
  changes = new JetStreamEventStore(nats);
  signer = newSigner();
  logged = [];
});
afterEach(async () => {
  await nats.close();
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

const newSigner = (): VaultTreeHeadSigner => new VaultTreeHeadSigner(nats, Buffer.from(SEED), () => {});

let commits = 0;
async function append(count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const subject = `kms.evt.us-east-1.000000000000.key.k${++commits}`;
    await changes.append({ subject, bytes: Buffer.from(`{"n":${commits}}`), expectedLastSeq: 0, appendId: subject });
  }
}

/** One process that makes heads, from its start to its clean end. */
async function headsOnce(by: TreeHeadSigner = signer): Promise<void> {
  const settings = parseSettings({ KEYTRAIL_DATA_DIR: folder, KEYTRAIL_TREE_HEAD_SECONDS: '86400' });
  const log = pino({}, { write: (line: string) => logged.push(JSON.parse(line)) });
  const heads = new TreeHeads({ settings, nats, changes, signer: by, clock: systemClock, log, metrics: new Metrics() });
  await heads.stop();
}

const newest = async (): Promise<SignedHead | undefined> =>
  keptHead(join(folder, 'checkpoints'), 'changes', await signer.publicKey());
const complaints = (): string => logged.map(({ err, msg }) => err?.message ?? msg).join('\n');

async function expectedRoot(size: number): Promise<Uint8Array> {
  const tree = new CompactTree();
  for await (const { bytes } of changes.read(1)) if (tree.size < size) tree.append(leafHash(bytes));
  return tree.root();
}

describe('tree heads', () => {
  test('are of all commits, are kept in KMS_TREE and outside, and are made only where the log grew', async () => {
    await append(3);
    await headsOnce();
    const head = (await newest())!;
    expect(head).toMatchObject({ size: 3, position: 3 });
    expect(head.root).toEqual(await expectedRoot(3));
    const stored = new JetStreamEventStore(nats, { stream: TREE_STREAM });
    expect(await stored.lastPosition()).toBe(1);
    for await (const { bytes } of stored.read(1)) expect(Buffer.from(bytes)).toEqual(head.note);
    await headsOnce();
    expect(await stored.lastPosition()).toBe(1);
    await append(300);
    await headsOnce(newSigner());
    expect(await newest()).toMatchObject({ size: 303, root: Buffer.from(await expectedRoot(303)) });
    expect(complaints()).toBe('');
  });

  test('go on where the tiles are lost or damaged, which are made again', async () => {
    await append(260);
    await headsOnce();
    const tiles = join(folder, 'tree/changes/tile/0');
    truncateSync(join(tiles, '000'), 31);
    await append(1);
    await headsOnce();
    expect(await newest()).toMatchObject({ size: 261, root: Buffer.from(await expectedRoot(261)) });
    rmSync(join(folder, 'tree'), { recursive: true });
    await append(1);
    await headsOnce();
    expect(await newest()).toMatchObject({ size: 262, root: Buffer.from(await expectedRoot(262)) });
    expect(complaints()).toBe('');
  });

  test('that were stored and not kept outside, as a crash leaves it, are kept by the next process', async () => {
    await append(2);
    await headsOnce();
    const path = checkpointFile(join(folder, 'checkpoints'), 'changes');
    const older = readFileSync(path);
    await append(2);
    await headsOnce();
    const head = await newest();
    writeFileSync(path, older);
    await headsOnce();
    expect(await newest()).toEqual(head);
  });

  test('are not made of a log that has lost its end, or is another one than the head outside says', async () => {
    await append(4);
    await headsOnce();
    const head = (await newest())!;
    const other = new LogTree('changes', EVENTS_STREAM, changes, join(folder, 'other'));
    await other.grow(() => false);
    expect(() => other.assertHolds({ ...head, size: 5 }, 'a folder')).toThrow(
      'KMS_EVENTS has 4 changes, but the head in a folder',
    );
    expect(() => other.assertHolds({ ...head, root: Buffer.alloc(32) }, 'a folder')).toThrow(
      'the first 4 changes of KMS_EVENTS are not those of the head in a folder',
    );
    const forged = await signedElsewhere(6);
    keepHead(join(folder, 'checkpoints'), 'changes', forged);
    await append(1);
    await headsOnce();
    expect(complaints()).toContain('KMS_EVENTS has 5 changes, but the head in');
    expect(await newest()).toEqual(forged);
  });

  test('are not made under a key that is not the one in the folder', async () => {
    await append(1);
    await headsOnce();
    await append(1);
    await headsOnce(new VaultTreeHeadSigner(nats, Buffer.alloc(32, 2), () => {}));
    expect(complaints()).toContain("keytrail.vkey is not the key that this log's heads are signed with");
  });
});

/** A head of this log's key that KMS_TREE does not have. */
async function signedElsewhere(size: number): Promise<SignedHead> {
  const elsewhere = await startNats();
  const connection = await connect({ servers: elsewhere.url });
  try {
    await ensureStreams(connection, { replicas: 1 });
    const there = new VaultTreeHeadSigner(connection, Buffer.from(SEED), () => {});
    const key = treeKey(await there.publicKey(), 'changes');
    const text = `${key.name}\n${size}\n${Buffer.alloc(32).toString('base64')}\ntime 2026-11-24T12:00:00.000Z\nposition ${size}\n`;
    return openHead(await there.sign({ tree: 'changes', text, proof: [] }), key);
  } finally {
    await connection.close();
    await elsewhere.stop();
  }
}

describe('the signer of tree heads', () => {
  const leaves = Array.from({ length: 20 }, (_, at) => leafHash(Buffer.from(String(at))));
  const node = (level: number, index: number): Uint8Array => {
    const tree = new CompactTree();
    for (const leaf of leaves.slice(index * 2 ** level, (index + 1) * 2 ** level)) tree.append(leaf);
    return tree.root();
  };

  let tiles: TileFolder;
  beforeEach(() => {
    tiles = new TileFolder(join(folder, 'tiles'));
  });

  async function head(
    size: number,
    changed: Partial<{ root: Buffer; time: string; position: number; from: number }> = {},
  ) {
    const key = treeKey(await signer.publicKey(), 'changes');
    const tree = new CompactTree();
    for (const leaf of leaves.slice(0, size)) tree.append(leaf);
    const { root = tree.root(), time = '2026-11-24T12:00:00.000Z', position = size, from = 0 } = changed;
    const text = `${key.name}\n${size}\n${Buffer.from(root).toString('base64')}\ntime ${time}\nposition ${position}\n`;
    const proof = proveConsistency(from, size, node).map((hash) => Buffer.from(hash).toString('base64'));
    return { tree: 'changes', text, proof } satisfies HeadToSign;
  }

  test('signs what goes on from the last, after a restart too, and gives the same note to one who asks again', async () => {
    const key = treeKey(await signer.publicKey(), 'changes');
    const first = openHead(await signer.sign(await head(5)), key);
    const asked = await head(9, { from: 5 });
    const second = openHead(await newSigner().sign(asked), key);
    verifyConsistency(
      first,
      second,
      asked.proof.map((hash) => Buffer.from(hash, 'base64')),
    );
    expect(openHead(await newSigner().sign(asked), key)).toEqual(second);
    expect(await new JetStreamEventStore(nats, { stream: TREE_STREAM }).lastPosition()).toBe(2);
  });

  test('refuses what does not, and stores nothing of it', async () => {
    await signer.sign(await head(5));
    const root = Buffer.alloc(32, 9);
    const refused: [HeadToSign, string][] = [
      [
        await head(9, { from: 5, root }),
        'does not go on from the last one: the consistency proof leads to another root',
      ],
      [
        { ...(await head(9, { from: 5 })), proof: [] },
        'does not go on from the last one: the consistency proof is too short',
      ],
      [await head(5, { root }), 'has size 5, the last one 5'],
      [await head(4), 'has size 4, the last one 5'],
      [
        await head(9, { from: 5, time: '2026-11-24T11:59:59.999Z' }),
        'has a position or time before that of the last one',
      ],
      [await head(9, { from: 5, position: 5 }), 'has a position or time before that of the last one'],
      [{ ...(await head(9, { from: 5 })), text: 'x\n' }, 'a checkpoint has at least three lines'],
      [{ ...(await head(9, { from: 5 })), tree: 'records' }, 'is not of the log keytrail/'],
    ];
    for (const [question, message] of refused) {
      await expect(newSigner().sign(question)).rejects.toThrow(message);
    }
    expect(await new JetStreamEventStore(nats, { stream: TREE_STREAM }).lastPosition()).toBe(1);
  });

  test('of two that are asked at once for different heads only one signs', async () => {
    await signer.sign(await head(5));
    const outcomes = await Promise.allSettled([
      signer.sign(await head(9, { from: 5 })),
      newSigner().sign(await head(12, { from: 5 })),
    ]);
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  });

  test('does not believe a KMS_TREE that has lost its end', async () => {
    await signer.sign(await head(5));
    await signer.sign(await head(9, { from: 5 }));
    const manager = await nats.jetstreamManager();
    await manager.streams.delete(TREE_STREAM);
    await ensureStreams(nats, { replicas: 1 });
    await expect(signer.sign(await head(12))).rejects.toThrow(
      'holds a head of changes of size 0, but one of 9 was signed',
    );
  });

  test('tiles are as many as needed, whatever the turns in which leaves came', async () => {
    await tiles.append(leaves.slice(0, 7), [3, 7]);
    await tiles.append(leaves.slice(7, 13), [7, 8, 13]);
    await tiles.append(leaves.slice(13), [20]);
    expect(tiles.state).toEqual({ size: 20, position: 6 });
    expect(readdirSync(join(folder, 'tiles/tile/0/000.p'))).toEqual(['20']);
    const again = new TileFolder(join(folder, 'tiles'));
    expect(again.root()).toEqual(Buffer.from(treeRoot(20, node)));
    expect([0, 1, 2, 3, 4, 5, 6, 7].map((position) => again.leavesAt(position))).toEqual([
      undefined,
      { first: 0, end: 3 },
      { first: 3, end: 7 },
      { first: 7, end: 7 },
      { first: 7, end: 8 },
      { first: 8, end: 13 },
      { first: 13, end: 20 },
      undefined,
    ]);
    truncateSync(join(folder, 'tiles/ends'), 47);
    expect(new TileFolder(join(folder, 'tiles')).state).toEqual({ size: 0, position: 0 });
  });
});
