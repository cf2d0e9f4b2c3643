import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeBase64 } from '#audit-log/base64';
import { keepsCommitment } from '#audit-log/batch';
import { LogCheck, type LogFault, type LogVerdict, leafName, openHeads } from '#audit-log/log-check';
import { MalformedError } from '#audit-log/proof-errors';
import { encodeHead, type SignedHead, TREES, type Tree, treeKey, treePublicKey } from '#audit-log/tree-head';
import { CheckpointError, keptHead } from '#platform/tree-heads/checkpoint-folder';
import { ExportError, exportedHashes, hashesIn, headsFile, linesOf, segmentFile, segmentsOf } from './export-folder';
import { CommandError } from './operator';
import { assertCosigned, type WitnessOptions, witnessPolicy } from './witnesses';

export interface VerifyExportOptions {
  export: string;
  key: string;
  /** A folder with heads that are known from elsewhere. */
  checkpoints?: string;
  /** Another export of the same log, whose leaf hashes go before its own. */
  hashes?: string;
}

/** The newest heads as they were published, with the cosignatures of witnesses. */
const publishedIn = (folder: string): string => join(folder, 'heads');

/** Checks an export with nothing but its files and the public key. Throws CommandError naming the first that does not fit. */
export function verifyExport(options: VerifyExportOptions & WitnessOptions, print: (line: string) => void): void {
  const publicKey = readPublicKey(options.key);
  const faults: string[] = [];
  for (const tree of TREES) {
    const { heads, fault } = openHeads(tree, notesIn(options.export, tree), treeKey(publicKey, tree));
    const folders = [publishedIn(options.export), ...(options.checkpoints === undefined ? [] : [options.checkpoints])];
    const published = folders.flatMap((folder) => publishedHead(folder, tree, publicKey, faults) ?? []);
    const verdict = checkTree(options, tree, published.reduce(withOutside, heads), print);
    for (const line of provedLines(tree, verdict)) print(line);
    if (verdict.fault) faults.push(verdict.fault.what);
    faults.push(...witnessFaults(tree, published, options, print));
    if (fault) faults.push(fault);
    if (!fault && heads.length === 0 && verdict.leaves > 0)
      faults.push(`there is no head of ${tree}: nothing is proved`);
  }
  if (faults.length > 0) throw new CommandError(faults.join('\n'));
}

/** One that is not of this log is a fault. */
function publishedHead(folder: string, tree: Tree, publicKey: Buffer, faults: string[]): SignedHead | undefined {
  try {
    return keptHead(folder, tree, publicKey);
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    faults.push(error.message);
    return undefined;
  }
}

/** Of the published heads the newest must have been signed by the witnesses that are asked for. */
function witnessFaults(
  tree: Tree,
  published: readonly SignedHead[],
  options: WitnessOptions,
  print: (line: string) => void,
): string[] {
  if (witnessPolicy(options).witnesses.length === 0) return [];
  const newest = published.reduce<SignedHead | undefined>((a, b) => (a && a.size >= b.size ? a : b), undefined);
  if (!newest) return [`${tree}: there is no published head that a witness could have signed`];
  try {
    assertCosigned(newest.note, options, (line) => print(`${tree}: ${line}, of size ${newest.size}`));
    return [];
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    return [`${tree}: ${error.message}`];
  }
}

/** The verifier key itself, or a file that holds it. */
export function readPublicKey(key: string): Buffer {
  try {
    return treePublicKey(key.includes('+') ? key : readFileSync(key, 'utf8'));
  } catch (error) {
    if (error instanceof MalformedError) throw new CommandError(`--key: ${error.message}`);
    throw new CommandError(`--key: ${key} is no verifier key, nor a file that can be read`);
  }
}

/** Adds a head that is known from elsewhere, unless it is there already, with other cosignatures perhaps. */
export const withOutside = (heads: readonly SignedHead[], outside: SignedHead): SignedHead[] =>
  heads.some((head) => encodeHead('one', head) === encodeHead('one', outside)) ? [...heads] : [...heads, outside];

/** Which part of a log is proved, in words. */
export function provedLines(tree: Tree, { leaves, proved, fault }: LogVerdict): string[] {
  const lines = proved
    ? [`${tree}: the first ${proved.size} of ${leaves} are proved by the head of ${proved.time}`]
    : [`${tree}: of ${leaves} none is proved`];
  const after = leaves - (proved?.size ?? 0);
  if (!fault && proved && after > 0)
    lines.push(`${tree}: ${after} came after the newest head, and nothing proves them yet`);
  return lines;
}

function notesIn(folder: string, tree: Tree): Buffer[] {
  return [...linesOf(headsFile(folder, tree))].map((line) => {
    try {
      return Buffer.from(String(JSON.parse(line.toString('utf8'))), 'utf8');
    } catch {
      // Reported as a head that is none.
      return Buffer.alloc(0);
    }
  });
}

function checkTree(
  { export: folder, hashes }: VerifyExportOptions,
  tree: Tree,
  heads: readonly SignedHead[],
  print: (line: string) => void,
): LogVerdict {
  const check = new LogCheck(tree, heads);
  const sealed = new SealedCheck();
  const kept = hashes === undefined ? () => undefined : hashesOf(hashes, tree);
  let ended: string | undefined;
  try {
    for (const first of segmentsOf(folder, tree)) {
      if (first !== check.leaves)
        throw new ExportError(`${segmentFile(folder, tree, first, 'jsonl')} follows ${check.leaves} ${tree}`);
      checkSegment(folder, tree, first, check, sealed, kept);
    }
  } catch (error) {
    if (!(error instanceof ExportError)) throw error;
    ended = error.message;
  }
  const verdict = check.verdict(ended);
  if (sealed.left > 0)
    print(`${tree}: of ${sealed.left} the sealed part is not there: its key was erased, or it was left out`);
  const fault = earlier(verdict.fault, sealed.fault);
  return { ...verdict, fault };
}

/** The leaf hashes of another export. Throws CommandError where there is none. */
export function hashesOf(folder: string, tree: Tree): (index: number) => Buffer | undefined {
  try {
    return exportedHashes(folder, tree);
  } catch (error) {
    if (!(error instanceof ExportError)) throw error;
    throw new CommandError(`--hashes: ${error.message}`);
  }
}

function checkSegment(
  folder: string,
  tree: Tree,
  first: number,
  check: LogCheck,
  sealed: SealedCheck,
  kept: (index: number) => Buffer | undefined,
): void {
  const hashes = hashesIn(segmentFile(folder, tree, first, 'hashes')).map((own, at) => kept(first + at) ?? own);
  const parts = tree === 'records' ? linesOf(segmentFile(folder, tree, first, 'sealed')) : undefined;
  let cut: ExportError | undefined;
  try {
    for (const leaf of linesOf(segmentFile(folder, tree, first, 'jsonl'))) {
      const index = check.leaves;
      check.add(leaf, hashes[index - first] ?? kept(index));
      if (parts) sealed.add(index, leaf, parts);
    }
  } catch (error) {
    if (!(error instanceof ExportError)) throw error;
    cut = error;
  }
  // Hashes of what is not there any more tell which it was.
  for (const hash of hashes.slice(check.leaves - first)) check.addMissing(hash);
  if (cut) throw cut;
  if (parts && !parts.next().done) sealed.surplus(check.leaves);
}

/** Whether the sealed parts are those that the records commit to. */
class SealedCheck {
  fault: LogFault | undefined;
  left = 0;

  add(index: number, leaf: Buffer, parts: Generator<Buffer>): void {
    const next = this.next(parts);
    if (!next) {
      this.found(index, `the sealed part of record ${index} (${leafName('records', leaf)}) is missing`);
      return;
    }
    if (next.length === 0) {
      this.left++;
      return;
    }
    const text = next.toString('utf8');
    const salt = text.slice(0, SALT_TEXT);
    if (decodeBase64(salt) && Buffer.from(text, 'utf8').equals(next) && this.fits(leaf, salt, text.slice(SALT_TEXT)))
      return;
    this.found(
      index,
      `the sealed part of record ${index} (${leafName('records', leaf)}) was altered: it is not the one that the record commits to`,
    );
  }

  surplus(index: number): void {
    this.found(index, `there are sealed parts after that of record ${index - 1}`);
  }

  private next(parts: Generator<Buffer>): Buffer | undefined {
    try {
      const { value, done } = parts.next();
      return done ? undefined : value;
    } catch (error) {
      if (error instanceof ExportError) return undefined;
      throw error;
    }
  }

  private fits(leaf: Buffer, salt: string, text: string): boolean {
    try {
      return keepsCommitment({ open: leaf.toString('utf8'), sealed: { salt, text } });
    } catch {
      return false;
    }
  }

  private found(index: number, what: string): void {
    this.fault ??= { index, what };
  }
}

const SALT_TEXT = 24;

/** Of two at one place, the first. */
const earlier = (a: LogFault | undefined, b: LogFault | undefined): LogFault | undefined =>
  a && b ? (b.index < a.index ? b : a) : (a ?? b);
