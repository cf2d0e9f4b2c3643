import { batchLeaves } from '#audit-log/batch-leaves';
import { leafHash } from '#audit-log/merkle';
import type { Tree } from '#audit-log/tree-head';
import type { StoredCommit } from '#event-store/event-store';

/** The leaves that one message of a tree's stream holds. Throws AuditFormatError. */
export const leavesIn = (tree: Tree, { bytes }: Pick<StoredCommit, 'bytes'>): Uint8Array[] =>
  tree === 'changes' ? [bytes] : batchLeaves(bytes);

export const leafHashesIn = (tree: Tree, message: Pick<StoredCommit, 'bytes'>): Buffer[] =>
  leavesIn(tree, message).map(leafHash);
