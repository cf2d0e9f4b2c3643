import type { NatsConnection } from 'nats';
import type { Tree } from '#audit-log/tree-head';
import { INTERNAL, TREE_STREAM, treeHeadSubject } from '#domain/subjects';
import { JetStreamEventStore } from '#event-store/jetstream-event-store';
import { ask } from '#platform/internal-requests';
import type { Settings } from '#platform/settings';
import { keptKey } from '#platform/tree-heads/checkpoint-folder';
import type { Operator } from './operator';

/** All heads of a tree in KMS_TREE, oldest first; nothing of them is verified. */
export async function* storedNotes(nats: NatsConnection, tree: Tree): AsyncGenerator<Buffer> {
  const store = new JetStreamEventStore(nats, { stream: TREE_STREAM });
  for await (const { subject, bytes } of store.read(1)) {
    if (subject === treeHeadSubject(tree)) yield Buffer.from(bytes);
  }
}

/** The public key of the heads: out of the folder outside of NATS, else of a running crypto-worker; undefined without either. */
export async function publicKeyOf(operator: Operator, { checkpointDir }: Settings): Promise<Buffer | undefined> {
  const kept = keptKey(checkpointDir);
  if (kept || !operator.services) return kept;
  return Buffer.from(await ask<string>(operator.nats, INTERNAL.treeKey, {}, { timeoutMs: 10_000 }), 'base64');
}
