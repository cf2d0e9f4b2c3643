import { CompactTree, leafHash } from './merkle';
import type { VerifierKey } from './note-key';
import { openHead, type SignedHead, type Tree } from './tree-head';

/** The first leaf that is not as it was, counted from 0, and what is wrong with it. */
export interface LogFault {
  index: number;
  what: string;
}

export interface LogVerdict {
  /** Leaves that were there. */
  leaves: number;
  /** The newest head of which every leaf is there, in order, byte for byte. */
  proved: SignedHead | undefined;
  fault: LogFault | undefined;
}

/** Leaves after a bad one that are looked through for what has happened there. */
const WINDOW = 4_096;
const ONE: Record<Tree, string> = { records: 'record', changes: 'commit' };

/** The log as it must be, from a leaf that differs on. */
interface Difference {
  index: number;
  leaf: Uint8Array | undefined;
  before: Uint8Array | undefined;
  actual: string[];
  expected: string[];
  /** Of the hashes that were kept beside the leaves. */
  tree: CompactTree;
  /** Whether those hashes are the log's, as the first head that spans them says; undefined without one. */
  hashesFit?: boolean;
}

/**
 * Compares the leaves of a log, one after the other, with its signed heads and with the leaf hashes that were kept beside
 * them, if there are any. The heads prove; the hashes, themselves proved by a head, tell which leaf it is.
 */
export class LogCheck {
  private readonly tree = new CompactTree();
  private readonly heads: readonly SignedHead[];
  private nextHead = 0;
  private proved: SignedHead | undefined;
  private broken: SignedHead | undefined;
  private difference: Difference | undefined;
  private last: Uint8Array | undefined;

  /** `heads`: of this log's key, in any order. */
  constructor(
    private readonly log: Tree,
    heads: readonly SignedHead[],
  ) {
    this.heads = [...heads].sort((a, b) => a.size - b.size);
    this.compareHeads();
  }

  get leaves(): number {
    return this.tree.size;
  }

  add(leaf: Uint8Array, kept?: Uint8Array): void {
    const hash = leafHash(leaf);
    if (!this.difference && kept && Buffer.compare(hash, kept) !== 0) {
      this.difference = {
        index: this.tree.size,
        leaf: Buffer.from(leaf),
        before: this.last && Buffer.from(this.last),
        actual: [],
        expected: [],
        tree: new CompactTree(this.tree.size, this.tree.hashes),
      };
    }
    if (this.difference) this.follow(this.difference, hash, kept);
    this.tree.append(hash);
    this.last = leaf;
    this.compareHeads();
  }

  /** A kept hash that no leaf stands for any more: the log is shorter than its hashes. */
  addMissing(kept: Uint8Array): void {
    this.difference ??= {
      index: this.tree.size,
      leaf: undefined,
      before: this.last && Buffer.from(this.last),
      actual: [],
      expected: [],
      tree: new CompactTree(this.tree.size, this.tree.hashes),
    };
    this.follow(this.difference, undefined, kept);
  }

  /** `ended`: why there are no more leaves, where that is not simply the end. */
  verdict(ended?: string): LogVerdict {
    const { proved } = this;
    const faults = [this.differenceFault(), this.headFault(), this.endFault(ended)].filter(
      (fault) => fault !== undefined,
    );
    const first = Math.min(...faults.map(({ index }) => index));
    // Of what is said of one place, the difference says most.
    return { leaves: this.tree.size, proved, fault: faults.find(({ index }) => index === first) };
  }

  private follow(difference: Difference, hash: Buffer | undefined, kept: Uint8Array | undefined): void {
    const { actual, expected, tree } = difference;
    if (hash && actual.length < WINDOW) actual.push(hash.toString('base64'));
    if (!kept) return;
    if (expected.length < WINDOW) expected.push(Buffer.from(kept).toString('base64'));
    tree.append(kept);
    if (difference.hashesFit !== undefined) return;
    const head = this.heads.find(({ size }) => size === tree.size);
    if (head) difference.hashesFit = Buffer.compare(tree.root(), head.root) === 0;
  }

  private compareHeads(): void {
    for (let head = this.heads[this.nextHead]; head && head.size <= this.tree.size; head = this.heads[this.nextHead]) {
      this.nextHead++;
      if (this.broken) continue;
      if (Buffer.compare(this.tree.root(), head.root) === 0) this.proved = head;
      else this.broken = head;
    }
  }

  private differenceFault(): LogFault | undefined {
    const { difference, log } = this;
    if (!difference) return undefined;
    const { index, hashesFit, leaf } = difference;
    const provedAnyway = this.proved !== undefined && this.proved.size > index;
    if (provedAnyway) {
      return {
        index,
        what: `the hash that is kept of ${ONE[log]} ${index} was altered; the ${ONE[log]} itself is in order`,
      };
    }
    // Neither is the log's: the heads tell no more than where they last did.
    if (hashesFit === false) return undefined;
    const unsure = hashesFit === undefined ? '; no head covers it yet' : '';
    if (!leaf) return { index, what: `${this.called(difference, true)} is missing, and so is all after it${unsure}` };
    return { index, what: `${this.happened(difference)}${unsure}` };
  }

  /** What happened at the first leaf that differs. */
  private happened(difference: Difference): string {
    const { actual, expected, index } = difference;
    const one = ONE[this.log];
    const standsHere = expected.indexOf(actual[0]!);
    const standsLater = actual.indexOf(expected[0]!);
    if (standsHere > 0) {
      return standsLater > 0
        ? `${this.called(difference, true)} is not in its place, where ${one} ${index + standsHere} stands, but ${standsLater} further on: the order was changed`
        : `${this.called(difference, true)} is missing: in its place stands ${one} ${index + standsHere}`;
    }
    if (standsLater > 0)
      return `${this.called(difference, false)} is none of the log's: it was put before ${one} ${index}`;
    return `${this.called(difference, false)} was altered`;
  }

  private called({ index, leaf, before }: Difference, gone: boolean): string {
    const one = `${ONE[this.log]} ${index}`;
    if (!gone && leaf) return `${one} (${leafName(this.log, leaf)})`;
    return before ? `${one} (the one after ${leafName(this.log, before)})` : one;
  }

  private headFault(): LogFault | undefined {
    const { broken, log } = this;
    if (!broken) return undefined;
    const from = this.proved?.size ?? 0;
    const known = this.difference && this.difference.hashesFit !== false;
    // The leaf that differs from its proved hash is what this head does not fit for.
    if (known) return undefined;
    const where =
      from === broken.size - 1 ? `${ONE[log]} ${from}` : `one or more of the ${log} ${from} to ${broken.size - 1}`;
    return {
      index: from,
      what: `${where} altered, dropped or moved: they are not what the head of ${broken.time} says, nor are the hashes kept of them`,
    };
  }

  private endFault(ended: string | undefined): LogFault | undefined {
    const newest = this.heads.at(-1);
    const index = this.tree.size;
    const why = ended === undefined ? '' : ` (${ended})`;
    if (newest && newest.size > index) {
      const after = this.last ? ` (the one after ${leafName(this.log, this.last)})` : '';
      return {
        index,
        what: `${ONE[this.log]} ${index}${after} is missing, and so is all after it: the head of ${newest.time} has ${newest.size}${why}`,
      };
    }
    return ended === undefined ? undefined : { index, what: `${ONE[this.log]} ${index} cannot be read: ${ended}` };
  }
}

/** How people find it again: the event of a record; subject, version and request of a commit. */
export function leafName(log: Tree, leaf: Uint8Array): string {
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(Buffer.from(leaf).toString('utf8')) as Record<string, unknown>;
  } catch {
    return 'no JSON any more';
  }
  if (log === 'records') return `eventID ${String(value?.['eventID'])}`;
  const { aggregate, id, version, requestId } = value ?? {};
  return `${String(aggregate)} ${String(id)}, version ${String(version)}, request ${String(requestId)}`;
}

/**
 * The heads in these notes that the key has signed, and what is wrong with the first that it has not, or that is not after
 * the one before it.
 */
export function openHeads(
  log: Tree,
  notes: Iterable<Uint8Array>,
  key: VerifierKey,
): { heads: SignedHead[]; fault: string | undefined } {
  const heads: SignedHead[] = [];
  let fault: string | undefined;
  let number = 0;
  for (const note of notes) {
    number++;
    try {
      const head = openHead(note, key);
      const before = heads.at(-1);
      if (before && (head.size <= before.size || head.time < before.time)) {
        fault ??= `head ${number} of ${log} (of ${head.time}, size ${head.size}) is not newer than the one before it (of ${before.time}, size ${before.size})`;
        if (head.size <= before.size) continue;
      }
      heads.push(head);
    } catch (error) {
      fault ??= `head ${number} of ${log}: ${(error as Error).message}`;
    }
  }
  return { heads, fault };
}
