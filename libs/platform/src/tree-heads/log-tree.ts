import { HASH_LENGTH, type HashReader } from '#audit-log/merkle';
import { proveConsistency, proveInclusion } from '#audit-log/merkle-proof';
import { hashesFromTiles, readTile } from '#audit-log/tile-hashes';
import { type Tile, tileWidth } from '#audit-log/tiles';
import type { SignedHead, Tree } from '#audit-log/tree-head';
import type { EventStore } from '#event-store/event-store';
import { lostTail } from '#event-store/log-damage';
import { CheckpointError } from './checkpoint-folder';
import { leafHashesIn } from './log-leaves';
import { TileFolder } from './tile-folder';

/** Leaves that are hashed before requests get a turn: some ms. */
const AT_ONCE = 256;
/** Leaves that tiles are written for at once: some ms too. */
const TO_TILES = 2_048;

/** The tree of one stream, as far as it has been read. */
export class LogTree {
  private readonly tiles: TileFolder;

  constructor(
    readonly tree: Tree,
    readonly stream: string,
    private readonly store: Pick<EventStore, 'read' | 'lastPosition'>,
    folder: string,
  ) {
    this.tiles = new TileFolder(folder);
  }

  get size(): number {
    return this.tiles.state.size;
  }

  get position(): number {
    return this.tiles.state.position;
  }

  root(): Buffer {
    return this.tiles.root();
  }

  /** Whether more has been stored. Rejects with LogDamagedError where the stream is shorter than it was. */
  async isBehind(): Promise<boolean> {
    const last = await this.store.lastPosition();
    if (last < this.position) throw lostTail(this.stream, last, this.position);
    return last > this.position;
  }

  /** Takes in what has been stored since. Rejects as isBehind does. */
  async grow(isStopped: () => boolean): Promise<void> {
    if (!(await this.isBehind())) return;
    let hashes: Buffer[] = [];
    let ends: number[] = [];
    let rested = 0;
    for await (const message of this.store.read(this.position + 1)) {
      const found = leafHashesIn(this.tree, message);
      for (const hash of found) hashes.push(hash);
      ends.push(this.size + hashes.length);
      rested += found.length;
      if (rested < AT_ONCE) continue;
      rested = 0;
      await new Promise((resume) => setImmediate(resume));
      if (hashes.length < TO_TILES) continue;
      await this.tiles.append(hashes, ends);
      hashes = [];
      ends = [];
      if (isStopped()) return;
    }
    if (ends.length > 0) await this.tiles.append(hashes, ends);
  }

  /** Throws CheckpointError unless the tree begins with the one of this head. */
  assertHolds(head: SignedHead, where: string): void {
    if (head.size > this.size) {
      throw new CheckpointError(
        `${this.stream} has ${this.size} ${this.tree}, but the head in ${where} of ${head.time} has ${head.size}: it has lost its end`,
      );
    }
    if (Buffer.compare(this.tiles.rootAt(head.size), head.root) !== 0) {
      throw new CheckpointError(
        `the first ${head.size} ${this.tree} of ${this.stream} are not those of the head in ${where} of ${head.time}: run ./keytrail verify`,
      );
    }
  }

  /** Base64, as HeadToSign has it. */
  proofFrom(size: number): string[] {
    return this.consistency(size, this.size).map((hash) => Buffer.from(hash).toString('base64'));
  }

  /** That the first `to` leaves begin with the first `from`. Throws RangeError where the tree does not have so many. */
  consistency(from: number, to: number): Uint8Array[] {
    return proveConsistency(from, to, this.hashAt());
  }

  /** That leaf `index` is one of the first `size`. Throws RangeError as consistency does. */
  inclusion(index: number, size: number): Uint8Array[] {
    return proveInclusion(index, size, this.hashAt());
  }

  /** Index of the first leaf of the message at that position; undefined where the tree does not reach so far. */
  firstLeafAt(position: number): number | undefined {
    return this.tiles.leavesAt(position)?.first;
  }

  /** A tile of this tree, or of one that it was once; undefined where it has none such. */
  tile({ level, index, width }: Tile): Uint8Array | undefined {
    const now = tileWidth(level, index, this.size);
    return width > now
      ? undefined
      : readTile({ level, index, width: now }, this.tiles.read).subarray(0, width * HASH_LENGTH);
  }

  private hashAt(): HashReader {
    return hashesFromTiles(this.size, this.tiles.read);
  }
}
