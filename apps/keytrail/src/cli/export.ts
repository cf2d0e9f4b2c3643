import type { KeyObject } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { LRUCache } from 'lru-cache';
import { AuditFormatError, decodeBatch, unsealBatch } from '#audit-log/batch';
import { leafHash } from '#audit-log/merkle';
import { TREES, type Tree } from '#audit-log/tree-head';
import { AUDIT_STREAM, EVENTS_STREAM } from '#domain/subjects';
import type { StoredCommit } from '#event-store/event-store';
import { JetStreamEventStore } from '#event-store/jetstream-event-store';
import { RemoteSealingKeys, type SealedScope, type SealingKeys } from '#platform/recording/sealing-keys';
import type { Settings } from '#platform/settings';
import { checkpointFile, keptHead, keyFile, verifierKeys } from '#platform/tree-heads/checkpoint-folder';
import { replaceDurably } from '#platform/tree-heads/durable-file';
import { leavesIn } from '#platform/tree-heads/log-leaves';
import { EXPORT_VERSION, headsFile, MANIFEST, type Manifest, SEGMENT_LEAVES, segmentFile } from './export-folder';
import { progressBar } from './log-reader';
import { CommandError, type Operator } from './operator';
import { publicKeyOf, storedNotes } from './stored-trees';

export interface ExportOptions {
  to: string;
  withoutSealed?: boolean;
  /** Leaves with which a segment is closed. */
  segmentLeaves?: number;
}

/**
 * Writes both logs, their leaf hashes, heads and public key into a folder: see docs/audit.md. Goes on where it was broken
 * off, and where a former export ended.
 */
export async function exportLogs(
  operator: Operator,
  settings: Settings,
  { to, withoutSealed, segmentLeaves = SEGMENT_LEAVES }: ExportOptions,
  print: (line: string) => void,
): Promise<void> {
  if (!operator.services && !withoutSealed) {
    throw new CommandError(
      'only a running Keytrail can unseal what records keep of requests: start it, or export --without-sealed',
    );
  }
  const key = await publicKeyOf(operator, settings);
  if (!key) throw new CommandError('there are no tree heads yet: start Keytrail, and let it answer a call');
  const manifest = openFolder(to, verifierKeys(key));
  const keys = withoutSealed ? undefined : new KnownKeys(new RemoteSealingKeys(operator.nats));
  for (const tree of TREES) {
    // Before the heads and leaves, which are then at least as many as it has. It alone may have cosignatures.
    const published = keptHead(settings.checkpointDir, tree, key);
    if (published) replaceDurably(checkpointFile(join(to, 'heads'), tree), published.note);
    // Before the leaves, for the same reason.
    const notes: Buffer[] = [];
    for await (const note of storedNotes(operator.nats, tree)) notes.push(note);
    const lines = notes.map((note) => `${JSON.stringify(note.toString('utf8'))}\n`).join('');
    replaceDurably(headsFile(to, tree), Buffer.from(lines, 'utf8'));
    const leaves = await exportTree({ operator, folder: to, tree, manifest, keys, segmentLeaves, print });
    print(`${tree}: ${leaves}, and ${notes.length} heads`);
  }
  if (keys && keys.erased > 0) print(`of ${keys.erased} sealed parts the key is erased: they are left out`);
  if (withoutSealed) print('what is sealed was left out');
}

/** Throws CommandError for a folder that holds something else. */
function openFolder(folder: string, key: string): Manifest {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, MANIFEST);
  if (!existsSync(path)) {
    if (readdirSync(folder).length > 0) throw new CommandError(`${folder} is neither empty nor an export`);
    const manifest: Manifest = { v: EXPORT_VERSION, segments: { records: [], changes: [] } };
    // First, so that an export that is broken off here is known for one.
    writeManifest(folder, manifest);
    replaceDurably(keyFile(folder), Buffer.from(key, 'utf8'));
    return manifest;
  }
  const manifest = readManifest(path);
  if (!existsSync(keyFile(folder))) replaceDurably(keyFile(folder), Buffer.from(key, 'utf8'));
  if (readFileSync(keyFile(folder), 'utf8') !== key) throw new CommandError(`${folder} is an export of another log`);
  return manifest;
}

function readManifest(path: string): Manifest {
  try {
    const manifest = JSON.parse(readFileSync(path, 'utf8')) as Manifest;
    if (manifest.v === EXPORT_VERSION && TREES.every((tree) => Array.isArray(manifest.segments[tree]))) return manifest;
  } catch {
    // Told below.
  }
  throw new CommandError(`${path} is not that of an export: export to another folder`);
}

const writeManifest = (folder: string, manifest: Manifest): void =>
  replaceDurably(join(folder, MANIFEST), Buffer.from(`${JSON.stringify(manifest, null, 1)}\n`, 'utf8'));

interface TreeExport {
  operator: Operator;
  folder: string;
  tree: Tree;
  manifest: Manifest;
  keys: KnownKeys | undefined;
  segmentLeaves: number;
  print(line: string): void;
}

/** How many leaves there are then. */
async function exportTree(run: TreeExport): Promise<number> {
  const { operator, folder, tree, manifest, keys, segmentLeaves, print } = run;
  const store = new JetStreamEventStore(operator.nats, { stream: tree === 'changes' ? EVENTS_STREAM : AUDIT_STREAM });
  const closed = manifest.segments[tree];
  const before = closed.at(-1);
  const total = await store.lastPosition();
  const bar = progressBar(total, `positions of ${tree}`);
  bar?.start(total, before?.position ?? 0);
  let segment = new OpenSegment(folder, tree, before ? before.first + before.leaves : 0);
  try {
    for await (const message of store.read((before?.position ?? 0) + 1)) {
      const leaves = leavesIn(tree, message);
      segment.add(leaves, tree === 'records' ? await sealedOf(message, leaves.length, keys, print) : undefined);
      if (message.seq % 1_000 === 0) bar?.update(message.seq);
      if (segment.leaves < segmentLeaves) continue;
      segment.close();
      closed.push({ first: segment.first, leaves: segment.leaves, position: message.seq });
      // A crash before this has the segment written again.
      writeManifest(folder, manifest);
      segment = new OpenSegment(folder, tree, segment.first + segment.leaves);
    }
    segment.close();
    bar?.update(total);
  } finally {
    bar?.stop();
  }
  return segment.first + segment.leaves;
}

/** A line for each record: salt and text, or nothing where the key is erased. */
async function sealedOf(
  { bytes, seq }: StoredCommit,
  records: number,
  keys: KnownKeys | undefined,
  print: (line: string) => void,
): Promise<string[]> {
  if (!keys) return new Array<string>(records).fill('');
  try {
    const batch = decodeBatch(bytes);
    const known = new Map<string, KeyObject | undefined>();
    for (const { account, month, generation = 1 } of batch.parts) {
      known.set(`${account} ${month}`, await keys.of({ account, month, generation, writer: batch.head.writer }));
    }
    const stored = unsealBatch(batch, ({ account, month }) => known.get(`${account} ${month}`));
    keys.erased += stored.filter(({ sealed }) => !sealed).length;
    return stored.map(({ sealed }) => (sealed ? sealed.salt + sealed.text : ''));
  } catch (error) {
    if (!(error instanceof AuditFormatError)) throw error;
    print(`position ${seq} of ${AUDIT_STREAM}: ${error.message}; what is sealed there is left out`);
    return new Array<string>(records).fill('');
  }
}

class KnownKeys {
  erased = 0;
  private readonly known = new LRUCache<string, { key: KeyObject | undefined }>({ max: 5_000 });

  constructor(private readonly source: Pick<SealingKeys, 'toUnseal'>) {}

  async of(scope: SealedScope): Promise<KeyObject | undefined> {
    const name = `${scope.account} ${scope.month} ${scope.generation} ${scope.writer}`;
    let found = this.known.get(name);
    if (!found) {
      found = { key: await this.source.toUnseal(scope) };
      this.known.set(name, found);
    }
    return found.key;
  }
}

const NEWLINE = 0x0a;
const FLUSH_BYTES = 4 * 1_024 * 1_024;

/** The files of a segment, which take their names once they are whole and on disk. */
class OpenSegment {
  leaves = 0;
  private readonly files: AppendedFile[];

  constructor(
    folder: string,
    tree: Tree,
    readonly first: number,
  ) {
    const kinds = tree === 'records' ? (['jsonl', 'hashes', 'sealed'] as const) : (['jsonl', 'hashes'] as const);
    this.files = kinds.map((kind) => new AppendedFile(segmentFile(folder, tree, first, kind)));
  }

  add(leaves: readonly Uint8Array[], sealed: readonly string[] | undefined): void {
    const [lines, hashes, parts] = this.files;
    for (const leaf of leaves) {
      if (leaf.includes(NEWLINE)) throw new CommandError(`leaf ${this.first + this.leaves} has a newline in it`);
      lines!.append(leaf);
      lines!.append(Buffer.of(NEWLINE));
      hashes!.append(leafHash(leaf));
      this.leaves++;
    }
    for (const part of sealed ?? []) parts!.append(Buffer.from(`${part}\n`, 'utf8'));
  }

  close(): void {
    // The one that names the segment comes last.
    for (const file of [...this.files].reverse()) file.close();
  }
}

class AppendedFile {
  private readonly file: number;
  private waiting: Uint8Array[] = [];
  private bytes = 0;

  constructor(private readonly path: string) {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    this.file = openSync(`${path}.tmp`, 'w', 0o600);
  }

  append(bytes: Uint8Array): void {
    this.waiting.push(bytes);
    this.bytes += bytes.length;
    if (this.bytes > FLUSH_BYTES) this.flush();
  }

  close(): void {
    this.flush();
    fsyncSync(this.file);
    closeSync(this.file);
    renameSync(`${this.path}.tmp`, this.path);
  }

  private flush(): void {
    const bytes = Buffer.concat(this.waiting);
    for (let at = 0; at < bytes.length; ) at += writeSync(this.file, bytes, at);
    this.waiting = [];
    this.bytes = 0;
  }
}
