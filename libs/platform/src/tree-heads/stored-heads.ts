import type { NatsConnection } from 'nats';
import type { Tree } from '#audit-log/tree-head';
import { TREE_STREAM, treeHeadSubject } from '#domain/subjects';
import { storedMessage } from '#event-store/jetstream-api';
import { retryWhileUnavailable } from '#event-store/retry';

/** A head as KMS_TREE holds it. Nothing of it has been verified. */
export interface StoredHead {
  seq: number;
  note: Buffer;
}

const RETRY_MS = 5_000;

/** The newest head of a tree in KMS_TREE. */
export async function newestHead(nats: NatsConnection, tree: Tree): Promise<StoredHead | undefined> {
  const message = await retryWhileUnavailable(nats, RETRY_MS, (timeoutMs) =>
    storedMessage(nats, TREE_STREAM, { last_by_subj: treeHeadSubject(tree) }, timeoutMs),
  );
  return message && { seq: message.seq, note: Buffer.from(message.data ?? '', 'base64') };
}
