import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AuditFormatError, batchHash, decodeBatch, NO_BATCH } from '#audit-log/batch';
import { LogCheck, openHeads } from '#audit-log/log-check';
import { HASH_LENGTH } from '#audit-log/merkle';
import { TILE_WIDTH, tilePath, tileWidth } from '#audit-log/tiles';
import { TREES, type Tree, treeKey } from '#audit-log/tree-head';
import { AUDIT_STREAM, EVENTS_STREAM, TREE_STREAM } from '#domain/subjects';
import { API_ERROR, JetStreamApiError } from '#event-store/jetstream-api';
import { JetStreamEventStore } from '#event-store/jetstream-event-store';
import { LogDamagedError } from '#event-store/log-damage';
import type { Settings } from '#platform/settings';
import { checkpointFile, keptHead } from '#platform/tree-heads/checkpoint-folder';
import { leavesIn } from '#platform/tree-heads/log-leaves';
import { progressBar } from './log-reader';
import type { Operator } from './operator';
import { publicKeyOf, storedNotes } from './stored-trees';
import { hashesOf, provedLines, withOutside } from './verify-export';

const streamOf = (tree: Tree): string => (tree === 'changes' ? EVENTS_STREAM : AUDIT_STREAM);

/**
 * Compares both streams with the heads in KMS_TREE and in the folder outside of NATS. Prints which part of each is proved;
 * returns what does not fit, of each tree the first. `hashes`: an export, whose leaf hashes go before those in the tiles.
 */
export async function verifyTrees(
  operator: Operator,
  settings: Settings,
  print: (line: string) => void,
  hashes?: string,
): Promise<string[]> {
  const publicKey = await publicKeyOf(operator, settings);
  if (!publicKey) {
    print('no tree heads yet: nothing proves what the log was before');
    return [];
  }
  const faults: string[] = [];
  for (const tree of TREES) {
    // Before the stream: a running server keeps a head there once it is stored, and may do so while this reads.
    const outside = keptHead(settings.checkpointDir, tree, publicKey);
    const stored = await notesOf(operator, tree);
    if (stored.damage !== undefined) faults.push(stored.damage);
    const { heads, fault } = openHeads(tree, stored.notes, treeKey(publicKey, tree));
    if (fault) faults.push(`${TREE_STREAM}: ${fault}`);
    const newest = heads.at(-1);
    if (outside && (!newest || newest.size < outside.size)) {
      faults.push(
        `${TREE_STREAM} does not have the head of ${outside.time} that ${checkpointFile(settings.checkpointDir, tree)} holds: it has lost its end`,
      );
    }
    const check = new LogCheck(tree, outside ? withOutside(heads, outside) : heads);
    const kept = keptHashes(join(settings.dataDir, 'tree', tree));
    const exported = hashes === undefined ? () => undefined : hashesOf(hashes, tree);
    const ended = await readInto(check, operator, tree, (index) => exported(index) ?? kept(index));
    const verdict = check.verdict(ended);
    for (const line of provedLines(tree, verdict)) print(line);
    if (verdict.fault) faults.push(`${streamOf(tree)}: ${verdict.fault.what}`);
  }
  for (const fault of faults) print(fault);
  return faults;
}

async function notesOf(operator: Operator, tree: Tree): Promise<{ notes: Buffer[]; damage?: string }> {
  const notes: Buffer[] = [];
  try {
    for await (const note of storedNotes(operator.nats, tree)) notes.push(note);
    return { notes };
  } catch (error) {
    if (error instanceof JetStreamApiError && error.errCode === API_ERROR.streamNotFound) {
      return { notes, damage: `${TREE_STREAM} does not exist: it was never made, or was deleted` };
    }
    if (error instanceof LogDamagedError) return { notes, damage: error.message };
    throw error;
  }
}

/** Why it ended before the stream's end, if it did. */
async function readInto(
  check: LogCheck,
  operator: Operator,
  tree: Tree,
  kept: (index: number) => Buffer | undefined,
): Promise<string | undefined> {
  const store = new JetStreamEventStore(operator.nats, { stream: streamOf(tree) });
  const chains = new WriterChains();
  let bar: ReturnType<typeof progressBar>;
  try {
    const total = await store.lastPosition();
    bar = progressBar(total, `positions of ${tree}`);
    bar?.start(total, 0);
    for await (const message of store.read(1)) {
      for (const leaf of leavesIn(tree, message)) check.add(leaf, kept(check.leaves));
      if (tree === 'records') chains.add(message.bytes, message.seq);
      if (message.seq % 1_000 === 0) bar?.update(message.seq);
    }
    return undefined;
  } catch (error) {
    if (error instanceof LogDamagedError || error instanceof AuditFormatError || error instanceof ChainError) {
      return error.message;
    }
    throw error;
  } finally {
    bar?.stop();
  }
}

/** A batch does not go on from the one before of its writer. */
class ChainError extends Error {
  override readonly name = 'ChainError';
}

/** Whether each batch goes on from the one before of its writer: what is sealed is in no leaf, but in this chain. */
class WriterChains {
  private readonly last = new Map<string, { batch: number; hash: string }>();

  add(bytes: Uint8Array, seq: number): void {
    const { head } = decodeBatch(bytes);
    const { batch, hash } = this.last.get(head.writer) ?? { batch: 0, hash: NO_BATCH };
    if (head.batch !== batch + 1 || head.prev !== hash) {
      throw new ChainError(
        `the batch at position ${seq} (${head.batch} of writer ${head.writer}) does not go on from the one before, ${batch}: that one was altered, or one between is missing`,
      );
    }
    this.last.set(head.writer, { batch: head.batch, hash: batchHash(bytes) });
  }
}

/** The leaf hashes in the tiles of a data folder, as far as there are any: they tell which leaf it is that was altered. */
function keptHashes(folder: string): (index: number) => Buffer | undefined {
  const size = sizeIn(join(folder, 'state.json'));
  let tile = -1;
  let bytes: Buffer = Buffer.alloc(0);
  return (index) => {
    if (index >= size) return undefined;
    const wanted = Math.floor(index / TILE_WIDTH);
    if (wanted !== tile) {
      tile = wanted;
      const path = join(folder, tilePath({ level: 0, index: tile, width: tileWidth(0, tile, size) }));
      bytes = existsSync(path) ? readFileSync(path) : Buffer.alloc(0);
    }
    const at = (index % TILE_WIDTH) * HASH_LENGTH;
    return at + HASH_LENGTH <= bytes.length ? bytes.subarray(at, at + HASH_LENGTH) : undefined;
  };
}

function sizeIn(path: string): number {
  try {
    const { size } = JSON.parse(readFileSync(path, 'utf8')) as { size?: unknown };
    return Number.isSafeInteger(size) ? (size as number) : 0;
  } catch {
    return 0;
  }
}
