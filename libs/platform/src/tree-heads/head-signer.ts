import { createHash } from 'node:crypto';
import type { NatsConnection } from 'nats';
import { encodeNote, type NoteSignature, signNote } from '#audit-log/note';
import { type SignerKey, signerKey, signWith } from '#audit-log/note-key';
import { MalformedError, NotProvedError } from '#audit-log/proof-errors';
import { encodeHead, openHead, parseHead, type SignedHead, TREES, type Tree, treeOrigin } from '#audit-log/tree-head';
import { verifyConsistency } from '#audit-log/verify-merkle-proof';
import { KmsError } from '#domain/errors';
import { INTERNAL, QUEUE, TREE_STREAM, treeHeadSubject } from '#domain/subjects';
import { ConflictError } from '#event-store/event-store';
import { JetStreamEventStore } from '#event-store/jetstream-event-store';
import { ensureTreeStream } from '#event-store/streams';
import type { MaterialVault } from '#hsm/material-vault';
import { type FailPoint, failPoints } from '../fail-points';
import { answer, ask } from '../internal-requests';
import type { ServedRequests } from '../served-requests';
import type { Settings } from '../settings';
import { newestHead } from './stored-heads';

/** What a crypto-worker is asked to sign. */
export interface HeadToSign {
  tree: Tree;
  /** The text of a tree head, as `encodeHead` makes it. */
  text: string;
  /** Base64: that it goes on from the newest head of this tree in KMS_TREE. */
  proof: string[];
}

export interface TreeHeadSigner {
  /** The Ed25519 public key of both trees. */
  publicKey(): Promise<Buffer>;
  /** Signs a head and stores it; the signed note. Rejects with ValidationException for one that does not go on from the last. */
  sign(head: HeadToSign): Promise<Buffer>;
}

const SEED_LENGTH = 32;

export async function openTreeHeadSigner(
  nats: NatsConnection,
  settings: Settings,
  vault: MaterialVault,
): Promise<VaultTreeHeadSigner> {
  await ensureTreeStream(nats, settings);
  const seed = await vault.own.treeSeed(SEED_LENGTH);
  try {
    return new VaultTreeHeadSigner(nats, seed, failPoints(settings.failPoint));
  } finally {
    seed.fill(0);
  }
}

/**
 * Signs where the key is. It is the only writer of KMS_TREE, and a signature leaves it only once its head is stored there,
 * directly after the one that it was checked against: so there are no two heads of a tree that do not go on from each
 * other, whoever asks, however many crypto-workers there are, and whenever one of them dies.
 */
export class VaultTreeHeadSigner implements TreeHeadSigner {
  private readonly keys: Record<Tree, SignerKey>;
  private readonly store: JetStreamEventStore;
  /** Sizes that this process has signed: a KMS_TREE that has lost its end is not believed. */
  private readonly signed = new Map<Tree, number>();

  constructor(
    private readonly nats: NatsConnection,
    seed: Buffer,
    private readonly failPoint: FailPoint,
  ) {
    const { publicKey } = signerKey('keytrail', seed);
    this.keys = {
      records: signerKey(treeOrigin(publicKey, 'records'), seed),
      changes: signerKey(treeOrigin(publicKey, 'changes'), seed),
    };
    this.store = new JetStreamEventStore(nats, { stream: TREE_STREAM });
  }

  async publicKey(): Promise<Buffer> {
    return this.keys.records.publicKey;
  }

  async sign({ tree, text, proof }: HeadToSign): Promise<Buffer> {
    const key = this.keys[tree];
    const last = await newestHead(this.nats, tree);
    const lastHead = last && openHead(last.note, key);
    // Asked again, since the answer was lost.
    if (lastHead && textOf(key.name, lastHead) === text) return lastHead.note;
    this.assertGoesOn(tree, text, proof, lastHead);
    const signature = await signNote(text, key, (message) => signWith(key, message));
    const note = noteOf(text, signature);
    this.failPoint(`before-append:${tree}-head`);
    // A crash here leaves a signature that nobody has seen.
    try {
      await this.store.append({
        subject: treeHeadSubject(tree),
        bytes: note,
        expectedLastSeq: last?.seq ?? 0,
        appendId: createHash('sha256').update(note).digest('hex'),
      });
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
      throw refused(`another head of ${tree} was signed meanwhile`, error);
    }
    // A crash here leaves a head in KMS_TREE that is not in the folder outside yet: the next start puts it there.
    this.failPoint(`after-append:${tree}-head`);
    this.signed.set(tree, parseHead(text).size);
    return note;
  }

  private assertGoesOn(tree: Tree, text: string, proof: readonly string[], last: SignedHead | undefined): void {
    const name = this.keys[tree].name;
    const size = last?.size ?? 0;
    if (size < (this.signed.get(tree) ?? 0)) {
      throw refused(
        `${TREE_STREAM} holds a head of ${tree} of size ${size}, but one of ${this.signed.get(tree)} was signed`,
      );
    }
    try {
      const head = parseHead(text);
      if (head.origin !== name) throw refused(`the head is not of the log ${name}`);
      if (head.size <= size) throw refused(`the head of ${tree} has size ${head.size}, the last one ${size}`);
      if (last && (head.position <= last.position || head.time < last.time)) {
        throw refused(`the head of ${tree} has a position or time before that of the last one`);
      }
      const hashes = proof.map((hash) => Buffer.from(hash, 'base64'));
      if (last) verifyConsistency(last, head, hashes);
    } catch (error) {
      if (error instanceof MalformedError || error instanceof NotProvedError) {
        throw refused(`the head of ${tree} does not go on from the last one: ${error.message}`, error);
      }
      throw error;
    }
  }
}

const refused = (message: string, cause?: unknown): KmsError => new KmsError('ValidationException', message, cause);

const textOf = (origin: string, head: SignedHead): string => encodeHead(origin, head);

const noteOf = (text: string, signature: NoteSignature): Buffer => encodeNote({ text, signatures: [signature] });

const TIMEOUT_MS = 10_000;

/** By way of a crypto-worker. */
export class RemoteTreeHeadSigner implements TreeHeadSigner {
  constructor(private readonly nats: NatsConnection) {}

  async publicKey(): Promise<Buffer> {
    return Buffer.from(await ask<string>(this.nats, INTERNAL.treeKey, {}, { timeoutMs: TIMEOUT_MS }), 'base64');
  }

  async sign(head: HeadToSign): Promise<Buffer> {
    return Buffer.from(await ask<string>(this.nats, INTERNAL.treeSign, head, { timeoutMs: TIMEOUT_MS }), 'utf8');
  }
}

export function serveTreeHeads(
  served: ServedRequests,
  signer: TreeHeadSigner,
  onError: (error: unknown) => void,
): void {
  answer<unknown, string>(
    served,
    INTERNAL.treeSign,
    QUEUE.data,
    async (question) => (await signer.sign(headToSign(question))).toString('utf8'),
    onError,
  );
  answer<unknown, string>(
    served,
    INTERNAL.treeKey,
    QUEUE.data,
    async () => (await signer.publicKey()).toString('base64'),
    onError,
  );
}

function headToSign(question: unknown): HeadToSign {
  const { tree, text, proof } = (question ?? {}) as Partial<Record<keyof HeadToSign, unknown>>;
  if (
    !TREES.includes(tree as Tree) ||
    typeof text !== 'string' ||
    !Array.isArray(proof) ||
    !proof.every((hash) => typeof hash === 'string')
  ) {
    throw refused('expected tree, text and proof');
  }
  return { tree: tree as Tree, text, proof };
}
