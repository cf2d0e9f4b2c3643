import { writeFileSync } from 'node:fs';
import { leafHash } from '#audit-log/merkle';
import { proveInclusion } from '#audit-log/merkle-proof';
import { hashesFromTiles } from '#audit-log/tile-hashes';
import { writeTiles } from '#audit-log/tile-writer';
import { tilePath } from '#audit-log/tiles';
import { encodeTlogProof, parseTlogProof, verifyTlogProof } from '#audit-log/tlog-proof';
import { openHead, treeKey } from '#audit-log/tree-head';
import { AUDIT_STREAM } from '#domain/subjects';
import { JetStreamEventStore } from '#event-store/jetstream-event-store';
import type { Settings } from '#platform/settings';
import { leavesIn } from '#platform/tree-heads/log-leaves';
import { newestHead } from '#platform/tree-heads/stored-heads';
import { proveRemotely } from '#platform/tree-heads/tree-proofs';
import { progressBar } from './log-reader';
import { CommandError, type Operator } from './operator';
import { proveConsistency } from './prove-consistency';
import { publicKeyOf } from './stored-trees';

export interface ProveOptions {
  event?: string;
  consistency?: true;
  from?: string;
  to?: string;
}

/**
 * Writes the proof that a record is in the log, under the newest head: a tlog-proof, with the open part as its extra data;
 * or that a log goes on from an older head.
 */
export async function prove(
  operator: Operator,
  settings: Settings,
  { event, consistency, from, to }: ProveOptions,
  print: (line: string) => void,
): Promise<void> {
  if ((event === undefined) === (consistency === undefined)) {
    throw new CommandError('--event and --consistency: give one of them');
  }
  const publicKey = await publicKeyOf(operator, settings);
  if (event === undefined) {
    if (from === undefined) throw new CommandError('--from: expected with --consistency');
    if (!publicKey) throw new CommandError('there is no head yet: try again in a while');
    return proveConsistency(operator, publicKey, { from, ...(to === undefined ? {} : { to }) }, print);
  }
  const proof = operator.services
    ? await proveRemotely(operator.nats, { event })
    : await proofFromStream(operator, publicKey, event);
  if (to === undefined) return print(proof.toString('utf8').trimEnd());
  writeFileSync(to, proof);
  const { index, checkpoint } = parseTlogProof(proof);
  const { size, time } = openHead(checkpoint, treeKey(publicKey!, 'records'));
  print(`record ${index} of ${size}, under the head of ${time}`);
}

/** Reads all of a stopped server's records: nobody is there who has an index of them. */
async function proofFromStream(operator: Operator, publicKey: Buffer | undefined, event: string): Promise<Buffer> {
  const stored = publicKey && (await newestHead(operator.nats, 'records'));
  if (!publicKey || !stored) throw new CommandError('there is no head of records yet: try again in a while');
  const key = treeKey(publicKey, 'records');
  const head = openHead(stored.note, key);
  const { hashes, found } = await readRecords(operator, event, head.size);
  if (!found) {
    throw new CommandError(
      `no record with eventID ${event} is under the newest head, of ${head.time} and size ${head.size}`,
    );
  }
  const tiles = new Map<string, Uint8Array>();
  for (const { tile, bytes } of writeTiles(0, () => undefined, hashes)) tiles.set(tilePath(tile), bytes);
  const hashAt = hashesFromTiles(head.size, (tile) => tiles.get(tilePath(tile)));
  const proof = encodeTlogProof({
    index: found.index,
    hashes: proveInclusion(found.index, head.size, hashAt),
    checkpoint: stored.note,
    extra: found.leaf,
  });
  // Of an altered log there is no proof.
  verifyTlogProof(proof, leafHash(found.leaf), { key });
  return proof;
}

async function readRecords(
  operator: Operator,
  event: string,
  size: number,
): Promise<{ hashes: Buffer[]; found: { index: number; leaf: Buffer } | undefined }> {
  const store = new JetStreamEventStore(operator.nats, { stream: AUDIT_STREAM });
  const hashes: Buffer[] = [];
  const needle = Buffer.from(`"eventID":${JSON.stringify(event)}`, 'utf8');
  let found: { index: number; leaf: Buffer } | undefined;
  const total = await store.lastPosition();
  const bar = progressBar(total, 'positions');
  bar?.start(total, 0);
  try {
    for await (const message of store.read(1)) {
      for (const leaf of leavesIn('records', message)) {
        if (hashes.length === size) return { hashes, found };
        const bytes = Buffer.from(leaf);
        // A text that a caller chose may look like it, so the record is read where it does.
        if (bytes.includes(needle) && eventIdOf(bytes) === event) found = { index: hashes.length, leaf: bytes };
        hashes.push(leafHash(bytes));
      }
      if (message.seq % 1_000 === 0) bar?.update(message.seq);
    }
    return { hashes, found };
  } finally {
    bar?.stop();
  }
}

const eventIdOf = (leaf: Buffer): unknown => (JSON.parse(leaf.toString('utf8')) as { eventID?: unknown }).eventID;
