import { closeSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { HASH_LENGTH } from '#audit-log/merkle';
import type { Tree } from '#audit-log/tree-head';

/** Part of an export cannot be read as what it must be. The message names the file. */
export class ExportError extends Error {
  override readonly name = 'ExportError';
}

export const MANIFEST = 'export.json';
export const EXPORT_VERSION = 1;
/** A segment is closed with the message that fills it. */
export const SEGMENT_LEAVES = 65_536;

/** A closed segment: where the next one begins. */
export interface Segment {
  /** Index of its first leaf. */
  first: number;
  leaves: number;
  /** Position in the stream of the message with its last leaf. */
  position: number;
}

export interface Manifest {
  v: typeof EXPORT_VERSION;
  /** Closed segments only: what an export goes on from. */
  segments: Record<Tree, Segment[]>;
}

export const segmentName = (first: number): string => String(first).padStart(12, '0');
export const segmentFile = (folder: string, tree: Tree, first: number, kind: 'jsonl' | 'sealed' | 'hashes'): string =>
  join(folder, tree, `${segmentName(first)}.${kind}`);
export const headsFile = (folder: string, tree: Tree): string => join(folder, 'heads', `${tree}.jsonl`);

/** First leaves of the segments that are there, by their files. */
export function segmentsOf(folder: string, tree: Tree): number[] {
  let names: string[];
  try {
    names = readdirSync(join(folder, tree));
  } catch (error) {
    throw new ExportError(`${join(folder, tree)} cannot be read: ${(error as Error).message}`);
  }
  return names
    .filter((name) => /^\d{12,16}\.jsonl$/.test(name))
    .map((name) => Number(name.slice(0, -'.jsonl'.length)))
    .sort((a, b) => a - b);
}

const NEWLINE = 0x0a;
const CHUNK = 256 * 1_024;

/** The exact bytes of each line. Throws ExportError for a file that is not there, and at the end of one without a newline there. */
export function* linesOf(path: string): Generator<Buffer> {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (error) {
    throw new ExportError(`${path} cannot be read: ${(error as Error).message}`);
  }
  try {
    let rest: Buffer = Buffer.alloc(0);
    for (;;) {
      const chunk = Buffer.alloc(CHUNK);
      const length = readSync(file, chunk, 0, CHUNK, null);
      if (length === 0) break;
      rest = Buffer.concat([rest, chunk.subarray(0, length)]);
      let at = 0;
      for (let end = rest.indexOf(NEWLINE); end >= 0; end = rest.indexOf(NEWLINE, at)) {
        yield rest.subarray(at, end);
        at = end + 1;
      }
      rest = rest.subarray(at);
    }
    if (rest.length === 0) return;
    yield rest;
    throw new ExportError(`${path} does not end in a newline: it was cut short or altered`);
  } finally {
    closeSync(file);
  }
}

/** The hashes in a file; none where there is no such file. */
export function hashesIn(path: string): Buffer[] {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch {
    return [];
  }
  const hashes: Buffer[] = [];
  for (let at = 0; at + HASH_LENGTH <= bytes.length; at += HASH_LENGTH)
    hashes.push(bytes.subarray(at, at + HASH_LENGTH));
  return hashes;
}

/** The leaf hashes in an export, by index. Throws ExportError where the folder is none. */
export function exportedHashes(folder: string, tree: Tree): (index: number) => Buffer | undefined {
  const firsts = segmentsOf(folder, tree);
  let first = -1;
  let hashes: Buffer[] = [];
  return (index) => {
    const wanted = firsts.findLast((one) => one <= index);
    if (wanted === undefined) return undefined;
    if (wanted !== first) {
      first = wanted;
      hashes = hashesIn(segmentFile(folder, tree, first, 'hashes'));
    }
    return hashes[index - first];
  };
}
