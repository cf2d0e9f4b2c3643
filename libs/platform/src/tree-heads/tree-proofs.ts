import type { NatsConnection } from 'nats';
import { encodeAddCheckpoint } from '#audit-log/add-checkpoint';
import { leafHash } from '#audit-log/merkle';
import { NotProvedError } from '#audit-log/proof-errors';
import type { Tile } from '#audit-log/tiles';
import { encodeTlogProof, verifyTlogProof } from '#audit-log/tlog-proof';
import { type SignedHead, TREES, type Tree, treeKey } from '#audit-log/tree-head';
import { KmsError } from '#domain/errors';
import { AUDIT_STREAM, INTERNAL, QUEUE } from '#domain/subjects';
import { storedMessage } from '#event-store/jetstream-api';
import { membersOf } from '../internal-questions';
import { answer, ask } from '../internal-requests';
import type { ServedRequests } from '../served-requests';
import { keptHead, keptKey } from './checkpoint-folder';
import { leavesIn } from './log-leaves';
import type { LogTree } from './log-tree';

/** Which record: the position of its message in KMS_AUDIT, and which of the message's records it is, from 0. */
export interface RecordPlace {
  position: number;
  nth: number;
}

export interface TreeProofsPorts {
  nats: NatsConnection;
  /** Where the newest heads are kept, which proofs are under. */
  checkpointDir: string;
  treeOf(tree: Tree): LogTree;
  /** Rejects where the event history cannot be asked now. */
  placeOf(eventId: string): Promise<RecordPlace | undefined>;
}

const TIMEOUT_MS = 5_000;

/** Proofs out of the tiles, under the newest head that was published. Reads one message of a stream, and few tiles. */
export class TreeProofs {
  constructor(private readonly ports: TreeProofsPorts) {}

  /** That a record is in the log: a tlog-proof, with the record's open part as its extra data. */
  async record(eventId: string): Promise<Buffer> {
    const place = await this.ports.placeOf(eventId);
    if (!place) throw notFound(`no record with eventID ${eventId} is known`);
    const { head, publicKey } = this.published('records');
    const tree = this.ports.treeOf('records');
    const first = tree.firstLeafAt(place.position);
    const index = first === undefined ? head.size : first + place.nth;
    if (index >= head.size) {
      throw notFound(
        `the record with eventID ${eventId} is under no head yet, the newest being of ${head.time}: try again in a while`,
      );
    }
    const leaf = await this.leafAt(place);
    const proof = encodeTlogProof({
      index,
      hashes: tree.inclusion(index, head.size),
      checkpoint: head.note,
      extra: leaf,
    });
    try {
      // Of an altered log there is no proof.
      verifyTlogProof(proof, leafHash(leaf), { key: treeKey(publicKey, 'records') });
    } catch (cause) {
      if (!(cause instanceof NotProvedError)) throw cause;
      throw notFound(`the record with eventID ${eventId} cannot be proved (${cause.message}): run ./keytrail verify`);
    }
    return proof;
  }

  /** That a log goes on from its first `from` leaves: a tlog-witness request. */
  consistency(tree: Tree, from: number): Buffer {
    const { head } = this.published(tree);
    if (from > head.size) throw notFound(`the newest head of ${tree}, of ${head.time}, has ${head.size}, not ${from}`);
    const hashes = this.ports.treeOf(tree).consistency(from, head.size);
    return encodeAddCheckpoint({ oldSize: from, hashes, checkpoint: head.note });
  }

  /** The newest published head; undefined before the first. */
  checkpoint(tree: Tree): Buffer | undefined {
    const publicKey = keptKey(this.ports.checkpointDir);
    return publicKey && keptHead(this.ports.checkpointDir, tree, publicKey)?.note;
  }

  /** Undefined where the tree has none such. */
  tile(tree: Tree, tile: Tile): Uint8Array | undefined {
    return this.ports.treeOf(tree).tile(tile);
  }

  private published(tree: Tree): { head: SignedHead; publicKey: Buffer } {
    const publicKey = keptKey(this.ports.checkpointDir);
    const head = publicKey && keptHead(this.ports.checkpointDir, tree, publicKey);
    if (!publicKey || !head) throw notFound(`there is no head of ${tree} yet: try again in a while`);
    return { head, publicKey };
  }

  private async leafAt({ position, nth }: RecordPlace): Promise<Uint8Array> {
    const message = await storedMessage(this.ports.nats, AUDIT_STREAM, { seq: position }, TIMEOUT_MS);
    const leaf = message && leavesIn('records', { bytes: Buffer.from(message.data ?? '', 'base64') })[nth];
    if (!leaf)
      throw notFound(`position ${position} of ${AUDIT_STREAM} does not hold the record: run ./keytrail verify`);
    return leaf;
  }
}

const notFound = (message: string): KmsError => new KmsError('NotFoundException', message);

/** What the operator asks to be proved. */
export type ToProve = { event: string } | { tree: Tree; from: number };

/** The proof, as TreeProofs makes it. */
export const proveRemotely = async (nats: NatsConnection, question: ToProve): Promise<Buffer> =>
  Buffer.from(await ask<string>(nats, INTERNAL.treeProve, question, { timeoutMs: 40_000 }), 'base64');

export const serveTreeProofs = (served: ServedRequests, proofs: TreeProofs, onError: (error: unknown) => void): void =>
  answer<unknown, string>(
    served,
    INTERNAL.treeProve,
    QUEUE.audit,
    async (question) => {
      const asked = toProve(question);
      const proof = 'event' in asked ? await proofs.record(asked.event) : proofs.consistency(asked.tree, asked.from);
      return proof.toString('base64');
    },
    onError,
  );

function toProve(question: unknown): ToProve {
  const { event, tree, from } = membersOf(question);
  if (typeof event === 'string' && event.length <= 64) return { event };
  if (TREES.includes(tree as Tree) && Number.isSafeInteger(from) && (from as number) >= 0) {
    return { tree: tree as Tree, from: from as number };
  }
  throw new KmsError('ValidationException', 'expected event, or tree and from');
}
