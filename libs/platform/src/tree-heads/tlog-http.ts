import type { FastifyInstance, FastifyReply } from 'fastify';
import { MalformedError } from '#audit-log/proof-errors';
import { parseTilePath } from '#audit-log/tiles';
import { TREES, type Tree } from '#audit-log/tree-head';
import type { TreeProofs } from './tree-proofs';

/** Below it each tree is served as `/tlog/records`, `/tlog/changes`. */
const PREFIX = '/tlog/:tree';

/**
 * The read paths of C2SP tlog-tiles for checkpoints and hashes. Leaves are not served: they say who did what. How many calls
 * there were, which these do tell, is in /metrics beside them.
 */
export function serveTlog(http: FastifyInstance, proofs: Pick<TreeProofs, 'checkpoint' | 'tile'>): void {
  http.get(`${PREFIX}/checkpoint`, (request, reply) => {
    const { tree } = request.params as { tree: string };
    const note = isTree(tree) ? proofs.checkpoint(tree) : undefined;
    if (!note) return notThere(reply);
    reply.header('Content-Type', 'text/plain; charset=utf-8').header('Cache-Control', 'no-store').send(note);
  });
  http.get(`${PREFIX}/tile/*`, (request, reply) => {
    const { tree, '*': path } = request.params as { tree: string; '*': string };
    const bytes = isTree(tree) ? tileOf(proofs, tree, `tile/${path}`) : undefined;
    if (!bytes) return notThere(reply);
    reply
      .header('Content-Type', 'application/octet-stream')
      .header('Cache-Control', 'public, max-age=31536000, immutable')
      .send(Buffer.from(bytes));
  });
}

const isTree = (text: string): text is Tree => (TREES as readonly string[]).includes(text);

function tileOf(proofs: Pick<TreeProofs, 'tile'>, tree: Tree, path: string): Uint8Array | undefined {
  try {
    return proofs.tile(tree, parseTilePath(path));
  } catch (error) {
    if (error instanceof MalformedError) return undefined;
    throw error;
  }
}

function notThere(reply: FastifyReply): void {
  reply.code(404).header('Content-Type', 'text/plain; charset=utf-8').send('not found\n');
}
