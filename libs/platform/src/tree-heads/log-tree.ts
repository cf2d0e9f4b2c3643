import { proveConsistency } from '#audit-log/merkle-proof';
import { hashesFromTiles } from '#audit-log/tile-hashes';
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
    let position = this.position;
    let rested = 0;
    for await (const message of this.store.read(position + 1)) {
      const found = leafHashesIn(this.tree, message);
      for (const hash of found) hashes.push(hash);
      position = message.seq;
      rested += found.length;
      if (rested < AT_ONCE) continue;
      rested = 0;
      await new Promise((resume) => setImmediate(resume));
      if (hashes.length < TO_TILES) continue;
      this.tiles.append(hashes, position);
      hashes = [];
      if (isStopped()) return;
    }
    if (position > this.position) this.tiles.append(hashes, position);
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
    const hashAt = hashesFromTiles(this.size, this.tiles.read);
    return proveConsistency(size, this.size, hashAt).map((hash) => Buffer.from(hash).toString('base64'));
  }
}
