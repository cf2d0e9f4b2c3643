import { readFileSync, writeFileSync } from 'node:fs';
import { parseAddCheckpoint } from '#audit-log/add-checkpoint';
import { MalformedError, NotProvedError } from '#audit-log/proof-errors';
import { openHead, type SignedHead, TREES, type Tree, treeKey } from '#audit-log/tree-head';
import { verifyConsistency } from '#audit-log/verify-merkle-proof';
import { proveRemotely } from '#platform/tree-heads/tree-proofs';
import { CommandError, type Operator } from './operator';
import { readPublicKey } from './verify-export';
import { assertCosigned, type WitnessOptions } from './witnesses';

export interface ProveConsistencyOptions {
  from: string;
  to?: string;
}

/** Writes the proof that a log goes on from an older head: a request of C2SP tlog-witness, which needs no witness to be checked. */
export async function proveConsistency(
  operator: Operator,
  key: Buffer,
  { from, to }: ProveConsistencyOptions,
  print: (line: string) => void,
): Promise<void> {
  const { tree, head } = headIn(from, key, '--from');
  const proof = await proveRemotely(operator.nats, { tree, from: head.size });
  // Of an altered log there is no proof.
  const newer = checked(proof, { tree, head }, key, 'the proof');
  if (to === undefined) return print(proof.toString('utf8').trimEnd());
  writeFileSync(to, proof);
  print(
    `${tree}: the head of ${newer.time}, of size ${newer.size}, goes on from that of ${head.time}, of size ${head.size}`,
  );
}

/** Checks what `prove --consistency` wrote, with the older head and the public key alone. Throws CommandError. */
export function verifyConsistencyFile(
  options: { consistency: string; from: string; key: string } & WitnessOptions,
  print: (line: string) => void,
): void {
  const key = readPublicKey(options.key);
  const older = headIn(options.from, key, '--from');
  const newer = checked(read(options.consistency, '--consistency'), older, key, options.consistency);
  assertCosigned(newer.note, options, print);
  const { tree, head } = older;
  print(
    `${tree}: the head of ${newer.time}, of size ${newer.size}, goes on from that of ${head.time}, of size ${head.size}`,
  );
}

interface HeadOfTree {
  tree: Tree;
  head: SignedHead;
}

/** The newer head. Throws CommandError where it does not go on from the older one. */
function checked(bytes: Buffer, { tree, head }: HeadOfTree, key: Buffer, what: string): SignedHead {
  try {
    const { oldSize, hashes, checkpoint } = parseAddCheckpoint(bytes);
    const newer = openHead(checkpoint, treeKey(key, tree));
    if (oldSize !== head.size)
      throw new NotProvedError(`it begins with ${oldSize} leaves, the older head has ${head.size}`);
    verifyConsistency(head, newer, hashes);
    return newer;
  } catch (error) {
    if (!(error instanceof MalformedError || error instanceof NotProvedError)) throw error;
    throw new CommandError(`${what} proves nothing: ${error.message}`);
  }
}

/** A head of either tree in a file. */
function headIn(path: string, key: Buffer, option: string): HeadOfTree {
  const note = read(path, option);
  let problem = '';
  for (const tree of TREES) {
    try {
      return { tree, head: openHead(note, treeKey(key, tree)) };
    } catch (error) {
      if (!(error instanceof MalformedError || error instanceof NotProvedError)) throw error;
      problem = error.message;
    }
  }
  throw new CommandError(`${option} ${path} is no head of this log: ${problem}`);
}

function read(path: string, option: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new CommandError(`${option}: ${(error as Error).message}`);
  }
}
