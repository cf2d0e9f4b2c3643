import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateAliasCommand, CreateKeyCommand, EncryptCommand } from '@aws-sdk/client-kms';
import fc from 'fast-check';
import { leafHash } from '#audit-log/merkle';
import { encodeNote, signNote } from '#audit-log/note';
import { encodeVerifierKey, signerKey, signWith } from '#audit-log/note-key';
import { encodeHead, openHead, parseHead, treeKey, treeOrigin, treePublicKey } from '#audit-log/tree-head';
import { parseSettings } from '#platform/settings';
import { keptHead, keptKey, keyFile } from '#platform/tree-heads/checkpoint-folder';
import { type ExportOptions, exportLogs } from '../apps/keytrail/src/cli/export';
import type { Manifest } from '../apps/keytrail/src/cli/export-folder';
import { openOperator } from '../apps/keytrail/src/cli/operator';
import { verifyExport } from '../apps/keytrail/src/cli/verify-export';
import { findNatsServer, until } from './support/nats-server';
import { MAIN, run, startProcess } from './support/processes';

const ROUNDS = 3;
const ENCRYPTIONS = 5;
const SETTINGS = { KEYTRAIL_TREE_HEAD_SECONDS: '1' };

let root: string;
let dataDir: string;
let whole: string;
let folder: string;
let key: string;
/** Sizes of the heads of records, and times. */
let heads: { size: number; time: string }[];

const checkpoints = (): string => join(dataDir, 'checkpoints');
const headOf = (tree: 'records' | 'changes') => {
  const publicKey = keptKey(checkpoints());
  return publicKey && keptHead(checkpoints(), tree, publicKey);
};
const keytrail = (...args: string[]) =>
  run([MAIN, ...args], { KEYTRAIL_DATA_DIR: dataDir, NATS_SERVER: findNatsServer() }).done;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'keytrail-tamper-'));
  dataDir = join(root, 'data');
  whole = join(root, 'whole');
  let server = await startProcess(dataDir, SETTINGS);
  for (let round = 1; round <= ROUNDS; round++) {
    const { KeyMetadata } = await server.kms.send(new CreateKeyCommand({}));
    const KeyId = KeyMetadata!.KeyId!;
    await server.kms.send(new CreateAliasCommand({ AliasName: `alias/round-${round}`, TargetKeyId: KeyId }));
    for (let i = 0; i < ENCRYPTIONS; i++) {
      await server.kms.send(
        new EncryptCommand({ KeyId, Plaintext: Buffer.from('a'), EncryptionContext: { nth: `context ${i}` } }),
      );
    }
    const grown = (): boolean =>
      headOf('records')?.size === round * (2 + ENCRYPTIONS) && headOf('changes')?.size === round * 2;
    await until(async () => grown(), 'no head came that covers all calls');
    if (round > 1) continue;
    await server.stop();
    cpSync(dataDir, join(root, 'first'), { recursive: true });
    server = await startProcess(dataDir, SETTINGS);
  }
  // Not by the command, which would be on record itself, after all that the heads cover.
  expect(await exported(whole)).toContainEqual(expect.stringContaining(`records: ${ROUNDS * (2 + ENCRYPTIONS)},`));
  await server.stop();
  key = keyFile(checkpoints());
  const publicKey = treePublicKey(readFileSync(key, 'utf8'));
  heads = notes('records', whole).map((note) => openHead(Buffer.from(note), treeKey(publicKey, 'records')));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** What it printed. */
async function exported(to: string, options: Partial<ExportOptions> = {}): Promise<string[]> {
  const settings = parseSettings({ KEYTRAIL_DATA_DIR: dataDir, NATS_SERVER: findNatsServer() });
  const said: string[] = [];
  const operator = await openOperator(settings, true);
  try {
    await exportLogs(operator, settings, { to, ...options }, (line) => said.push(line));
  } finally {
    await operator.close();
  }
  return said;
}

let copies = 0;
beforeEach(() => {
  folder = join(root, `copy-${copies++}`);
  cpSync(whole, folder, { recursive: true });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const file = (tree: string, kind: string): string => join(folder, tree, `000000000000.${kind}`);
const lines = (path: string): string[] => readFileSync(path, 'utf8').split('\n').slice(0, -1);
const write = (path: string, changed: readonly string[]): void =>
  writeFileSync(path, changed.map((line) => `${line}\n`).join(''));
const edit = (tree: string, change: (leaves: string[]) => string[]): void =>
  write(file(tree, 'jsonl'), change(lines(file(tree, 'jsonl'))));
/** Makes the leaf hashes those of the changed leaves, as one who knows the layout would. */
const rehash = (tree: string): void =>
  writeFileSync(
    file(tree, 'hashes'),
    Buffer.concat(lines(file(tree, 'jsonl')).map((line) => leafHash(Buffer.from(line)))),
  );
const notes = (tree: string, of = folder): string[] =>
  lines(join(of, 'heads', `${tree}.jsonl`)).map((line) => JSON.parse(line) as string);
const writeNotes = (tree: string, changed: readonly string[]): void =>
  write(
    join(folder, 'heads', `${tree}.jsonl`),
    changed.map((note) => JSON.stringify(note)),
  );
const eventId = (line: string): string => (JSON.parse(line) as { eventID: string }).eventID;
const dropAt = <T>(index: number, all: T[]): T[] => all.filter((_, at) => at !== index);

/** What verify says: what it printed, and what it complained of. */
function verified(options: { checkpoints?: string; hashes?: string } = {}): { said: string; fault: string } {
  const said: string[] = [];
  try {
    verifyExport({ export: folder, key, ...options }, (line) => said.push(line));
    return { said: said.join('\n'), fault: '' };
  } catch (error) {
    return { said: said.join('\n'), fault: (error as Error).message };
  }
}

const provedBefore = (index: number): string => {
  const head = heads.filter(({ size }) => size <= index).at(-1);
  return head ? `are proved by the head of ${head.time}` : 'none is proved';
};

describe('an export', () => {
  test('as it was made is proved to its end, by the command too', async () => {
    const { code, output } = await keytrail('verify', '--export', folder, '--key', key);
    expect({ code, output }).toEqual({
      code: 0,
      output: expect.stringContaining('records: the first 21 of 21 are proved'),
    });
    expect(verified({ checkpoints: checkpoints() }).fault).toBe('');
    expect(heads.length).toBeGreaterThanOrEqual(ROUNDS);
  });

  test('is checked by the verifier key itself, and refused by another', () => {
    key = lines(keyFile(checkpoints()))[1]!;
    expect(verified().fault).toBe('');
    const other = signerKey('x', Buffer.alloc(32, 7));
    key = encodeVerifierKey(treeKey(other.publicKey, 'records'));
    expect(verified().fault).toContain('head 1 of records: the note is not signed by keytrail/');
    key = keyFile(checkpoints());
  });

  test.each([[0], [8], [20]])('names a record that was edited: %i', (index) => {
    const id = eventId(lines(file('records', 'jsonl'))[index]!);
    edit('records', (all) =>
      all.map((line, at) => (at === index ? line.replace('kms.amazonaws.com', 'kms.amazonaws.net') : line)),
    );
    const { said, fault } = verified();
    expect(fault).toBe(`record ${index} (eventID ${id}) was altered`);
    expect(said).toContain(provedBefore(index));
  });

  test.each([[0], [9], [19]])('names a record that was dropped: %i', (index) => {
    edit('records', (all) => dropAt(index, all));
    const { said, fault } = verified();
    expect(fault).toMatch(
      new RegExp(
        `^record ${index}( \\(the one after eventID .*\\))? is missing: in its place stands record ${index + 1}$`,
      ),
    );
    expect(said).toContain(provedBefore(index));
  });

  test('names the first of two records that changed places', () => {
    edit('records', (all) => [...all.slice(0, 10), all[12]!, all[11]!, all[10]!, ...all.slice(13)]);
    expect(verified().fault).toMatch(
      /^record 10 .* is not in its place, where record 12 stands, but 2 further on: the order was changed$/,
    );
  });

  test('names a record that was put in', () => {
    edit('records', (all) => [...all.slice(0, 10), all[10]!.replace('Encrypt', 'Decrypt'), ...all.slice(10)]);
    expect(verified().fault).toMatch(/^record 10 \(eventID .*\) is none of the log's: it was put before record 10$/);
  });

  test.each([['records'], ['changes']])('says where %s that were cut off begin, hashes too', (tree) => {
    edit(tree, (all) => all.slice(0, 3));
    expect(verified().fault).toMatch(/^(record|commit) 3 \(the one after .*\) is missing, and so is all after it/);
    rehash(tree);
    expect(verified().fault).toMatch(
      /^(record|commit) 3 \(the one after .*\) is missing, and so is all after it: the head of .* has \d+$/,
    );
  });

  test.each([['edited'], ['dropped']])('names a commit that was %s', (how) => {
    edit('changes', (all) =>
      how === 'dropped'
        ? dropAt(2, all)
        : all.map((line, at) => (at === 2 ? line.replace('KeyCreated', 'KeyCreatex') : line)),
    );
    const { said, fault } = verified();
    expect(fault).toMatch(
      how === 'dropped'
        ? /^commit 2 .* is missing: in its place stands commit 3$/
        : /^commit 2 \(key .*, version 1, request .*\) was altered$/,
    );
    expect(said).toContain('changes: the first 2 of');
  });

  test('with records and their hashes changed alike says between which heads', () => {
    edit('records', (all) =>
      all.map((line, at) => (at === 8 ? line.replace('kms.amazonaws.com', 'kms.amazonaws.net') : line)),
    );
    rehash('records');
    const { said, fault } = verified();
    const after = heads.find(({ size }) => size > 8)!;
    const before = heads.filter(({ size }) => size <= 8).at(-1)!;
    expect(fault).toContain(`of the records ${before.size} to ${after.size - 1} altered, dropped or moved`);
    expect(fault).toContain(`the head of ${after.time}`);
    expect(said).toContain(`records: the first ${before.size} of 21 are proved by the head of ${before.time}`);
    // Leaf hashes that were kept elsewhere tell which it is; those of the changed leaves do not.
    const id = eventId(lines(file('records', 'jsonl'))[8]!);
    expect(verified({ hashes: whole }).fault).toBe(`record 8 (eventID ${id}) was altered`);
    expect(verified({ hashes: folder }).fault).toBe(fault);
    expect(() => verifyExport({ export: folder, key, hashes: root }, () => {})).toThrow('--hashes: ');
  });

  test('of which only a leaf hash was changed says so', () => {
    const bytes = readFileSync(file('records', 'hashes'));
    bytes[32 * 4]! ^= 1;
    writeFileSync(file('records', 'hashes'), bytes);
    expect(verified().fault).toBe('the hash that is kept of record 4 was altered; the record itself is in order');
  });

  test('names the record of which the sealed part was edited', () => {
    const id = eventId(lines(file('records', 'jsonl'))[5]!);
    const sealed = lines(file('records', 'sealed'));
    write(
      file('records', 'sealed'),
      sealed.map((line, at) => (at === 5 ? line.replace('context', 'contexT') : line)),
    );
    expect(verified().fault).toBe(
      `the sealed part of record 5 (eventID ${id}) was altered: it is not the one that the record commits to`,
    );
  });

  test('in which the newest head was replaced by an older one says so', () => {
    const all = notes('records');
    writeNotes('records', [...all.slice(0, -1), all[0]!]);
    expect(verified().fault).toMatch(/^head \d+ of records \(of .*, size \d+\) is not newer than the one before it/);
  });

  test('that was cut back to an older head is found by a head that is known from elsewhere', () => {
    const cut = heads[0]!.size;
    edit('records', (all) => all.slice(0, cut));
    write(file('records', 'sealed'), lines(file('records', 'sealed')).slice(0, cut));
    rehash('records');
    writeNotes('records', notes('records').slice(0, 1));
    expect(verified().fault).toContain(`record ${cut} (`);
    rmSync(join(folder, 'heads', 'records.checkpoint'));
    expect(verified().fault).toBe('');
    const { said, fault } = verified({ checkpoints: checkpoints() });
    expect(fault).toMatch(
      new RegExp(`^record ${cut} .* is missing, and so is all after it: the head of ${heads.at(-1)!.time} has 21$`),
    );
    expect(said).toContain(`records: the first ${cut} of ${cut} are proved by the head of ${heads[0]!.time}`);
  });

  test('with heads of another key, over an altered log, proves nothing', async () => {
    const other = signerKey('x', Buffer.alloc(32, 7));
    const forger = signerKey(treeOrigin(other.publicKey, 'records'), Buffer.alloc(32, 7));
    const forged: string[] = [];
    for (const note of notes('records')) {
      const text = encodeHead(forger.name, parseHead(note.slice(0, note.indexOf('\n\n') + 1)));
      const signature = await signNote(text, forger, (message) => signWith(forger, message));
      forged.push(encodeNote({ text, signatures: [signature] }).toString('utf8'));
    }
    writeNotes('records', forged);
    writeFileSync(join(folder, 'heads', 'records.checkpoint'), forged.at(-1)!);
    const { said, fault } = verified();
    expect(fault).toContain('head 1 of records: the note is not signed by keytrail/');
    expect(fault).toContain('records.checkpoint is no head of this log');
    expect(said).toContain('records: of 21 none is proved');
  });

  test('of which any single byte of a record, a commit or a sealed part was changed is found', () => {
    const files = ['records/000000000000.jsonl', 'records/000000000000.sealed', 'changes/000000000000.jsonl'];
    fc.assert(
      fc.property(fc.constantFrom(...files), fc.nat(), fc.integer({ min: 1, max: 255 }), (name, at, mask) => {
        const path = join(folder, name);
        const bytes = readFileSync(path);
        const changed = Buffer.from(bytes);
        changed[at % bytes.length]! ^= mask;
        writeFileSync(path, changed);
        const { fault } = verified();
        writeFileSync(path, bytes);
        expect(fault).not.toBe('');
      }),
      { numRuns: 300 },
    );
  });
});

test('an export is gone on with, and is the same as one made at once', async () => {
  const again = join(root, 'again');
  const { code } = await keytrail('export', '--to', again, '--without-sealed');
  expect(code).toBe(0);
  expect((await keytrail('export', '--to', again, '--without-sealed')).code).toBe(0);
  expect(readFileSync(join(again, 'changes/000000000000.jsonl'))).toEqual(
    readFileSync(join(whole, 'changes/000000000000.jsonl')),
  );
  expect(readdirSync(join(again, 'records')).sort()).toEqual(readdirSync(join(whole, 'records')).sort());
  const elsewhere = await keytrail('export', '--to', dataDir, '--without-sealed');
  expect(elsewhere).toEqual({ code: 1, output: expect.stringContaining('is neither empty nor an export') });
});

describe('an export in several segments', () => {
  const segments = (tree: string): string[] =>
    readdirSync(join(folder, tree)).filter((name) => name.endsWith('.jsonl'));
  const joined = (tree: string): Buffer =>
    Buffer.concat(segments(tree).map((name) => readFileSync(join(folder, tree, name))));

  const inSegments = (): Promise<string[]> => exported(folder, { withoutSealed: true, segmentLeaves: 4 });

  beforeEach(async () => {
    rmSync(folder, { recursive: true });
    await inSegments();
  });

  test('holds the same, and is gone on with where it was broken off', async () => {
    const wholeRecords = readFileSync(join(whole, 'records/000000000000.jsonl'));
    expect(segments('records').length).toBeGreaterThan(3);
    expect(joined('records')).toEqual(wholeRecords);
    expect(verified().fault).toBe('');
    // As a crash leaves it: the second segment is written, but not yet in the manifest.
    const manifest = JSON.parse(readFileSync(join(folder, 'export.json'), 'utf8')) as Manifest;
    for (const tree of ['records', 'changes'] as const) manifest.segments[tree] = manifest.segments[tree].slice(0, 1);
    writeFileSync(join(folder, 'export.json'), JSON.stringify(manifest));
    for (const name of segments('records').slice(2)) rmSync(join(folder, 'records', name));
    await inSegments();
    expect(joined('records')).toEqual(wholeRecords);
    expect(verified().fault).toBe('');
  });

  test('of which one is missing says where, and what was proved before', () => {
    const [, second] = segments('records');
    rmSync(join(folder, 'records', second!));
    const { said, fault } = verified();
    const first = Number(second!.slice(0, 12));
    expect(fault).toMatch(new RegExp(`^record ${first} \\(the one after .*\\) is missing, and so is all after it`));
    expect(said).toContain(provedBefore(first));
  });

  test('names a record that was dropped from a later one', () => {
    const third = join(folder, 'records', segments('records')[2]!);
    const index = Number(segments('records')[2]!.slice(0, 12));
    write(third, dropAt(1, lines(third)));
    expect(verified().fault).toMatch(
      new RegExp(`^record ${index + 1} .* is missing: in its place stands record ${index + 2}`),
    );
  });
});

test('one record is proved by a file and the key, and another text is not', async () => {
  const line = lines(file('records', 'jsonl'))[4]!;
  const proof = join(root, 'proof');
  expect(await keytrail('prove', '--event', eventId(line), '--to', proof)).toEqual({
    code: 0,
    output: expect.stringContaining('record 4 of '),
  });
  const fits = await keytrail('verify', '--proof', proof, '--key', key);
  expect(fits).toEqual({
    code: 0,
    output: expect.stringContaining(`(eventID ${eventId(line)}) is on record, under the head of`),
  });
  const text = readFileSync(proof, 'utf8');
  const other = Buffer.from(line.replace('Encrypt', 'Decrypt')).toString('base64');
  writeFileSync(proof, text.replace(/^extra .*$/m, `extra ${other}`));
  const not = await keytrail('verify', '--proof', proof, '--key', key);
  expect(not).toEqual({ code: 1, output: expect.stringContaining('leads to another root than that of the tree') });
});

describe("in the server's own files", () => {
  const flip = (path: string, at: number): void => {
    const bytes = readFileSync(path);
    bytes[at]! ^= 1;
    writeFileSync(path, bytes);
  };
  const blocks = (stream: string): string => join(dataDir, `nats/store/jetstream/$G/streams/${stream}/msgs/1.blk`);
  let kept: string;
  beforeEach(() => {
    kept = dataDir;
    dataDir = join(root, `store-${copies++}`);
    cpSync(kept, dataDir, { recursive: true });
  });
  afterEach(() => {
    rmSync(dataDir, { recursive: true, force: true });
    dataDir = kept;
  });

  test('nothing is damaged: both logs are proved', async () => {
    expect(await keytrail('verify')).toEqual({
      code: 0,
      output: expect.stringContaining('records: the first 21 of 21 are proved'),
    });
  });

  const LOGS = { KMS_AUDIT: ['record', 'records'], KMS_EVENTS: ['commit', 'changes'] } as const;

  test.each([
    ['KMS_AUDIT', 0.1],
    ['KMS_AUDIT', 0.5],
    ['KMS_AUDIT', 0.99],
    ['KMS_EVENTS', 0.1],
    ['KMS_EVENTS', 0.5],
    ['KMS_EVENTS', 0.99],
  ] as const)(
    'a flipped bit in %s, at %d of its length, is named, and what is proved all the same',
    async (stream, at) => {
      const path = blocks(stream);
      flip(path, Math.floor(readFileSync(path).length * at));
      const { code, output } = await keytrail('verify');
      const [one, many] = LOGS[stream];
      expect(code).toBe(1);
      expect(output).toMatch(new RegExp(`${stream}: ${one} \\d+( \\(.*\\))? is missing, and so is all after it`));
      expect(output).toMatch(
        new RegExp(`${many}: (the first \\d+ of \\d+ are proved by the head of|of \\d+ none is proved)`),
      );
    },
  );

  test.each([[0.3], [0.99]])(
    'a flipped bit in KMS_TREE, at %d of its length, is named; the head outside proves the logs',
    async (at) => {
      const path = blocks('KMS_TREE');
      flip(path, Math.floor(readFileSync(path).length * at));
      const { code, output } = await keytrail('verify');
      expect({ code, output }).toEqual({
        code: 1,
        output: expect.stringMatching(/position \d+ is missing from KMS_TREE/),
      });
      expect(output).toContain('records: the first 21 of 21 are proved');
    },
  );

  test('a log that is replaced by an older one, heads and all, is found by the head outside', async () => {
    const first = join(root, 'first');
    rmSync(join(dataDir, 'nats'), { recursive: true });
    cpSync(join(first, 'nats'), join(dataDir, 'nats'), { recursive: true });
    const { code, output } = await keytrail('verify');
    expect(code).toBe(1);
    expect(output).toMatch(
      /KMS_TREE does not have the head of .* that .*records\.checkpoint holds: it has lost its end/,
    );
    expect(output).toMatch(/KMS_AUDIT: record 7 .* is missing, and so is all after it: the head of .* has 21/);
    expect(output).toContain(
      `records: the first 7 of 7 are proved by the head of ${heads.find(({ size }) => size === 7)!.time}`,
    );
  });
});
